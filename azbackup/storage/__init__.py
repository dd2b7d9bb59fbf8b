"""Where bytes lie, behind three protocols: azure/ is the truth, local/ only remembers, and nothing depends on it."""
