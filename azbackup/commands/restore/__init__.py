"""A snapshot, or a part of it, becomes a directory: planned, priced, thawed, fetched, finished."""
