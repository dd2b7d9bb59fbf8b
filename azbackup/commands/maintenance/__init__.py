"""Keeping a partition sound and small: repair today; verify, drill, retention when they come."""
