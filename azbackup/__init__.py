"""azbackup: encrypted, deduplicated backup to Azure's archive tier.

Read the modules in import order and they are a tour of the house: errors, model, formats; then crypto, codec,
scanner, hasher, packer, writer, which take and give bytes; then account, blobs, tables, archive, which talk to
Azure; then keystore, records, catalog, which know; then backup, restore, rekey, which do; then the command line.
"""
