"""`make demo`: the three scripts at work on a real Azurite, each command as one would type it.

Backs up a directory twice, changes the password, restores with the new one, compares byte by byte,
and shows that the old password is refused. Promises exit status 0 only if all of that is so, and
to leave no process behind; the files stay, for a look, and it says where. Writes only below a
temporary directory of its own: the directory that is backed up is only read.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from azbackup.cli.output.text import count_text, size_text
from emulator.azurite import AzuriteError, Endpoints, running_azurite
from emulator.trees import count_files, differences, make_sample

_REPOSITORY = Path(__file__).resolve().parent.parent
_OLD, _NEW = "old lamp orbit tulip gravel", "new fern pocket walrus tin"
_DONE, _WRONG_PASSWORD, _THAWING = 0, 12, 75
_MOST_RUNS = 20  # of one restore, while packs thaw


class DemoError(Exception):
    """Something did not go as the demo promises; the message says what."""


@dataclass(frozen=True)
class Shell:
    """Runs the scripts in the environment that the demo's user would have."""

    environment: dict[str, str]

    def run(self, script: str, *arguments: str, expected: int = _DONE) -> None:
        """Show a command line, run it, and insist on its exit status. Raises DemoError."""
        status = self.status_of(script, *arguments)
        if status == expected == _WRONG_PASSWORD:
            say(f"(exit status {status}: refused, as it should be)")
        if status != expected:
            raise DemoError(f"{script} ended with exit status {status} instead of {expected}")

    def restore(self, *arguments: str) -> None:
        """Run restore.py, again and again while it says that packs are thawing."""
        for _ in range(_MOST_RUNS):
            status = self.status_of("restore.py", *arguments)
            if status == _DONE:
                return
            if status != _THAWING:
                raise DemoError(f"restore.py ended with exit status {status}")
            say("(exit status 75: packs are thawing; the same command goes on)")
        raise DemoError(f"restore.py was still thawing after {_MOST_RUNS} runs")

    def status_of(self, script: str, *arguments: str) -> int:
        """Show a command line, run it with its output on the terminal, return its exit status."""
        say(f"$ {shlex.join(['python', script, *arguments])}", style="1")
        command = [sys.executable, str(_REPOSITORY / script), *arguments]
        return subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, check=False).returncode


def say(text: str = "", style: str = "") -> None:
    """Print a line, in bold or colour when a terminal is there to show it."""
    if style and sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        text = f"\033[{style}m{text}\033[0m"
    print(text, flush=True)


def step(number: int, text: str) -> None:
    """Print a heading."""
    say(f"\n{number}. {text}", style="1;36")


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return 0 if everything was as promised, else 1."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="Back up, change the password, restore, compare; no Azure."
    )
    parser.add_argument("directory", nargs="?", type=Path, help="what to back up (a sample)")
    options = parser.parse_args(arguments)
    if options.directory is not None and not options.directory.is_dir():
        parser.error(f"DIR is not a directory: {options.directory}")
    workspace = Path(tempfile.mkdtemp(prefix="azbackup-demo-"))
    try:
        source = _source(options.directory, workspace)
        say("Starting Azurite, Microsoft's emulator of Azure Storage ...")
        with running_azurite(workspace / "azurite") as azurite:
            _play(azurite, source, workspace)
    except (DemoError, AzuriteError) as error:
        say(f"\ndemo: FAILED: {error}", style="1;31")
        say(f"hint: everything is still in {workspace}")
        return 1
    except KeyboardInterrupt:
        say(f"\ndemo: interrupted; what there is so far is in {workspace}")
        return 130
    _say_where(source, workspace)
    return 0


def _play(azurite: Endpoints, source: Path, workspace: Path) -> None:
    shell = Shell(_environment(azurite, workspace))
    restored = workspace / "restored"
    vault = ("--account", azurite.account, "--partition", "user1")
    say("Its account key and addresses are in the environment, as for any Azure account:")
    say(f"$ export AZURE_STORAGE_CONNECTION_STRING='{azurite.connection_string}'", style="2")

    step(1, f"Back up {_size_of(source)}")
    shell.run("backup.py", *vault, "--password", _OLD, str(source))
    step(2, "Back it up again: nothing has changed, so nothing is read or uploaded")
    shell.run("backup.py", *vault, "--password", _OLD, str(source))
    step(3, "What Azure holds now: packs in the archive tier, small sealed records online")
    _show_blobs(azurite)
    step(4, "Change the password: the data key is wrapped anew, no data is touched")
    shell.run("change_password.py", *vault, "--old-password", _OLD, "--new-password", _NEW)
    step(5, "Restore with the new password: archived packs are thawed on the way")
    shell.restore(*vault, "--password", _NEW, str(restored))
    step(6, "Compare what was restored with the original")
    _compare(source, restored)
    step(7, "The old password opens nothing any more")
    refused = workspace / "refused"
    shell.run("restore.py", *vault, "--password", _OLD, str(refused), expected=_WRONG_PASSWORD)
    if refused.exists() and any(refused.iterdir()):
        raise DemoError(f"the old password restored something into {refused}")


def _source(directory: Path | None, workspace: Path) -> Path:
    """Return the absolute path of what to back up."""
    if directory is None:
        sample = workspace / "sample"
        make_sample(sample)
        return sample
    return directory.resolve()


def _environment(azurite: Endpoints, workspace: Path) -> dict[str, str]:
    """Return this environment, less what the demo's user set for another account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "AZBACKUP_"))}
    return {
        **kept,
        "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string,
        "XDG_CACHE_HOME": str(workspace / "cache"),
    }


def _size_of(source: Path) -> str:
    paths, size_bytes = count_files(source)
    return f"{paths} paths with {size_text(size_bytes)} in {source}"


def _show_blobs(azurite: Endpoints) -> None:
    """Sum up the blobs by folder and tier."""
    blobs: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    with BlobServiceClient.from_connection_string(azurite.connection_string) as client:
        for container in client.list_containers():
            for blob in client.get_container_client(container.name).list_blobs():
                folder = f"{container.name}/{blob.name.rpartition('/')[0]}"
                blobs[folder, str(blob.blob_tier)] += 1
                sizes[folder, str(blob.blob_tier)] += int(blob.size or 0)
    for (folder, tier), count in sorted(blobs.items()):
        say(f"   {folder:<26} {count_text(count, 'blob'):>8} {size_text(sizes[folder, tier]):>10}  {tier}")
    if not blobs:
        raise DemoError("there is no blob in Azurite after two backups")


def _compare(source: Path, restored: Path) -> None:
    found = differences(source, restored)
    if found:
        for line in found[:20]:
            say(f"   {line}")
        raise DemoError(f"{len(found)} differences between {source} and {restored}")
    say(f"   the same, byte by byte, with modes and times: {_size_of(restored)}", style="32")


def _say_where(source: Path, workspace: Path) -> None:
    say("\nDone: all as promised, and nothing is left running.", style="1;32")
    say(f"   original   {source}")
    say(f"   restored   {workspace / 'restored'}")
    say(f"   Azurite    {workspace / 'azurite'}")
    go_on = shlex.join([sys.executable, "-m", "emulator.archive", "--location", str(workspace / "azurite")])
    say(f"Go on with it:  cd {shlex.quote(str(_REPOSITORY))} && {go_on}")
    say(f"Remove it:      rm -r {shlex.quote(str(workspace))}")


if __name__ == "__main__":
    raise SystemExit(main())
