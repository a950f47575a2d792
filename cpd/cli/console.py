"""Lines on stderr; data alone goes to stdout."""

from cpd.views.messages import failure_line, say

__all__ = ["failure_line", "say"]
