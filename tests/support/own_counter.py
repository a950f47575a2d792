"""A helper of a problem's own that counts."""

CALLS = 0


def up() -> int:
    """Count one more."""
    global CALLS
    CALLS += 1
    return CALLS
