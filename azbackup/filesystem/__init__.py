"""The trees that are backed up and restored: scanned, read and written by descriptor.

Never through a symbolic link, never outside.
"""
