"""How many cores there are to share."""

from __future__ import annotations


def usable_cores() -> int:
    """Cores that this process may use: those that it is bound to, and no more than its container is given."""
    from loky import cpu_count

    return int(cpu_count())
