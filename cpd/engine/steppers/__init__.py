"""Ways to execute a step."""
