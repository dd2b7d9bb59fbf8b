"""azbackup: encrypted, deduplicated backup to Azure's archive tier.

Eight rooms, each importing only what stands before it: format (every stored byte), crypto (keys and seals), filesystem
(the trees), storage (where bytes lie), records (knowledge, hot), packs (content, cold), commands (what a user can ask
for), cli (what is typed and shown). For all: errors, progress, workers, memory, version.
"""
