"""Knowledge, hot: the sealed records of one partition, in the table and in their copies, and what they say.

Key, snapshots, entries, packs.
"""
