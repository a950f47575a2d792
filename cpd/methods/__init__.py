"""How constraints enter training: one file per method; importable without torch."""
