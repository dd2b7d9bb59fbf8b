"""Looking without restoring: reads records only, never a pack."""
