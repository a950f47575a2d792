"""A command, from task to result."""
