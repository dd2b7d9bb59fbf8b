"""The golden partition: what format 1 stored once, and what it opens to for ever.

    python -m tests.vectors.golden            checks that the scripts of today open the stored bytes to the same trees
    python -m tests.vectors.golden --write    stores them; refuses where some are: a released format never changes

It was written by backup.py and change_password.py themselves on Azurite, with two of their surroundings fixed (the
host's name, and how many chunks an entry holds before it goes on in MORE, so that a small partition has one).

    golden/rows.json, packs/, records/    as tests/vectors/storage.py lays them out
    golden/trees.json                     snapshot number -> path -> what stands there
    golden/cuts.json                      the chunks of a stretch of noise under golden's data key
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from blake3 import blake3

from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.packs.hasher import Hasher
from emulator.azurite import running_azurite
from tests.conftest import REPOSITORY, ScriptRunner, Vault
from tests.vectors.storage import dump, load

GOLDEN = Path(__file__).resolve().parent / "golden"
PARTITION = "golden"
SOURCE = Path("/tmp/azbackup-golden")  # a name that is in the stored bytes
FIRST_PASSWORD, PASSWORD = "first password", "second pässword"
CUT_DATA_KEY = bytes(range(32))
NOISE_BYTES = 24 << 20

_RUN = """
import importlib, socket, sys
from azbackup.format import entries
entries.MORE_CHUNKS = 2
socket.gethostname = lambda: "golden"
script = sys.argv.pop(1)
getattr(importlib.import_module(f"azbackup.cli.start_{script}"), f"{script}_main")()
"""


def describe(root: Path) -> dict[str, dict[str, Any]]:
    """Return what stands at each path of a tree, for JSON; owners are whoever runs this."""
    found = {}
    for path in [root, *root.rglob("*")]:
        status = path.lstat()
        entry: dict[str, Any] = {
            "kind": stat.S_IFMT(status.st_mode),
            "mode": 0 if path.is_symlink() else stat.S_IMODE(status.st_mode),
            "mtime_ns": status.st_mtime_ns,
        }
        if path.is_symlink():
            entry["target"] = os.readlink(path)
        elif path.is_file():
            entry |= {"size": status.st_size, "links": status.st_nlink, "sha256": _sha256(path)}
        found[str(path.relative_to(root))] = entry
    return dict(sorted(found.items()))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cuts() -> list[tuple[int, str]]:
    """Return (length, chunk id) of the chunks of a stretch of noise under a fixed data key."""
    hasher = Hasher(derive(Secret(CUT_DATA_KEY)))
    with tempfile.TemporaryFile() as file:
        file.write(blake3(b"golden noise").digest(length=NOISE_BYTES))
        file.flush()
        file.seek(0)
        return [(len(plain), chunk_id.hex()) for chunk_id, plain in hasher.split(file.fileno(), NOISE_BYTES)]


def expected(name: str) -> Any:
    """Return one of the JSON files."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def opened(vault: Vault, runner: ScriptRunner, folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the trees that restore.py makes of the bytes that were loaded into a vault, by snapshot number."""
    found = {}
    for number in ("1", "2"):
        destination = folder / number
        arguments = [*vault.arguments, "--snapshot", number, str(destination)]
        result = runner("restore.py", *arguments, env={**vault.environment, "AZBACKUP_PASSWORD": PASSWORD})
        if result.returncode != 0:
            raise AssertionError(result.stderr)
        found[number] = describe(destination)
    return found


# --- writing them, once


def _make() -> None:
    """A tree with an entry of every kind that needs no root."""
    (SOURCE / "letters").mkdir(parents=True)
    (SOURCE / "letters" / "one.txt").write_text("the first letter\n" * 50)
    (SOURCE / "letters" / "empty").touch()
    (SOURCE / "letters.txt").write_text("comes after what is in letters/\n")
    (SOURCE / os.fsdecode(b"\xff\n odd")).write_bytes(bytes(range(256)))
    (SOURCE / "goes").mkdir()
    (SOURCE / "goes" / "away").write_text("only in the first snapshot\n")
    (SOURCE / "hard").write_text("one file, two names\n")
    (SOURCE / "link").hardlink_to(SOURCE / "hard")
    (SOURCE / "symlink").symlink_to("letters/one.txt")
    os.mkfifo(SOURCE / "fifo")
    with (SOURCE / "zeros").open("wb") as file:  # three chunks of zeros: goes on in MORE
        file.truncate(20 << 20)
    (SOURCE / "hard").chmod(0o4750)
    _age(1_000_000_000_123_456_789)


def _change() -> None:
    (SOURCE / "letters" / "one.txt").write_text("the first letter, changed\n")
    (SOURCE / "letters" / "two.txt").write_text("the second letter\n")
    shutil.rmtree(SOURCE / "goes")
    (SOURCE / "letters").chmod(0o1777)
    _age(-1_234_567_891)


def _age(from_ns: int) -> None:
    for number, path in enumerate(sorted([SOURCE, *SOURCE.rglob("*")], reverse=True)):
        os.utime(path, ns=(from_ns + number, from_ns + number), follow_symlinks=False)


def write() -> None:
    """Store the golden partition. Raises FileExistsError where there is one."""
    GOLDEN.mkdir()
    os.umask(0o022)
    trees = {}
    with running_azurite() as azurite:
        vault = Vault(azurite, PARTITION, container="golden", table="golden")

        def run(name: str, *arguments: str, password: str) -> None:
            environment = {
                **os.environ,
                **vault.environment,
                "AZBACKUP_PASSWORD": password,
                "AZBACKUP_NEW_PASSWORD": PASSWORD,
            }
            command = [sys.executable, "-c", _RUN, name, *vault.arguments, *arguments]
            subprocess.run(command, env=environment, cwd=REPOSITORY, check=True)

        try:
            _make()
            trees["1"] = describe(SOURCE)
            run("backup", str(SOURCE), password=FIRST_PASSWORD)
            run("change_password", password=FIRST_PASSWORD)
            _change()
            trees["2"] = describe(SOURCE)
            run("backup", str(SOURCE), password=PASSWORD)
        finally:
            shutil.rmtree(SOURCE, ignore_errors=True)
        dump(vault, GOLDEN)
    for name, value in (("trees", trees), ("cuts", cuts())):
        (GOLDEN / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


def main(arguments: list[str]) -> int:
    """Write or check; return 0 if all is as it was."""
    if arguments == ["--write"]:
        write()
    with running_azurite() as azurite, tempfile.TemporaryDirectory() as folder:
        vault = Vault(azurite, PARTITION, container="golden", table="golden")
        load(GOLDEN, vault)
        runner = ScriptRunner(Path(folder))
        same = opened(vault, runner, Path(folder)) == expected("trees")
        runner.stop()
    return 0 if same and [list(cut) for cut in cuts()] == expected("cuts") else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
