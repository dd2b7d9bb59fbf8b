"""A directory becomes packs, records and, at the end, one snapshot."""
