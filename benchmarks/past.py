"""A long past, without its years: snapshots, heads and file records put straight into the table.

`python -m benchmarks.past SNAPSHOTS SOURCES`, with the environment of backup.py, and the names in SCALE_NAME (of
container and table) and SCALE_PARTITION. One backup was made before. The new snapshots are its own, made again and
again, or, with more than one source, in turn those of others with as many entries; the last of each source is right.
Their copies are left out: a backup reads none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import msgspec

from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.format.batches import batches
from azbackup.format.labels import files_name, snapshot_name, stamp
from azbackup.format.model import Layer, RunId, SealedRecord, Snapshot
from azbackup.format.payloads import encode_snapshot
from azbackup.records.catalog import Catalog
from azbackup.records.heads import head_rows
from azbackup.records.keystore import Keystore
from azbackup.records.record_store import RecordStore
from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import AzureBlobs
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.tables import AzureRows
from azbackup.storage.protocols import BlobStore, RowStore

_OPTIONS = ("account", "accesskey", "sas_token", "connection_string", "endpoint_suffix")
_HOUR_NS = 3600 * 10**9
_BEGAN = 1_500_000_000  # Unix time of the first


def fill(rows: RowStore, blobs: BlobStore, partition: str, password: bytes, snapshots: int, sources: int) -> None:
    """Puts so many snapshots behind the newest one."""
    opened = Keystore(rows, blobs, partition).open(Secret(password))
    records = RecordStore(rows, blobs, derive(opened.data_key), partition, _complain)
    *_, newest = Catalog(records).snapshots()
    found = _rows(records, newest, snapshots, sources)
    for group in batches(found, lambda row: len(row.sealed) * 4 // 3 + 1024, 3_500_000, 99):
        records.insert(group)


def _rows(records: RecordStore, newest: Snapshot, snapshots: int, sources: int) -> Iterator[SealedRecord]:
    """The rows of the snapshots to be, each with its heads; of other sources, also those of their layers."""
    layer = newest.layers[-1]
    names = [files_name(layer.run, number) for number in range(1, layer.records + 1)]
    payloads = [records.read(row.name, row)[1] for name in names for row in records.rows(name, name + "!")]
    for number in range(newest.number + 1, newest.number + snapshots + 1):
        made = msgspec.structs.replace(newest, number=number, parent=number - 1)
        if other := number % sources:
            run = RunId(stamp(_BEGAN + number * 3600, number.to_bytes(8, "big")))
            yield from (records.seal(files_name(run, at + 1), payload) for at, payload in enumerate(payloads))
            moment = (_BEGAN * 10**9) + number * _HOUR_NS
            made = msgspec.structs.replace(
                made,
                host=f"{newest.host}-{other}",
                run=run,
                layers=[Layer(run, layer.records, layer.entries)],
                started_ns=moment,
                finished_ns=moment,
            )
        yield records.seal(snapshot_name(number), encode_snapshot(made))
        yield from head_rows(records, made)


def _complain(text: str) -> None:
    raise SystemExit(f"benchmarks.past: {text}")


def _main(snapshots: int, sources: int) -> None:
    name, partition = os.environ["SCALE_NAME"], os.environ["SCALE_PARTITION"]
    account = Account(connection(dict.fromkeys(_OPTIONS), os.environ))
    rows, blobs = AzureRows(account, name, partition), AzureBlobs(account, name)
    fill(rows, blobs, partition, os.environ["AZBACKUP_PASSWORD"].encode(), snapshots, sources)


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]))
