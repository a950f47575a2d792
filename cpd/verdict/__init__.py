"""What a sweep came to."""
