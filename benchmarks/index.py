"""The chunk index of a large partition, without its bytes: pack records put straight into the table.

`python -m benchmarks.index CHUNKS`, with the environment of backup.py, and the names in SCALE_NAME (of container and
table) and SCALE_PARTITION. The records are sealed as real ones are, for packs full of chunks of a large file; the packs
that they tell of are zeros, which no backup ever reads.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator

from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.format.labels import CHUNK_ID_BYTES, PACK_MAGIC, PACK_PREFIX, pack_blob, stamp
from azbackup.format.model import PackRecord, SealedRecord
from azbackup.format.payloads import encode_pack
from azbackup.records.keystore import Keystore
from azbackup.records.record_store import RecordStore
from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import AzureBlobs
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.tables import AzureRows

CHUNKS_A_PACK = 43  # 700,000 chunks of 1.5 MB are 1 TB in 16,279 packs
_CHUNK_BYTES = 1_500_000
_SEALED = 90  # so small that a million packs can be put
_BATCH = 100
_OPTIONS = ("account", "accesskey", "sas_token", "connection_string", "endpoint_suffix")


def _main(chunks: int) -> None:
    name, partition = os.environ["SCALE_NAME"], os.environ["SCALE_PARTITION"]
    account = Account(connection(dict.fromkeys(_OPTIONS), os.environ))
    rows = AzureRows(account, name, partition)
    blobs = AzureBlobs(account, name)
    opened = Keystore(rows, blobs, partition).open(Secret(os.environ["AZBACKUP_PASSWORD"].encode()))
    records = RecordStore(rows, blobs, derive(opened.data_key), partition, print)
    batch: list[SealedRecord] = []
    for number, record in enumerate(_records(chunks)):
        pack_id = stamp(1_500_000_000 + number, os.urandom(8))
        # A backup counts only on packs that are there as their records say; what is in them is never read.
        blobs.put_first(pack_blob(partition, pack_id), bytes(record.size), "hot", record.md5)
        batch.append(records.seal(PACK_PREFIX + pack_id, encode_pack(record)))
        if len(batch) == _BATCH:
            records.insert(batch)
            batch = []
    records.insert(batch)


def _records(chunks: int) -> Iterator[PackRecord]:
    for first in range(0, chunks, CHUNKS_A_PACK):
        count = min(CHUNKS_A_PACK, chunks - first)
        size = len(PACK_MAGIC) + count * _SEALED
        yield PackRecord(
            size=size,
            md5=hashlib.md5(bytes(size), usedforsecurity=False).digest(),
            tier="archive",
            ids=os.urandom(CHUNK_ID_BYTES * count),
            sealed=[_SEALED] * count,
            plain=[_CHUNK_BYTES] * count,
        )


if __name__ == "__main__":
    _main(int(sys.argv[1]))
