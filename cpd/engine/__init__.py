"""One batch of runs, trained."""
