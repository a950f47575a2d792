"""How far above the best feasible objective a setting is still useful."""

GAP = 0.05
"""The default gap: a setting is useful up to this share above the best feasible objective."""
