"""Search for a coefficient: propose and observe, pure arithmetic."""
