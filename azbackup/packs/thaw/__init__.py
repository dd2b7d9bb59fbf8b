"""Which packs can be read now, which are asked for, at what priority, and what becomes of the copies."""
