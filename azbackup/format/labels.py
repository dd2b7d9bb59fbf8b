"""The labels, limits and names of format 1.

############################################################################
#  NOTHING IN THIS FILE CAN EVER CHANGE FOR FORMAT 1.                      #
#  Every byte of every archive out there depends on these values.          #
#  A new format gets new labels beside these; see docs/format.md.          #
############################################################################

Pure values and the functions that check and build names; imports nothing but errors and the standard library.
"""

from __future__ import annotations

import re
import time
import unicodedata
from datetime import datetime, timezone

from azbackup.errors import Damaged, UsageError

FORMAT = 1

# --- key derivation and sealing: HKDF info strings, AAD prefixes, leading bytes of blobs
LABEL_WRAP = b"azbackup/1 wrap"
LABEL_COMMIT = b"azbackup/1 commit"
LABEL_CHUNK_ID = b"azbackup/1 chunk-id"
LABEL_CHUNK = b"azbackup/1 chunk"
LABEL_RECORD = b"azbackup/1 record"
LABEL_CUT = b"azbackup/1 cut"
LABEL_KEY = b"azbackup/1 key"
LABEL_SUCCESSOR = b"azbackup/1 successor"
LABEL_PROOF = b"azbackup/2 key"
LABEL_PROOF_ERAS = b"azbackup/3 key"
LABEL_ERAS = b"azbackup/3 eras"
LABEL_RECOVERY = b"azbackup/1 recovery"
LABEL_RECOVERY_ERAS = b"azbackup/3 recovery"
LABEL_HEAD = b"azbackup/1 head"
PACK_MAGIC = b"azbkpak1"
RECORD_MAGIC = b"azbkrec1"

KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16
CHUNK_ID_BYTES = 32
COMMITMENT_BYTES = KEY_BYTES
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES

# --- codecs: the first byte of a chunk's body
CODEC_PLAIN = 0
CODEC_ZSTD = 1

# --- cutting, bytes
CHUNK_MIN = 512 * 1024
CHUNK_NORMAL = 1024 * 1024
CHUNK_MAX = 8 * 1024 * 1024

# --- packs: one Put Blob each, and a record that fits one row
PACK_BYTES = 64 * 1024 * 1024
PACK_CHUNKS = 12_000

# --- records: binary properties d00, d01, ... of a table row
PROPERTY_BYTES = 60 * 1024
RECORD_PROPERTIES = 12
RECORD_BYTES = PROPERTY_BYTES * RECORD_PROPERTIES
PATH_BYTES = 128 * 1024  # of one entry, so that an entry always fits a record
XATTR_BYTES = 256 * 1024  # all attributes of one entry, names and values
RECORD_PLAIN_BYTES = 64 * 1024 * 1024  # what an opened record may expand to; a larger claim is refused unread

# --- what one record may hold: far more than a writer puts there, and little enough to be read by any machine
ITEMS = 262_144  # of a file record
ITEM_CHUNKS = 8192  # of one item; what has more goes on in items of kind MORE
XATTRS = 32_768  # of one entry: Linux lists 65,536 bytes of names
LAYERS = 256  # of a snapshot
FILE_RECORDS = 1_000_000  # of all layers of a snapshot
NAMED_OWNERS = 262_144  # users of a snapshot, and groups
NAMED_UNREADABLE = 1000
RULES = 10_000  # of a snapshot
NAME_CHARACTERS = 1024  # of a host, a user, a group, a tag
TAGS = 100  # of a snapshot
NOTE_CHARACTERS = 4096  # of a snapshot's note
RETIRED = 50_000  # ranges of numbers, snapshots or packs of one retired record

# --- the costs that a key record may ask for, checked before any work is done
KDF_NAME = "argon2id"
KDF_MEMORY_KIB = (8 * 1024, 4 * 1024 * 1024)
KDF_PASSES = (1, 64)
KDF_LANES = (1, 64)
GENERATIONS = (1, 2**31 - 1)  # of passwords: an Int32

# --- a key record of several passwords: what knows only FORMAT refuses it
KEY_FORMAT_SLOTS = 2
KEY_SLOTS = 24  # passwords of a partition: a copy stays below what readers take for a copy
MADE_SECONDS = (0, 2**32 - 1)  # when a password was set: Unix time
PROOF_BYTES = KEY_BYTES
KEY_FORMAT_ERAS = 3  # of a partition that has had more than one data key
FENCE_BYTES = 100  # of the copy of a fence, at most; that of a snapshot has more
ERAS = 32  # data keys of a partition, one after the other
MAIN_SLOT = "main"  # the password of a key record that has one and no name for it

# --- names of rows, and of blobs below a partition
KEY_NAME = "key"
PACK_PREFIX = "pack-"
FILES_PREFIX = "files-"
SNAPSHOT_PREFIX = "snapshot-"
RETIRED_PREFIX = "retired-"
HEAD_PREFIX = "head-"
KEY_COPY_PREFIX = "key-"
VERIFIED_PREFIX = "verified-"
SETTLED_PREFIX = "settled-"

_HIGHEST = 9_999_999_999  # number of a snapshot
_HEAD = re.compile(HEAD_PREFIX + r"([0-9a-f]{32})-([0-9]{10})")
_STAMP = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z-[0-9a-f]{16}")
_NUMBER = r"(?:[0-9]{8}|[1-9][0-9]{8,9})"  # up to ten digits: a backup a second would take centuries to get there
_PARTITION_FORBIDDEN = re.compile(r"[/\\#?%\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PARTITION_CHARACTERS = 200
_SLOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,31}")


def check_partition(text: str) -> str:
    """The partition's name in NFC, or UsageError where Table Storage or Blob Storage could not hold it.

    Source: "Understanding the Table service data model", characters disallowed in key fields; blob names ending in a
    dot or holding dot segments are rewritten by the service, so those are refused too.
    """
    name = unicodedata.normalize("NFC", text)
    hint = "use letters, digits, '-', '_' and '.', for example --partition user1"
    if not name:
        raise UsageError("the partition name is empty", hint)
    if len(name) > _PARTITION_CHARACTERS:
        raise UsageError(
            f"the partition name has {len(name)} characters, more than {_PARTITION_CHARACTERS}",
            hint,
        )
    bad = _PARTITION_FORBIDDEN.search(name)
    if bad:
        raise UsageError(
            f"the partition name {name!r} contains {bad.group()!r}, which Azure cannot hold there",
            hint,
        )
    if name.strip() != name or name.endswith(".") or name.startswith("."):
        raise UsageError(f"the partition name {name!r} begins or ends with a dot or a blank", hint)
    return name


def is_slot_name(text: str) -> bool:
    """Whether a password may be called so: up to 32 letters, digits and `.`, `_`, `@`, `-`, none of these first."""
    return _SLOT.fullmatch(text) is not None


def pack_blob(partition: str, pack_id: str) -> str:
    """`<partition>/packs/<pack id>`."""
    return f"{partition}/packs/{pack_id}"


def record_blob(partition: str, name: str) -> str:
    """`<partition>/records/<name>`."""
    return f"{partition}/records/{name}"


def space_of(partition: str, era: int) -> str:
    """Where a partition's packs and records of one data key are: `<partition>`, from the second on `<partition>/<era>`.

    No partition has such a name, since none has a slash.
    """
    return partition if era == 1 else f"{partition}/{era}"


def row_partition(space: str) -> str:
    """The PartitionKey of a space, where no slash may be: `.<partition>.<era>`. No partition's name begins so."""
    return "." + space.replace("/", ".") if "/" in space else space


def is_space(row_partition: str) -> bool:
    """Whether a PartitionKey is that of an era which lies beside a partition's own rows."""
    return row_partition.startswith(".")


def files_name(run_id: str, number: int) -> str:
    """`files-RUNID-NNNN`; numbers start at 1."""
    return f"{FILES_PREFIX}{run_id}-{number:04d}"


def copy_name(run_id: str, number: int) -> str:
    """`RUNID-NNNN`, the name of a run's copy of its records; numbers start at 1."""
    return f"{run_id}-{number:04d}"


def snapshot_name(number: int) -> str:
    """`snapshot-NNNNNNNN`; numbers start at 1."""
    return f"{SNAPSHOT_PREFIX}{number:08d}"


def retired_name(number: int) -> str:
    """`retired-NNNNNNNN`; numbers start at 1."""
    return f"{RETIRED_PREFIX}{number:08d}"


def head_name(of: str, number: int) -> str:
    """`head-<hash>-<10 digits>`: what is left to the highest number, so that the newest head is the first by name."""
    return f"{HEAD_PREFIX}{of}-{_HIGHEST - number:010d}"


def number_of_head(name: str) -> int:
    """The number of the snapshot that a head is of. Raises Damaged if the name is not that of a head."""
    found = _HEAD.fullmatch(name)
    number = _HIGHEST - int(found[2]) if found else 0
    if number == 0:
        raise Damaged(f"record name {name!r} is not that of a head")
    return number


def key_copy_name(generation: int) -> str:
    """`key-NNNNNNNN`; the first key record is 1, each password change adds one."""
    return f"{KEY_COPY_PREFIX}{generation:08d}"


def is_snapshot(name: str) -> bool:
    """Whether a record's name is that of a snapshot."""
    return bool(re.fullmatch(SNAPSHOT_PREFIX + _NUMBER, name)) and int(name[len(SNAPSHOT_PREFIX) :]) > 0


def number_of(name: str, prefix: str) -> int:
    """The number at the end of a snapshot's or key copy's name. Raises Damaged if there is none."""
    digits = name[len(prefix) :]
    if not name.startswith(prefix) or not re.fullmatch(_NUMBER, digits) or int(digits) == 0:
        raise Damaged(f"record name {name!r} is not of the form {prefix}NNNNNNNN")
    return int(digits)


def stamp(seconds: float, random: bytes) -> str:
    """`YYYYMMDDTHHMMSSZ-<16 hex>` from a Unix time and 8 random bytes: the form of pack ids and run ids."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds)) + "-" + random.hex()


def check_stamp(text: str) -> str:
    """The text if it is a pack id or run id, of a moment that there is, else Damaged: it is about to become a name."""
    found = _STAMP.fullmatch(text)
    try:
        if found is not None:
            year, month, day, hour, minute, second = map(int, found.groups())
            datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
            return text
    except ValueError:
        pass
    raise Damaged(f"{text!r} is not a pack id or run id")
