"""Keys, from the password down to one for each chunk and record, and what is sealed under them.

No I/O; whatever opens is what was sealed.
"""
