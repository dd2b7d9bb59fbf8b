"""A snapshot of any size, put straight into the storage: what planning its restore takes, without days of backups.

`python -m benchmarks.straight FILES CHUNKS`, with the environment of backup.py, and the names in SCALE_NAME (of
container and table) and SCALE_PARTITION, whose key is there. Each of the files has so many chunks. Records are sealed
as real ones are; packs have the size that their records say, and hold nothing that opens.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator

from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.format.entries import EntryWriter
from azbackup.format.labels import CHUNK_ID_BYTES, PACK_MAGIC, PACK_PREFIX, files_name, pack_blob, stamp
from azbackup.format.model import Entry, Kind, Layer, PackRecord, SealedRecord, Snapshot, Totals
from azbackup.format.payloads import encode_pack
from azbackup.records.commit import RunCopies, commit
from azbackup.records.keystore import Keystore
from azbackup.records.record_store import RecordStore, compressed
from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import AzureBlobs
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.tables import AzureRows

_SOURCE = b"/srv/straight"
_SMALL, _LARGE = 100, 1_500_000  # bytes of a chunk
_SEALED = 90
_IN_PACK = {_SMALL: 10_000, _LARGE: 43}  # chunks: 43 large ones fill a pack
_IN_FOLDER = 250
_BATCH = 100
_OPTIONS = ("account", "accesskey", "sas_token", "connection_string", "endpoint_suffix")


def _main(files: int, chunks: int) -> None:
    name, partition = os.environ["SCALE_NAME"], os.environ["SCALE_PARTITION"]
    account = Account(connection(dict.fromkeys(_OPTIONS), os.environ))
    rows = AzureRows(account, name, partition)
    blobs = AzureBlobs(account, name)
    opened = Keystore(rows, blobs, partition).open(Secret(os.environ["AZBACKUP_PASSWORD"].encode()))
    records = RecordStore(rows, blobs, derive(opened.data_key), partition, print)
    length = _SMALL if chunks == 1 else _LARGE
    batch: list[SealedRecord] = []
    for number, record in enumerate(_packs(files * chunks, length)):
        pack_id = stamp(1_500_000_000 + number, os.urandom(8))
        data = bytes(record.size)
        blobs.put_first(pack_blob(partition, pack_id), data, "hot", record.md5)
        batch.append(records.seal(PACK_PREFIX + pack_id, encode_pack(record)))
        if len(batch) == _BATCH:
            records.insert(batch)
            batch = []
    records.insert(batch)
    run = stamp(1_600_000_000, os.urandom(8))
    sealed, count = _file_records(records, run, _entries(files, chunks, length))
    for at in range(0, len(sealed), _BATCH):
        records.insert(sealed[at : at + _BATCH])
    totals = Totals(files=files, size=files * chunks * length)
    snapshot = Snapshot(_SOURCE, "straight", run, 1, 2, [Layer(run, len(sealed), count)], totals)
    commit(records, [], RunCopies(records, run), snapshot, max(records.snapshot_numbers(1), default=0))


def _id(number: int) -> bytes:
    return hashlib.blake2b(b"%d" % number, digest_size=CHUNK_ID_BYTES).digest()


def _packs(chunks: int, length: int) -> Iterator[PackRecord]:
    for first in range(0, chunks, _IN_PACK[length]):
        numbers = range(first, min(first + _IN_PACK[length], chunks))
        size = len(PACK_MAGIC) + _SEALED * len(numbers)
        md5 = hashlib.md5(bytes(size), usedforsecurity=False).digest()
        sealed, plain = [_SEALED] * len(numbers), [length] * len(numbers)
        yield PackRecord(size, md5, "hot", b"".join(map(_id, numbers)), sealed, plain)


def _entries(files: int, chunks: int, length: int) -> Iterator[Entry]:
    yield Entry(b"", int(Kind.DIRECTORY), mtime_ns=1, inode=1, device=1, mode=0o755)
    for number in range(files):
        folder = b"%05d" % (number // _IN_FOLDER)
        if number % _IN_FOLDER == 0:
            yield Entry(folder, int(Kind.DIRECTORY), mtime_ns=number, inode=number, device=1, mode=0o755)
        ids = b"".join(map(_id, range(number * chunks, (number + 1) * chunks)))
        times = 1_600_000_000_000_000_000 + number * 1_234_567
        path = folder + b"/note-%07d.txt" % number
        yield Entry(path, int(Kind.FILE), chunks * length, times, times, number, 1, mode=0o644, chunks=ids)


def _file_records(records: RecordStore, run: str, entries: Iterator[Entry]) -> tuple[list[SealedRecord], int]:
    writer = EntryWriter(compressed)
    sealed: list[SealedRecord] = []
    for entry in entries:
        for payload in writer.add(entry):
            sealed.append(records.seal_compressed(files_name(run, len(sealed) + 1), payload))
    for payload in writer.finish():
        sealed.append(records.seal_compressed(files_name(run, len(sealed) + 1), payload))
    return sealed, writer.count


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]))
