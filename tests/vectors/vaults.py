"""Small frozen vaults: one for each feature of the format, one for each kind of damage. They never change.

    python -m tests.vectors.vaults              names those that are there
    python -m tests.vectors.vaults --write      makes those that are not there yet, and notes their SHA-256

A vault is a file vaults/NAME.json: its rows and blobs (of damage: how they differ from those of the vault `plain`), the
SHA-256 of each snapshot's tree, and what every command says about it: the exit status, and which records, packs and
paths it names (not the words, which may get better). They were made by the command lines on an account in memory
(tests/faults/commands.py). To add one, write a function with @feature or @damage, run --write, commit the file and the
line in SHA256SUMS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azbackup.format import entries
from tests.contract.memory import Blob, md5_of
from tests.faults.commands import Done, MemoryAccount
from tests.vectors import golden, in_memory

FROZEN = Path(__file__).resolve().parent / "vaults"
SUMS = FROZEN / "SHA256SUMS"
SOURCE = Path("/tmp/azbackup-vaults")  # a name that is in the stored bytes
PASSWORD = "frozen, not förgotten"
PLAIN = "plain"
_DAY = 86_400
_STAMP = re.compile(r"(?:pack-|files-|verified-|settled-)?\d{8}T\d{6}Z-[0-9a-f]{16}(?:-\d{4})?")
_NUMBER = re.compile(r"(?:snapshot|retired|key)-\d{8}")


class Maker:
    """What the makers play with: a source, and an account without anything."""

    def __init__(self, folder: Path) -> None:
        self.account = MemoryAccount(folder / "home", "vault", PASSWORD)
        self.account.home.mkdir()
        self.source = SOURCE / "one"
        self.folder = folder
        self.trees: dict[str, Any] = {}

    def make(self) -> None:
        """A source with an entry of every kind that needs no root, each a few bytes."""
        (self.source / "d" / "empty").mkdir(parents=True)
        (self.source / "d" / "one").write_text("the first file\n" * 9)
        (self.source / "d.txt").write_text("comes after what is in d/\n")
        (self.source / os.fsdecode(b"\xff\n odd")).write_bytes(bytes(range(64)))
        (self.source / "hard").write_text("one file, two names\n")
        (self.source / "link").hardlink_to(self.source / "hard")
        (self.source / "soft").symlink_to("d/one")
        os.mkfifo(self.source / "fifo")
        with (self.source / "hollow").open("wb") as file:
            file.write(b"a hole comes")
            file.truncate(300_000)
        (self.source / "hard").chmod(0o640)

    def change(self, day: int) -> None:
        """Another day: something comes, something changes, something goes."""
        (self.source / f"day {day}").write_text(f"of day {day}\n" * day)
        (self.source / "d" / "one").write_text(f"changed on day {day}\n")
        (self.source / f"day {day - 2}").unlink(missing_ok=True)

    def run(self, script: str, *arguments: str | Path, expect: int = 0, **options: Any) -> Done:
        """Run a command; fail where it ends otherwise."""
        done = self.account.run(script, *arguments, prepare=_fixed, **options)
        assert done.status == expect, done
        return done

    def backup(self, *arguments: str, source: Path | None = None, **options: Any) -> Done:
        """Back up, with all times of the source set, and keep the tree."""
        source = source or self.source
        time.sleep(1.1)  # so that names are in the order of time
        for number, path in enumerate(sorted([source, *source.rglob("*")], reverse=True)):
            os.utime(path, ns=(10**18 + number, 10**18 + number), follow_symlinks=False)
        done = self.run("backup", "--tier", "hot", *arguments, source, **options)
        if done.status == 0:
            self.trees[str(done.of("summary")[0]["snapshot"])] = tree_hash(source)
        return done

    def two(self) -> None:
        """Two snapshots, the second on the first."""
        self.make()
        self.backup()
        self.change(2)
        self.backup()

    # --- damage

    def rows(self, prefix: str) -> list[tuple[str, str]]:
        """The rows whose names begin so."""
        return sorted(key for key in self.account.table.rows if key[1].startswith(prefix))

    def blobs(self, prefix: str) -> list[str]:
        """The blobs whose names below the partition begin so."""
        return sorted(name for name in self.account.blobs.blobs if name.startswith(f"vault/{prefix}"))

    def put(self, name: str, data: bytes) -> None:
        """A blob has these bytes from now on."""
        self.account.blobs.blobs[name] = Blob(data, "hot", md5_of(data), created=self.account.blobs.now)

    def alter(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """A blob has other bytes."""
        self.put(name, change(self.account.blobs.blobs[name].data))

    def drop(self, *blobs: str) -> None:
        """Blobs are gone."""
        for name in blobs:
            del self.account.blobs.blobs[name]

    def drop_rows(self, *rows: tuple[str, str]) -> None:
        """Rows are gone."""
        for row in rows:
            del self.account.table.rows[row]

    def alter_row(self, row: tuple[str, str], change: Callable[[bytes], bytes]) -> None:
        """A row has other bytes."""
        there = self.account.table.rows[row]
        assert isinstance(there, bytes)
        self.account.table.rows[row] = change(there)


def _fixed() -> None:
    """What is fixed in the process of a run that is kept."""
    socket.gethostname = lambda: "frozen"  # type: ignore[assignment]
    entries._PAYLOAD_BYTES = 400  # several file records


def flipped(data: bytes) -> bytes:
    """One bit is another one."""
    return data[:-1] + bytes([data[-1] ^ 1])


def cut(data: bytes) -> bytes:
    """The end is gone."""
    return data[:-7]


def extended(data: bytes) -> bytes:
    """There is more."""
    return data + b"and more"


Make = Callable[[Maker], None]
FEATURES: dict[str, Make] = {}
DAMAGES: dict[str, Make] = {}


def feature(make: Make) -> Make:
    """Registers what plays a life that shows a feature."""
    FEATURES[make.__name__.replace("_", "-")] = make
    return make


def damage(make: Make) -> Make:
    """Registers what breaks a vault with two snapshots."""
    DAMAGES[make.__name__.replace("_", "-")] = make
    return make


@feature
def plain(maker: Maker) -> None:
    """Two snapshots, two layers."""
    maker.two()


@feature
def merged_layers(maker: Maker) -> None:
    """So many runs that layers were merged."""
    maker.make()
    for day in range(1, 7):
        maker.change(day)
        maker.backup()


@feature
def several_sources(maker: Maker) -> None:
    """Two directories, of which one has a snapshot in between, and a stream."""
    maker.two()
    other = SOURCE / "other"
    other.mkdir()
    (other / "file").write_text("of another source\n")
    maker.backup(source=other)
    maker.run("backup", "--tier", "hot", "--stdin-command", "echo of a program", "--stdin-name", "dump.sql")
    maker.change(3)
    maker.backup()


@feature
def three_passwords(maker: Maker) -> None:
    """The password was changed twice; the key's copies have all of them."""
    maker.account.password = "the first of three"
    maker.two()
    for password in ("the second of three", PASSWORD):
        maker.run("change_password", AZBACKUP_NEW_PASSWORD=password)
        maker.account.password = password


@feature
def renewed_key(maker: Maker) -> None:
    """The data key was renewed twice, the second time at once; a snapshot stands under each key but the second one."""
    maker.account.password = "the first of three"
    maker.two()
    for password in ("the second of three", PASSWORD):
        maker.run("change_password", "--rotate-key", "--yes", AZBACKUP_NEW_PASSWORD=password)
        maker.account.password = password
    maker.change(3)
    maker.backup()


@feature
def recovered(maker: Maker) -> None:
    """The password was set anew by a recovery page."""
    maker.account.password = "forgotten by now"
    maker.two()
    page = maker.folder / "page.html"
    words = maker.account.run("change_password", "--export-key", page, prepare=_fixed)
    phrase = next(str(event[key]) for event in words.events for key in event if "phrase" in key or "words" in key)
    new = {"AZBACKUP_NEW_PASSWORD": PASSWORD, "AZBACKUP_RECOVERY_PHRASE": phrase}
    maker.run("change_password", "--recover", page, **new)
    maker.account.password = PASSWORD


@feature
def tags_and_a_note(maker: Maker) -> None:
    """A snapshot has words to be found by."""
    maker.make()
    maker.backup("--tag", "yearly", "--tag", "täx", "--note", "before the move")


@feature
def rules(maker: Maker) -> None:
    """What was left out, and by which rules, stands in the snapshot."""
    maker.make()
    maker.backup("--exclude", "*.txt", "--exclude", "day*")
    before_ns = maker.source.stat().st_mtime_ns
    (maker.source / "d.txt").unlink()
    os.utime(maker.source, ns=(before_ns, before_ns))
    maker.trees["1"] = tree_hash(maker.source)


@feature
def retired(maker: Maker) -> None:
    """A snapshot was retired, its packs condemned; nothing is deleted yet."""
    maker.two()
    maker.change(3)
    maker.backup()
    maker.run("backup", "--retention-only", "--forget", "2")
    del maker.trees["2"]


@feature
def recalled(maker: Maker) -> None:
    """One that was retired counts again."""
    maker.two()
    maker.change(3)
    maker.backup()
    maker.run("backup", "--retention-only", "--forget", "1", "--forget", "2")
    maker.run("backup", "--recall", "2")
    del maker.trees["1"]


@feature
def deleted(maker: Maker) -> None:
    """What was retired has been deleted: the numbers have a gap that a record explains."""
    maker.two()
    maker.change(3)
    maker.backup()
    for _ in range(3):
        maker.run("backup", "--retention-only", "--keep-last", "1", "--delete-early")
        maker.account.blobs.now += 9 * _DAY
    del maker.trees["1"], maker.trees["2"]


@feature
def verified(maker: Maker) -> None:
    """A verification, and a drill that read all, left their results."""
    maker.two()
    maker.run("restore", "--verify")
    maker.run("restore", "--verify", "--read-data")


@feature
def settled(maker: Maker) -> None:
    """A pack is gone for good, and that was acknowledged."""
    maker.two()
    maker.drop(maker.blobs("packs/")[-1])
    shutil.rmtree(SOURCE)
    maker.run("backup", "--repair", "--settle", expect=0)
    del maker.trees["2"]


@feature
def padded_pack(maker: Maker) -> None:
    """A pack ends with padding: a chunk that no file has."""
    maker.make()
    maker.backup()
    assert all(len(maker.account.blobs.blobs[name].data) == 64 * 1024 for name in maker.blobs("packs/"))


@feature
def several_passwords(maker: Maker) -> None:
    """There are three passwords, one of them the frozen one; another one was removed."""
    maker.account.password = "the one called main"
    maker.make()
    maker.backup()
    for name, password in (("web-01", "of a machine"), ("web-02", PASSWORD), ("web-03", "of one that was given up")):
        maker.run("change_password", "--add-password", name, AZBACKUP_NEW_PASSWORD=password)
    maker.run("change_password", "--remove-password", "web-03")
    maker.account.password = PASSWORD


@feature
def killed_before_the_commit(maker: Maker) -> None:
    """Packs and records of a run that made no snapshot."""
    maker.two()
    maker.change(3)
    whole = maker.account.clone(maker.folder).run("backup", "--tier", "hot", maker.source, prepare=_fixed)
    done = maker.account.run("backup", "--tier", "hot", maker.source, at=len(whole.calls) - 1, prepare=_fixed)
    assert done.status == 137
    assert len(maker.rows("snapshot-")) == 2


@damage
def flipped_pack(maker: Maker) -> None:
    """A bit of a pack is another one."""
    maker.alter(maker.blobs("packs/")[0], flipped)


@damage
def cut_pack(maker: Maker) -> None:
    """The end of a pack is gone."""
    maker.alter(maker.blobs("packs/")[0], cut)


@damage
def extended_pack(maker: Maker) -> None:
    """A pack has more than it had."""
    maker.alter(maker.blobs("packs/")[0], extended)


@damage
def lost_pack(maker: Maker) -> None:
    """A pack is gone."""
    maker.drop(maker.blobs("packs/")[0])


@damage
def swapped_packs(maker: Maker) -> None:
    """Two packs have changed their names."""
    one, two = (maker.account.blobs.blobs[name].data for name in maker.blobs("packs/"))
    maker.put(maker.blobs("packs/")[0], two)
    maker.put(maker.blobs("packs/")[1], one)


@damage
def planted_pack(maker: Maker) -> None:
    """There is a pack that nobody made."""
    maker.put("vault/packs/20261127T000000Z-00000000000000aa", b"azbkpak1" + bytes(100))


@damage
def planted_under_an_old_key(maker: Maker) -> None:
    """The data key was renewed, and somebody with the old one has put two more snapshots there since."""
    owner = maker.account
    maker.account = owner.clone(maker.folder / "thief")
    maker.account.home.mkdir()
    maker.make()
    maker.backup()
    maker.change(2)
    maker.backup()
    thief, maker.account = maker.account, owner
    maker.run("change_password", "--rotate-key", "--yes", AZBACKUP_NEW_PASSWORD=PASSWORD)
    owner.table.rows.update({row: value for row, value in thief.table.rows.items() if row not in owner.table.rows})
    owner.blobs.blobs.update({name: blob for name, blob in thief.blobs.blobs.items() if name not in owner.blobs.blobs})


@damage
def lost_row(maker: Maker) -> None:
    """A file record has no row."""
    maker.drop_rows(maker.rows("files-")[0])


@damage
def flipped_row(maker: Maker) -> None:
    """A bit of a pack record's row is another one."""
    maker.alter_row(maker.rows("pack-")[0], flipped)


@damage
def swapped_rows(maker: Maker) -> None:
    """Two snapshots have changed their names."""
    one, two = maker.rows("snapshot-")
    rows = maker.account.table.rows
    rows[one], rows[two] = rows[two], rows[one]


@damage
def renamed_row(maker: Maker) -> None:
    """A snapshot is there under the next number too."""
    maker.account.table.rows["vault", "snapshot-00000003"] = maker.account.table.rows["vault", "snapshot-00000002"]


@damage
def planted_row(maker: Maker) -> None:
    """The next number has a row of zeros."""
    maker.account.table.rows["vault", "snapshot-00000003"] = bytes(200)


@damage
def lost_copy(maker: Maker) -> None:
    """A run's copy of its records is gone."""
    maker.drop(maker.blobs("records/2")[0])


@damage
def flipped_copy(maker: Maker) -> None:
    """A bit of a copy is another one."""
    maker.alter(maker.blobs("records/2")[0], flipped)


@damage
def cut_copy(maker: Maker) -> None:
    """The end of a copy is gone."""
    maker.alter(maker.blobs("records/2")[0], cut)


@damage
def cut_copy_and_lost_rows(maker: Maker) -> None:
    """The end of a copy is gone, and its file records' rows."""
    run = maker.blobs("records/2")[0]
    maker.alter(run, cut)
    maker.drop_rows(*maker.rows(f"files-{run.split('/')[-1][:-5]}"))


@damage
def lost_file_record(maker: Maker) -> None:
    """A file record is gone, row and copy."""
    maker.drop(maker.blobs("records/2")[0])
    maker.drop_rows(maker.rows("files-")[1])


@damage
def lost_pack_record(maker: Maker) -> None:
    """A pack record is gone, row and copy."""
    maker.drop(maker.blobs("records/2")[0])
    maker.drop_rows(maker.rows("pack-")[0])


@damage
def lost_snapshot(maker: Maker) -> None:
    """A snapshot is gone, row and copy."""
    maker.drop("vault/records/snapshot-00000001")
    maker.drop_rows(("vault", "snapshot-00000001"))


@damage
def lost_newest_snapshot(maker: Maker) -> None:
    """The newest snapshot is gone, row and copy."""
    maker.drop("vault/records/snapshot-00000002")
    maker.drop_rows(("vault", "snapshot-00000002"))


@damage
def lost_snapshot_row(maker: Maker) -> None:
    """The newest snapshot has no row."""
    maker.drop_rows(("vault", "snapshot-00000002"))


@damage
def garbage_number(maker: Maker) -> None:
    """The next number is taken by garbage."""
    maker.put("vault/records/snapshot-00000003", b"azbkrec1 and garbage")


@damage
def garbage_number_far_away(maker: Maker) -> None:
    """A number far away is taken by garbage."""
    maker.put("vault/records/snapshot-99999999", b"azbkrec1 and garbage")


@damage
def lost_table(maker: Maker) -> None:
    """There are no rows."""
    maker.account.table.rows.clear()


@damage
def lost_key_row(maker: Maker) -> None:
    """The key has no row."""
    maker.drop_rows(("vault", "key"))


@damage
def lost_key_copy(maker: Maker) -> None:
    """The key has no copy."""
    maker.drop(*maker.blobs("records/key-"))


@damage
def lost_key(maker: Maker) -> None:
    """The key is gone, row and copy."""
    maker.drop_rows(("vault", "key"))
    maker.drop(*maker.blobs("records/key-"))


@damage
def planted_key_copy(maker: Maker) -> None:
    """There is garbage among the key's copies."""
    maker.put("vault/records/key-00000002", b"azbkrec1 and garbage")


@damage
def extended_copy(maker: Maker) -> None:
    """A copy has more than it had."""
    maker.alter(maker.blobs("records/2")[0], extended)


# --- what is kept of each, and what has to come of it

COMMANDS: dict[str, list[str]] = {
    "snapshots": ["restore", "--snapshots"],
    "list": ["restore", "--list", "--snapshot", "NEWEST"],
    "verify": ["restore", "--verify"],
    "restore": ["restore", "--snapshot", "NEWEST", "DESTINATION"],
    "backup": ["backup", "--tier", "hot", "SOURCE"],
    "change_password": ["change_password"],
    "repair": ["backup", "--repair"],
    "verify after the repair": ["restore", "--verify"],
}


@dataclass(frozen=True)
class Frozen:
    """A vault as it is kept."""

    name: str
    values: dict[str, Any]

    @property
    def is_damaged(self) -> bool:
        """Whether it shows damage, not a feature."""
        return bool(self.values["damaged"])

    def account(self, home: Path) -> MemoryAccount:
        """Return it as an account, a month later, with a machine that has not seen it."""
        found = MemoryAccount(home, "vault", PASSWORD)
        now = found.blobs.now
        found.blobs.now -= 30 * _DAY
        with tempfile.TemporaryDirectory() as name:
            self.unpack(Path(name))
            in_memory.load(Path(name), "vault", found.blobs, found.table)
        found.blobs.now = now
        return found

    def unpack(self, directory: Path) -> None:
        """Lay it out as tests/vectors/storage.py says: what docs/reader.py reads."""
        for folder in ("packs", "records"):
            (directory / folder).mkdir()
        for name, data in self.blobs.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(base64.b64decode(data))
        (directory / "rows.json").write_text(json.dumps(list(self.rows.values())))

    @property
    def blobs(self) -> dict[str, str]:
        """The blobs, in base64, by their names below the partition."""
        return self._all("blobs")

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows as JSON has them, by name."""
        return self._all("rows")

    def _all(self, what: str) -> dict[str, Any]:
        below = load(PLAIN).values[what] if self.is_damaged else {}
        return {name: value for name, value in {**below, **self.values[what]}.items() if value is not None}

    def says(self, folder: Path) -> dict[str, Any]:
        """What every command says about it now."""
        source = folder / "new source"
        source.mkdir()
        (source / "new").write_text("of today\n")
        found = {}
        account = self.account(folder / "home")
        for what, command in COMMANDS.items():
            if "after" not in what:  # each alone, on a machine without a cache
                home = folder / what
                home.mkdir()
                account = self.account(home)
            newest = max(self.values["trees"], key=int)
            places = {"DESTINATION": str(folder / "restored"), "SOURCE": str(source), "NEWEST": newest}
            script, *arguments = [places.get(word, word) for word in command]
            done = account.run(script, *arguments, AZBACKUP_NEW_PASSWORD="a new password, long enough")
            found[what] = {"status": done.status, "names": self._named(done)}
        return found

    def _named(self, done: Done) -> list[str]:
        """Which of its records, packs and paths a command names."""
        told = [event for event in done.events if event["event"] not in ("summary", "snapshot", "entry", "begin")]
        text = json.dumps(told) + done.stderr
        names = {name for name in _STAMP.findall(text) if name.rpartition("Z-")[0][-15:] <= self.values["until"]}
        paths = {f"path {event['path']}" for event in done.of("problem")}
        return sorted(names | set(_NUMBER.findall(text)) | paths)


def load(name: str) -> Frozen:
    """Return one that is kept."""
    return Frozen(name, json.loads((FROZEN / f"{name}.json").read_text()))


def tree_hash(root: Path) -> str:
    """The SHA-256 of all that is compared of a tree."""
    return hashlib.sha256(json.dumps(golden.describe(root), sort_keys=True).encode()).hexdigest()


def _dumped(maker: Maker) -> tuple[dict[str, str], dict[str, Any]]:
    """The blobs and rows of an account."""
    dumped = maker.folder / "dump"
    in_memory.dump(maker.account.blobs, maker.account.table, "vault", dumped)
    files = [path for path in sorted(dumped.glob("*/**/*")) if path.is_file()]
    blobs = {str(path.relative_to(dumped)): path.read_bytes() for path in files}
    every = json.loads((dumped / "rows.json").read_text())
    rows = {f"{row.get('PartitionKey', '')} {row['RowKey']}".strip(): row for row in every}
    return {name: base64.b64encode(data).decode() for name, data in blobs.items()}, rows


def _difference(whole: dict[str, Any], below: dict[str, Any]) -> dict[str, Any]:
    """What is to be put over `below`: None for what is gone."""
    changed = {name: value for name, value in whole.items() if below.get(name) != value}
    return {**changed, **dict.fromkeys(below.keys() - whole.keys())}


def _write(name: str, make: Make, *, damaged: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            maker = Maker(Path(folder))
            if damaged:
                maker.account = load(PLAIN).account(maker.account.home)
            make(maker)
        finally:
            shutil.rmtree(SOURCE, ignore_errors=True)
        blobs, rows = _dumped(maker)
    if damaged:
        blobs, rows = _difference(blobs, load(PLAIN).blobs), _difference(rows, load(PLAIN).rows)
    values = {
        "what": (make.__doc__ or "").strip(),
        "damaged": damaged,
        "until": time.strftime("%Y%m%dT%H%M%S", time.gmtime()),
        "rows": rows,
        "blobs": blobs,
        "trees": load(PLAIN).values["trees"] if damaged else maker.trees,
    }
    time.sleep(1)  # whatever is named from now on is later
    with tempfile.TemporaryDirectory() as folder:
        values["says"] = Frozen(name, values).says(Path(folder))
    text = json.dumps(values, separators=(",", ":"), sort_keys=True) + "\n"
    (FROZEN / f"{name}.json").write_text(text)
    with SUMS.open("a") as sums:
        sums.write(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}.json\n")


def main(arguments: list[str]) -> int:
    """Write those that are missing, or name those that are there."""
    os.umask(0o022)
    FROZEN.mkdir(exist_ok=True)
    for name, make in [*FEATURES.items(), *DAMAGES.items()]:
        there = (FROZEN / f"{name}.json").exists()
        if not there and arguments == ["--write"]:
            _write(name, make, damaged=name in DAMAGES)
        sys.stdout.write(f"{name}\n" if there else f"{name} (new)\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
