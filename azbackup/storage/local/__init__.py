"""What this machine keeps in ~/.cache/azbackup, one module for each kind of file.

All of it may be deleted at any time.
"""
