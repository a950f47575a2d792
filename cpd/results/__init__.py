"""What a command returns."""
