"""Content, cold: a file's bytes as chunks, compressed, sealed and packed.

And the way back, from a pack's bytes to chunks that were checked.
"""
