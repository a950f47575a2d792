"""The verdict on a sweep: feasibility, diagnoses, the summary of methods, the document that holds them."""
