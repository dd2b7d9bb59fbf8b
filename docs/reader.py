"""An independent reader of format 1: from the password and raw bytes to a source's latest snapshot, or an earlier one.

    python reader.py DUMP PARTITION SOURCE DESTINATION [NUMBER] < PASSWORD

Follows docs/format.md section by section, imports nothing of azbackup, and stops at the first thing that is not as it
should be. A page to read, not a tool: it restores all that a snapshot holds (to whom files belong only as root, as
restore.py does), and keeps everything in memory.

    DUMP/rows.json     the partition's rows: [{"RowKey": ..., property: text, number or {"binary": base64}}, ...];
                       those of eras from the second on with their "PartitionKey" (section 3)
    DUMP/packs/ID      the packs, byte for byte; of later eras DUMP/<era>/packs/ID
"""

import base64
import hashlib
import hmac
import json
import os
import re
import stat
import sys
import unicodedata
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

REMOVED, FILE, DIRECTORY, SYMLINK, FIFO, CHARACTER_DEVICE, BLOCK_DEVICE, MORE, KEPT, PATCHED = range(10)
SPECIAL = {FIFO: stat.S_IFIFO, CHARACTER_DEVICE: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK}
DEFAULTS = [b"", 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, False, b"", b"", 0, []]
READ = ("pack-", "files-", "snapshot-", "retired-")  # the others say nothing about what a snapshot holds
HOLE = 4096
STAMP = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}")


def check(fact: bool, otherwise: str) -> None:
    """Go on only where things are as they should be."""
    if not fact:
        raise SystemExit(f"reader.py: {otherwise}")


def hkdf(secret: bytes, info: bytes) -> bytes:
    """Section 1: HKDF-SHA-256, 32 bytes."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(secret)


def unseal(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Section 1: the plaintext of nonce(12) || ciphertext || tag(16); InvalidTag ends the reader."""
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], aad)


def decompress(frame: bytes, limit: int) -> bytes:
    """Section 1: the contents of a zstd frame, whose own word about its size is checked first."""
    check(0 <= zstandard.frame_content_size(frame) <= limit, "a zstd frame claims too much")
    return zstandard.ZstdDecompressor().decompress(frame)


def open_key(row: dict[str, Any], password: bytes, partition: bytes) -> bytes:
    """Section 3: from any of the partition's passwords to the data key."""
    check(row["format"] in (1, 2, 3) and row["kdf"] == "argon2id", "the key record is of a newer format")
    slots = [["", 0, *(row.get(name) for name in ("memory", "passes", "lanes", "salt", "commitment", "wrapped"))]]
    if row["format"] > 1:
        slots = msgspec.msgpack.decode(row["slots"])
    for *_, memory, passes, lanes, salt, commitment, wrapped in slots:
        check(8192 <= memory <= 4194304 and 1 <= passes <= 64 and 1 <= lanes <= 64, "KDF costs out of bounds")
        secret = unicodedata.normalize("NFC", password.decode()).encode()
        kek = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(secret)
        if hmac.compare_digest(hkdf(kek, b"azbackup/1 commit"), commitment):
            numbers = b"".join(number.to_bytes(4, "big") for number in (memory, passes, lanes))
            aad = b"\0".join([b"azbackup/1 key", partition, b"argon2id", numbers + salt])
            data_key = unseal(hkdf(kek, b"azbackup/1 wrap"), wrapped, aad)
            check(row["format"] == 1 or is_proven(row, data_key, partition), "the key record was altered")
            return data_key
    raise SystemExit("reader.py: wrong password")


def is_proven(row: dict[str, Any], data_key: bytes, partition: bytes) -> bool:
    """Section 3: whether whoever wrote all of a key record of format 2 or 3 had the data key."""
    names = ("generation", "created", "changed", "salt", "slots", "eras", "marks")
    body = msgspec.msgpack.encode([partition.decode(), *(row[name] for name in names if name in row)])
    label = b"azbackup/%d key\0" % row["format"]
    return hmac.compare_digest(hmac.digest(data_key, label + body, "sha256"), row["proof"])


def eras(row: dict[str, Any], data_key: bytes, partition: bytes) -> list[Any]:
    """Sections 3 and 3.1: all data keys, each behind the number at which its snapshots end, 0 for the newest."""
    if row["format"] < 3:
        return [[0, data_key]]
    sealed = unseal(hkdf(data_key, b"azbackup/3 eras"), row["eras"], b"azbackup/3 eras\0" + partition)
    return [*msgspec.msgpack.decode(sealed), [0, data_key]]


def open_record(rows: dict[str, Any], name: str, record_key: bytes, partition: bytes) -> Any:
    """Section 5: a record by its name, decoded."""
    sealed, part = b"", 0
    while f"d{part:02d}" in rows[name]:
        sealed, part = sealed + rows[name][f"d{part:02d}"], part + 1
    aad = b"\0".join([b"azbackup/1 record", partition, name.encode()])
    payload = unseal(hmac.digest(record_key, name.encode(), "sha256"), sealed, aad)
    return msgspec.msgpack.decode(decompress(payload, 64 << 20))


def order(path: bytes) -> bytes:
    """Section 5.2: the sort key of path order."""
    return path.replace(b"/", b"\0")


def join_more(items: list[Any]) -> list[Any]:
    """Section 6.2: the items of a layer as entries, each a list of the 16 fields of section 5.2, and its runs."""
    entries: list[Any] = []
    for item in items:
        item += DEFAULTS[len(item) :]
        if item[1] in (MORE, KEPT):
            check(bool(entries) and entries[-1][0] == item[0], "MORE or KEPT does not follow its entry")
            check(entries[-1][1] in (FILE, PATCHED), "MORE or KEPT does not follow a file")
            runs = entries[-1][16]
            if item[1] == KEPT:
                check(item[2] > 0 and item[14] >= sum(runs[-1][:2] if runs else [0]), "runs of a list do not rise")
                runs.append([item[14], item[2], item[12]])
            elif runs:
                runs[-1][2] += item[12]
            else:
                entries[-1][12] += item[12]
        else:
            check(not entries or order(entries[-1][0]) < order(item[0]), "entries are out of order")
            entries.append([*item, []])
    return entries


def put_together(entry: list[Any], below: list[Any] | None) -> list[Any]:
    """Section 6.3: an entry with its list of chunks, which may keep runs of the one that layers below have."""
    if entry[1] == PATCHED:
        check(bool(entry[16]), "a patch keeps nothing")
        for first, count, more in entry[16]:
            length = len(below[12]) // 32 if below and below[1] == FILE else 0
            check(first + count <= length, "a patch keeps more than the file below it has")
            entry[12] += below[12][32 * first : 32 * (first + count)] + more
        digest = hashlib.blake2b(entry[12], digest_size=32).digest()
        check(digest == entry[13], "a list of chunks is not the one that was stored")
        entry[1], entry[13] = FILE, b""
    else:
        check(not entry[16], "KEPT does not follow a patch")
    return entry


def read_pack(record: Any, data: bytes, id_key: bytes, chunk_key: bytes) -> dict[bytes, bytes]:
    """Sections 5.1 and 7: the chunks of a pack, by id."""
    check(len(data) == record["size"] <= 64 << 20, "a pack has another size")
    check(hashlib.md5(data, usedforsecurity=False).digest() == record["md5"], "a pack has another MD5")
    check(data[:8] == b"azbkpak1" and 8 + sum(record["sealed"]) == len(data), "a pack does not add up")
    check(len(record["ids"]) == 32 * len(record["sealed"]), "the columns of a pack record do not agree")
    chunks, at = {}, 8
    for number, (size, plain_size) in enumerate(zip(record["sealed"], record["plain"], strict=True)):
        chunk_id = record["ids"][32 * number : 32 * number + 32]
        key = hmac.digest(chunk_key, chunk_id, "sha256")
        body = unseal(key, data[at : at + size], b"azbackup/1 chunk" + chunk_id)
        check(body[0] in (0, 1), "a chunk has a codec of a newer format")
        plain = decompress(body[1:], 8 << 20) if body[0] == 1 else body[1:]
        check(len(plain) == plain_size, "a chunk has another length")
        check(blake3(plain, key=id_key).digest() == chunk_id, "a chunk is not what its id says")
        chunks[chunk_id], at = plain, at + size
    return chunks


def write(target: Path, data: bytes, sparse: bool) -> None:
    """A file's contents; stretches of zeros in a sparse one become holes."""
    with target.open("xb") as file:
        for at in range(0, len(data), HOLE):
            block = data[at : at + HOLE]
            if sparse and not any(block):
                file.seek(len(block), os.SEEK_CUR)
            else:
                file.write(block)
        file.truncate(len(data))


def restore(entry: list[Any], chunks: dict[bytes, bytes], destination: Path, names: dict[Any, Path]) -> None:
    """Section 7: an entry below the destination. In path order a directory comes before its contents."""
    path, kind, size, ids = entry[0], entry[1], entry[2], entry[12]
    target = destination / os.fsdecode(path)
    check(not path or not {b"", b".", b".."} & {*path.split(b"/")}, "a path leads elsewhere")
    check(not target.parent.is_symlink(), "a path leads through a symlink")
    if kind == DIRECTORY:
        target.mkdir(mode=0o700)
    elif kind == SYMLINK:
        target.symlink_to(os.fsdecode(entry[13]))
    elif kind in SPECIAL:
        os.mknod(target, SPECIAL[kind] | 0o600, entry[14])
    elif kind == FILE:
        data = b"".join(chunks[ids[at : at + 32]] for at in range(0, len(ids), 32))
        check(len(data) == size, "the chunks of a file do not add up to its size")
        # Section 5.2: hard links. What was changed between the two moments at which names were looked at is apart.
        same = (entry[6], entry[5], size, entry[3], ids, *entry[8:11], repr(entry[15]))
        first = names.setdefault(same, target) if entry[7] > 1 else target
        if first != target:
            target.hardlink_to(first)
        else:
            write(target, data, entry[11])
    else:
        check(False, "an entry has a kind of a newer format")


def describe(entry: list[Any], destination: Path) -> None:
    """Section 5.2: owner, attributes, mode and time, in this order: each step undoes some of the later ones."""
    target, mode = os.path.join(os.fsencode(destination), entry[0]).rstrip(b"/"), entry[8]
    if os.geteuid() == 0:
        os.chown(target, entry[9], entry[10], follow_symlinks=False)
    status = os.lstat(target)
    if entry[1] != DIRECTORY and (status.st_uid, status.st_gid) != (entry[9], entry[10]):
        mode &= ~(stat.S_ISUID | stat.S_ISGID)  # they were not meant for somebody else's file
    for name, value in entry[15]:
        os.setxattr(target, name, value, follow_symlinks=False)
    if entry[1] != SYMLINK:
        os.chmod(target, mode)
    os.utime(target, ns=(entry[3], entry[3]), follow_symlinks=False)


def snapshots_of(records: dict[str, Any], after: int, end: int) -> dict[int, Any]:
    """Sections 3, 5.3 and 6.1: the snapshots of an era by number; a gap was retired, or a fence stands there."""
    found = {int(name[9:]): record for name, record in records.items() if name.startswith("snapshot-")}
    fences = {number for number, record in found.items() if "fence" in record}
    found = {number: record for number, record in found.items() if number not in fences}
    check(all(after < number and (not end or number < end) for number in found), "a snapshot is of no era")
    parts: dict[int, set[int]] = {}
    for mine, name in sorted((int(name[8:]), name) for name in records if name.startswith("retired-")):
        seen = records[name].get("seen", ())
        parts = {each: part for each, part in parts.items() if each not in seen and each >= min(seen, default=0)}
        parts[mine] = {each for first, last in records[name].get("numbers", ()) for each in range(first, last + 1)}
        parts = {each: part - set(records[name].get("recalled", ())) for each, part in parts.items()}
    retired = set().union(*parts.values())
    found = {number: each for number, each in found.items() if number not in retired}
    whole = range(after + 1, end or max(found, default=0) + 1)
    check({*whole} <= found.keys() | retired | fences, "a snapshot is missing")
    return found


def main(dump: Path, name: str, source: bytes, destination: Path, number: int, password: bytes) -> None:
    """Sections 2 to 4: the rows, the data keys, the keys that come from each, and all records under them."""
    name = unicodedata.normalize("NFC", name)
    raw = json.loads((dump / "rows.json").read_text(), object_hook=unwrap)
    tables: dict[str, dict[str, Any]] = {}
    for row in raw:
        tables.setdefault(row.get("PartitionKey", name), {})[row["RowKey"]] = row
    chosen, after, key = [], 0, tables[name]["key"]
    for era, (end, data_key) in enumerate(eras(key, open_key(key, password, name.encode()), name.encode()), 1):
        space, table = (name, name) if era == 1 else (f"{name}/{era}", f".{name}.{era}")
        rows, record_key = tables.get(table, {}), hkdf(data_key, b"azbackup/1 record")
        records = {each: open_record(rows, each, record_key, space.encode()) for each in rows if each.startswith(READ)}
        for each, snapshot in snapshots_of(records, after, end).items():
            if snapshot["source"] == source and number in (0, each):
                chosen.append((each, snapshot, records, data_key, dump / ("" if era == 1 else str(era)) / "packs"))
        after = end
    check(bool(chosen), "there is no such snapshot of this source")
    _, snapshot, records, data_key, packs = max(chosen, key=lambda each: each[0])
    id_key, chunk_key = hkdf(data_key, b"azbackup/1 chunk-id"), hkdf(data_key, b"azbackup/1 chunk")
    # Sections 6.2 and 6.3: its layers, one over the other.
    state: dict[bytes, list[Any]] = {}
    for run, count, length in snapshot["layers"]:
        check(STAMP.fullmatch(run) is not None, "a run id has the wrong form")
        items = [item for part in range(1, count + 1) for item in records.get(f"files-{run}-{part:04d}", ())]
        check(len(items) == length, "a layer is incomplete")
        state.update((entry[0], put_together(entry, state.get(entry[0]))) for entry in join_more(items))
        state = {path: entry for path, entry in state.items() if entry[1] != REMOVED}
    # Section 7: all packs, then the files.
    chunks: dict[bytes, bytes] = {}
    for pack in (each for each in records if each.startswith("pack-")):
        check(STAMP.fullmatch(pack[5:]) is not None, "a pack id has the wrong form")
        chunks |= read_pack(records[pack], (packs / pack[5:]).read_bytes(), id_key, chunk_key)
    names: dict[Any, Path] = {}
    for path in sorted(state, key=order):
        restore(state[path], chunks, destination, names)
    for path in sorted(state, key=order, reverse=True):  # what is made in a directory moves its time
        describe(state[path], destination)


def unwrap(value: dict[str, Any]) -> Any:
    """A binary property as it was stored."""
    return base64.b64decode(value["binary"]) if "binary" in value else value


if __name__ == "__main__":
    secret = sys.stdin.buffer.readline().removesuffix(b"\n")
    dump, name, source, destination, *numbers = sys.argv[1:]
    main(Path(dump), name, os.fsencode(source), Path(destination), int(numbers[0]) if numbers else 0, secret)
