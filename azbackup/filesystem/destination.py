"""The last step of a restore: entries become files below one directory, and nowhere else.

Promises: a file gets its name only when all of its bytes and its metadata are right and on the disk, by rename from a
temporary name; directories get their metadata last. Files are synced in batches beside the run: `put` what is whole,
or `write` and `prepare`; `settle` lets appear what is on the disk. Whatever is made or changed is acted on by
descriptor. Refuses to remove what is there, but by `remove`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial

from azbackup.errors import AzbackupError
from azbackup.filesystem.aside import Aside, remove
from azbackup.filesystem.directories import Directories, Unwritable, split
from azbackup.filesystem.existing import Existing
from azbackup.filesystem.metadata import TYPES, MetadataWriter
from azbackup.filesystem.places import Place, at_name
from azbackup.filesystem.resuming import Resuming
from azbackup.filesystem.scanner import scan
from azbackup.filesystem.temporaries import Temporaries, is_temporary
from azbackup.filesystem.underway import Underway
from azbackup.format.model import Entry, Kind


def open_destination(path: bytes | None, *, privileges: bool = True, owners: bool = True) -> Destination:
    """The directory, made when it is not there. Raises AzbackupError if it cannot be made or written to.

    `owners`: whether they are set, where that may be done.
    """
    assert path is not None, "only a plan has no destination"
    shown = os.fsdecode(path)
    try:
        made = _make_root(path)
        owner = owners and os.geteuid() == 0
        destination = Destination(path, owner=owner, made=made, privileges=privileges)
    except (FileExistsError, NotADirectoryError):
        raise AzbackupError(f"the destination is not a directory: {shown}", "give a directory") from None
    except OSError as error:
        raise AzbackupError(
            f"cannot make the destination {shown}: {error.strerror}", "give another directory"
        ) from None
    if not destination.is_usable():
        destination.close()
        raise AzbackupError(f"the destination is not writable: {shown}", "check its permissions, or give another one")
    return destination


def _make_root(path: bytes) -> bool:
    """Makes the directory and those above it; whether it was not there."""
    if os.path.isdir(path):
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.mkdir(path, 0o700)
    return True


def already_holds(path: bytes, own: Callable[[bytes], bool]) -> bytes | None:
    """The first path below the destination that is not its `own`; None when only the writer's leftovers are."""
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for found in scan(root):
            name = found.path.rpartition(b"/")[2]
            if found.path and not own(found.path) and not found.gone and not is_temporary(name):
                return found.path
    finally:
        os.close(root)
    return None


class Destination:
    """The directory that is restored into."""

    def __init__(self, directory: bytes, *, owner: bool, made: bool = False, privileges: bool = True) -> None:
        """Opens the directory, which exists, or was `made` for this run.

        `owner`: whether uid and gid are set (only root may); `privileges`: whether what grants them comes back.
        """
        self._directories = Directories(directory, owner=owner, made=made)
        self._metadata = MetadataWriter(owner=owner, privileges=privileges)
        self._temporaries = Temporaries(self._directories)
        self.existing = Existing(self._directories, self._metadata, self._temporaries)
        self.resuming = Resuming(self._temporaries)
        self.replaced: set[bytes] = set()  # what is there of another kind, and makes room
        self.aside: Aside | None = None  # where what makes room is kept
        self._privileges = privileges
        self._files = Underway(self._directories, self._temporaries, self._metadata, self._make_room, self._is_plain)

    def close(self) -> None:
        """Lets what is complete appear, removes other temporary files, and lets go of the directory.

        What was written of large files stays for the next run, unless the disk has failed.
        """
        self._files.close()
        self._directories.close()

    @property
    def notes(self) -> list[str]:
        """A line for everything that could not be set here."""
        return self._metadata.notes.lines()

    def is_usable(self) -> bool:
        """Whether files may be made in it; a mode that its own user can change keeps nobody out."""
        status = os.fstat(self._directories.root)
        return status.st_uid == os.geteuid() or os.access(
            b".", os.W_OK | os.X_OK | os.R_OK, dir_fd=self._directories.root
        )

    # --- directories

    def make_directory(self, entry: Entry) -> None:
        """The directory, writable for now; `finish_directory` gives it its metadata when all is in it."""
        self._make_room(entry.path)
        descriptor = self._directories.let_in(entry.path)
        if entry.path not in self._directories.made:
            self._temporaries.clean(descriptor)

    def finish_directory(self, entry: Entry) -> None:
        """The directory's own metadata. To be called for the deepest directories first."""
        self._metadata.describe(entry, self._directories.at(entry.path))
        self._directories.settled(entry.path)

    # --- files

    def put(self, entry: Entry, data: bytes | memoryview) -> None:
        """Writes a file of which this is all; what has become of it `settle` says."""
        self._files.put(entry, data)

    def write(self, entry: Entry, offset: int, data: bytes | memoryview) -> None:
        """Writes a piece of a file into its temporary, which the first piece makes."""
        self._files.write(entry, offset, data)

    @property
    def is_due(self) -> bool:
        """Whether it is time to settle, without waiting."""
        return self._files.is_due

    def prepare(self, entry: Entry) -> None:
        """Size and metadata of a file whose pieces are all written."""
        self._files.prepare(entry)

    def settle(self, *, wait: bool = True) -> Iterator[tuple[bytes, Exception | None]]:
        """Files that are complete and on the disk get their names; each path, with the error if it could not.

        All of them, unless it does not `wait`. Raises OSError when they could not be brought to the disk.
        """
        return self._files.settle(wait=wait)

    def sync(self) -> None:
        """Brings to the disk everything that was written so far. Raises OSError."""
        self._files.file_systems.sync()

    def discard(self, path: bytes) -> None:
        """Removes the temporary of a file that will not be finished."""
        self._files.discard(path)

    # --- everything else

    def make_special(self, entry: Entry) -> None:
        """A symlink, fifo or device, with its metadata, by rename."""
        if entry.kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE) and not self._privileges:
            raise Unwritable("a device is left out by --no-special-modes")

        def make(name: bytes, directory: int) -> None:
            _make_special(entry, name, directory)
            at_name(name, directory, partial(self._describe_special, entry))

        self._temporaries.special(entry.path, make)
        self._make_room(entry.path)
        self._temporaries.appear(entry.path)

    def _describe_special(self, entry: Entry, where: Place, status: os.stat_result) -> None:
        """Sets the metadata of what was just made, once it is known to be that."""
        ours = status.st_uid == os.geteuid() and status.st_nlink == 1
        if stat.S_IFMT(status.st_mode) != TYPES[Kind(entry.kind)] or not ours:
            raise Unwritable("it was exchanged by somebody else while it was made")
        self._metadata.describe(entry, where)

    def can_link(self) -> bool:
        """Whether files can have several names here."""
        return self._temporaries.can_link(b"")

    def make_link(self, path: bytes, leader: bytes, identity: tuple[int, int] | None) -> None:
        """A hard link to a file that was restored before, or was there, with this device and inode."""
        identity = self._files.identity(leader, identity)
        if identity is None:
            raise Unwritable(f"it is a hard link to {os.fsdecode(leader)}, which could not be restored")
        above, leader_name = split(leader)
        # Two descriptors at once: the second call may let go of the first one's, so that one is held apart.
        source = os.dup(self._directories.at(above))
        try:

            def make(name: bytes, directory: int) -> None:
                os.link(leader_name, name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)

            made = self._temporaries.special(path, make)
            if made.identity != identity and self._directories.is_exposed(above):
                self._temporaries.discard(path)
                raise Unwritable(f"{os.fsdecode(leader)}, of which it is a hard link, was exchanged by somebody else")
            self._make_room(path)
            self._temporaries.appear(path)
        finally:
            os.close(source)

    def mend(self, entry: Entry) -> None:
        """Sets the metadata of a file whose contents are right."""
        parent, name = split(entry.path)

        def describe(where: Place, status: os.stat_result) -> None:
            if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
                raise Unwritable("it was exchanged by somebody else meanwhile")
            self._metadata.describe(entry, where)

        at_name(name, self._directories.at(parent, make=False), describe)

    # --- removing, only where it was asked for

    def set_aside(self) -> None:
        """From now on what makes room is kept."""
        self.aside = Aside(self._directories)

    def _is_plain(self, path: bytes) -> bool:
        """Whether a file takes its name and nothing makes room for it."""
        return self.aside is None and path not in self.replaced

    def _make_room(self, path: bytes) -> None:
        """Removes what is of another kind than what is going to be there, or sets aside whatever differs from it."""
        if self.aside is not None:
            new = None if path in self.replaced else self._temporaries.all.get(path)
            if new is not None or path in self.replaced:
                self.replaced.discard(path)
                self.aside.keep(path, new)
        elif path in self.replaced:
            self.replaced.discard(path)
            for found in [found.path for found in self.existing.below(path)][::-1]:
                self.remove(found)
            self.remove(path)

    def remove(self, path: bytes) -> bool:
        """Removes a file or an empty directory; whether it was there, and could be removed."""
        return remove(self._directories, path)


def _make_special(entry: Entry, name: bytes, directory: int) -> None:
    if entry.kind == Kind.SYMLINK:
        os.symlink(entry.target, name, dir_fd=directory)
        return
    try:
        if entry.kind == Kind.FIFO:
            os.mkfifo(name, 0o600, dir_fd=directory)
        else:
            os.mknod(name, TYPES[Kind(entry.kind)] | 0o600, entry.rdev, dir_fd=directory)
    except NotImplementedError:
        raise Unwritable("this system cannot make it in an open directory") from None
    except PermissionError as error:
        if error.errno == errno.EPERM and entry.kind != Kind.FIFO:
            raise Unwritable("only root can make a device") from None
        raise
