"""The store of runs: one SQLite file."""
