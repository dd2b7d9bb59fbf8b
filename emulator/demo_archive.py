"""`make demo-archive`: a restore from a slow archive tier, each command as one would type it.

Backs up a directory in two runs, asks what a restore would take, restores while the packs thaw (exit status 75), lets
fifteen hours pass at once, and runs the same command again. Promises exit status 0 only if the copy is the same byte
by byte, each pack was asked for once, and nothing is left in the staging container; leaves no process and no file.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from azbackup.cli.output.text import size_text
from emulator.archive import ArchiveSimulator, archive_simulator
from emulator.azurite import AzuriteError, Endpoints, running_azurite
from emulator.demo import DemoError, Shell, say, step
from emulator.trees import count_files, differences, make_sample

_PASSWORD = "my lamp orbit tulip gravel"  # noqa: S105 - of the demo, shown on purpose
_STANDARD_SECONDS = 15 * 3600.0  # what Azure documents, at most
_HIGH_SECONDS = 3600.0
_THAWING = 75
_STAGING = "azbackup-thawed"


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return 0 if everything was as promised, else 1."""
    argparse.ArgumentParser(
        prog="make demo-archive", description="A restore that pends, is run again, and completes; no Azure account."
    ).parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="azbackup-demo-") as workspace:
            say("Starting Azurite, and in front of it an archive tier that takes its time ...")
            with (
                running_azurite() as azurite,
                archive_simulator(azurite, thaw_seconds=_STANDARD_SECONDS, high_thaw_seconds=_HIGH_SECONDS) as archive,
            ):
                _play(azurite, archive, Path(workspace))
    except (DemoError, AzuriteError) as error:
        say(f"\ndemo-archive: FAILED: {error}", style="1;31")
        return 1
    except KeyboardInterrupt:
        say("\ndemo-archive: interrupted; nothing is left running")
        return 130
    say("\nDone: all as promised, and nothing is left running.", style="1;32")
    return 0


def _play(azurite: Endpoints, archive: ArchiveSimulator, workspace: Path) -> None:
    source, restored = workspace / "documents", workspace / "restored"
    make_sample(source)
    shell = Shell(_environment(archive, workspace))
    vault = ("--partition", "user1")
    say("Account, key and password are in the environment, as for any Azure account.")

    step(1, "Two backups, so that there are two packs in the archive tier")
    shell.run("backup.py", *vault, str(source))
    (source / "letters" / "a late letter.txt").write_text("It came in the evening, and cost one small pack.\n")
    shell.run("backup.py", *vault, str(source))

    step(2, "What would a restore take? Nothing is changed by asking")
    shell.run("restore.py", *vault, "--plan")

    step(3, "Restore: copies of the packs are asked for, and the run ends with exit status 75")
    shell.run("restore.py", *vault, str(restored), expected=_THAWING)

    step(4, "Too early: nothing is asked for twice, however often it is run and from whichever host")
    shell.run("restore.py", *vault, str(restored), expected=_THAWING)
    _show_staging(azurite)

    step(5, "Fifteen hours pass (the simulator's clock is set forward)")
    archive.advance(_STANDARD_SECONDS)

    step(6, "The same command goes on where it stopped, and cleans up")
    shell.run("restore.py", *vault, str(restored))

    step(7, "What came of it")
    _check(azurite, archive, source, restored)


def _environment(archive: ArchiveSimulator, workspace: Path) -> dict[str, str]:
    """Return this environment, less what the demo's user set for another account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "AZBACKUP_"))}
    return {
        **kept,
        "AZURE_STORAGE_CONNECTION_STRING": archive.connection_string,
        "AZBACKUP_PASSWORD": _PASSWORD,
        "XDG_CACHE_HOME": str(workspace / "cache"),
    }


def _staged(azurite: Endpoints) -> list[str]:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as client:
        return sorted(client.get_container_client(_STAGING).list_blob_names())


def _show_staging(azurite: Endpoints) -> None:
    say(f"   in the container {_STAGING}: the copies to be, and the mark of the restore that waits for them")
    for name in _staged(azurite):
        say(f"   {name}")


def _check(azurite: Endpoints, archive: ArchiveSimulator, source: Path, restored: Path) -> None:
    """Say what was compared and counted. Raises DemoError."""
    found = differences(source, restored)
    if found:
        raise DemoError(f"{len(found)} differences between {source} and {restored}: {found[0]}")
    paths, size_bytes = count_files(restored)
    say(f"   the same, byte by byte, with modes and times: {paths} paths, {size_text(size_bytes)}", style="32")
    asks = [entry for entry in archive.requests if "x-ms-copy-source" in entry.request.headers]
    copies = Counter(entry.path for entry in asks if entry.status == 202)
    if len(copies) != 2 or max(copies.values()) != 1 or len(asks) != 2:
        raise DemoError(f"{len(asks)} copies were asked for, {dict(copies)} accepted, instead of one for each pack")
    say("   each of the 2 packs was asked for once, in three runs of restore.py", style="32")
    left = _staged(azurite)
    if left:
        raise DemoError(f"{left} is still in the staging container")
    say("   nothing is left in the staging container: nothing bills on", style="32")


if __name__ == "__main__":
    sys.exit(main())
