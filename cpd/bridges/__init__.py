"""Problems that were written for other libraries, as problems of cpd."""
