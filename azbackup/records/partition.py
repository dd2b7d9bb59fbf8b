"""An opened partition: everything that a run needs of it, as one value.

Made once the password has opened the data key. Knows nothing of how the account is reached.
"""

from __future__ import annotations

import msgspec

from azbackup.crypto.sealing import Keys
from azbackup.records.record_store import RecordStore
from azbackup.storage.protocols import BlobStore


class Partition(msgspec.Struct, frozen=True):
    """A partition's name, the keys derived from its data key, the container that holds its blobs, and its records."""

    name: str
    keys: Keys
    blobs: BlobStore
    records: RecordStore
