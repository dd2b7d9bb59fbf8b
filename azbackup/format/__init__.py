"""Format 1, byte for byte: labels and limits, the nouns, and how they are encoded.

Pure; knows no storage, no key, no clock.
"""
