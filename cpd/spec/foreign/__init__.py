"""Sweeps that were written for other tools, as tasks with a command."""
