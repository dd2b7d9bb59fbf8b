"""What is left out of a backup, decided path by path while the tree is scanned, before anything below it is opened.

    the command line's patterns -> files .azbackupignore, the nearest first -> the preset; the first that knows decides

Promises: the source itself is never left out; a rule that cannot be read leaves nothing out and is said; a directory
that is left out is not entered; nobody has another user's files left out. File systems that the kernel makes (/proc,
/sys ...) are left out below a source on another one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection
from typing import NamedTuple

from azbackup.commands.backup.rules import Rules
from azbackup.errors import UsageError
from azbackup.filesystem.mounts import pseudo_devices
from azbackup.filesystem.scanner import ScannedPath, entry_of, same_moment
from azbackup.format.model import Entry, Kind
from azbackup.records.patterns import IGNORE_FILE, Pattern, PatternList

PSEUDO = "a pseudo file system"
OTHER = "another file system (--one-file-system)"
_TAG, _SIGNATURE = b"CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55"  # bford.info/cachedir
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_IGNORE_BYTES = 1024 * 1024
_UNUSED = "so nothing is left out by it"


class _IgnoreFile(NamedTuple):
    """The patterns of a directory, whose path has a slash at its end (bare for the source)."""

    below: bytes
    patterns: PatternList


class Exclusions:
    """The filter of one pass over the tree. Made once, used once."""

    def __init__(self, rules: Rules, pseudo: Callable[[], frozenset[int]] = pseudo_devices) -> None:
        """`pseudo` gives the devices of pseudo file systems; asked for when a second file system is met."""
        self._rules = rules
        self._pseudo_devices = pseudo
        self._pseudo: frozenset[int] | None = None
        self._plain: set[int] = set()  # devices that are no pseudo file systems
        self._device: int | None = None  # the source's
        self._ignores: list[_IgnoreFile] = []  # from the source down to the directory in hand
        self._said: dict[bytes, tuple[str, Entry | None]] = {}  # of ignore files: what is wrong, and how it looked
        self._any = bool(rules.patterns or rules.preset or rules.larger_than is not None)
        self.mounts: dict[str, list[bytes]] = {}  # what was not entered, by the reason

    # --- Filter

    def judge(self, found: ScannedPath) -> None:
        """Leaves a path out if a rule says so; says what is wrong with a file of rules."""
        entry = found.entry
        if self._said and found.path in self._said:
            self._complain(found)
        if self._ignores:
            while self._ignores and not found.path.startswith(self._ignores[-1].below):
                self._ignores.pop()
        if self._any or self._ignores:
            self._judge_name(found)
        if entry is None:
            return
        if entry.device not in self._plain and not found.left_out:
            self._judge_device(found, entry)

    def enter(self, found: ScannedPath, descriptor: int, names: Collection[bytes]) -> None:
        """Reads a directory's own rules, and leaves it out if it is marked as one that is not wanted."""
        if self._device is None:  # the source itself
            self._device = found.entry.device if found.entry is not None else 0
            self._plain.add(self._device)
        owner = found.entry.uid if found.entry is not None else 0
        if found.path and (why := self._mark(descriptor, names, owner)):
            found.left_out = why
            return
        if IGNORE_FILE in names:
            self._read(found.path + b"/" if found.path else b"", descriptor, owner)

    # --- rules

    def _judge_name(self, found: ScannedPath) -> None:
        """Leaves out what a pattern matches. What cannot be looked at (others' FUSE mounts) is what it is listed as."""
        entry = found.entry
        if entry is None:
            directory = self._rule_for(found, "/") if found.listed_as != "other" else ""
            other = self._rule_for(found, "") if found.listed_as != "directory" else ""
            # Of what may be either it has to hold for both.
            found.left_out = directory or other if found.listed_as else directory and other
        else:
            found.left_out = self._rule_for(found, "/" if entry.kind == Kind.DIRECTORY else "")
        if found.left_out:
            found.error = ""  # nobody wants to know

    def _rule_for(self, found: ScannedPath, slash: str) -> str:
        """The rule that leaves a path out, '' for none."""
        name = found.name + slash
        hit = self._rules.patterns.last(os.fsdecode(found.path) + slash, name) if self._rules.patterns else None
        for ignore in reversed(self._ignores) if hit is None else ():
            hit = ignore.patterns.last(os.fsdecode(found.path[len(ignore.below) :]) + slash, name)
            if hit is not None:
                break
        if hit is None and self._rules.preset:
            hit = self._rules.preset.last(os.fsdecode(found.path) + slash, name)
        if hit is not None and not hit.brings_back:
            return str(hit)
        most = self._rules.larger_than
        size = found.entry.size if found.entry is not None else 0
        return "--exclude-larger-than" if most is not None and size > most else ""

    def _judge_device(self, found: ScannedPath, entry: Entry) -> None:
        """Leaves out what is on a pseudo file system, or, if that was asked for, on another one than the source."""
        if self._pseudo is None:
            self._pseudo = self._pseudo_devices()
        why = ""
        if entry.device in self._pseudo and entry.device != self._device:
            why = PSEUDO
        elif self._rules.one_file_system and entry.kind == Kind.DIRECTORY and entry.device != self._device:
            why = OTHER  # directories alone: on overlays a file may have a device of its own
        elif not self._rules.one_file_system:
            self._plain.add(entry.device)
        if why:
            found.left_out, found.hollow = why, entry.kind == Kind.DIRECTORY
            self.mounts.setdefault(why, []).append(found.path)

    def _mark(self, descriptor: int, names: Collection[bytes], owner: int) -> str:
        for name in self._rules.present:
            if name in names and _is_trusted(descriptor, name, owner):
                return f"--exclude-if-present {os.fsdecode(name)}"
        tagged = self._rules.caches and _TAG in names and _starts_with(descriptor, _TAG, _SIGNATURE)
        if tagged and _is_trusted(descriptor, _TAG, owner):
            return "--exclude-caches"
        return ""

    # --- files of rules

    def _read(self, below: bytes, descriptor: int, owner: int) -> None:
        """Takes the patterns of a directory's ignore file. It is used as a whole, or not at all.

        Whoever may make files in a directory of another user's could otherwise have that user's files left out.
        """
        path = below + IGNORE_FILE
        try:
            text, entry = _contents(descriptor, path)
            if entry is not None and not _may_rule(entry.uid, owner):
                raise OSError(0, "it belongs to another user than its directory")
            lines = text.removeprefix("\ufeff").split("\n")
            patterns = PatternList(Pattern(line.removesuffix("\r"), os.fsdecode(path)) for line in lines)
        except OSError as error:
            why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
            self._said[path] = f"its patterns cannot be read: {why}; {_UNUSED}", None
        except UsageError as error:
            self._said[path] = f"{error.message.partition(' has ')[2]}; {_UNUSED}", None
        else:
            self._said[path] = "", entry
            self._ignores.append(_IgnoreFile(below, patterns))

    def _complain(self, found: ScannedPath) -> None:
        """Tells, when an ignore file itself is in hand, what was wrong with it, or that it is another one by now."""
        wrong, before = self._said.pop(found.path)
        now = found.entry
        if not wrong and (before is None or now is None or not same_moment(before, now)):
            wrong = "it changed while the directory was scanned: what was left out is by its earlier contents"
        if wrong:
            found.odd = wrong


def _contents(directory: int, path: bytes) -> tuple[str, Entry | None]:
    """(the text of an ignore file, its entry). Raises OSError if it is not a file that can be read, or a huge one."""
    descriptor = os.open(IGNORE_FILE, _FLAGS, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a regular file")
        data = b""
        while len(data) <= _IGNORE_BYTES and (more := os.read(descriptor, _IGNORE_BYTES + 1)):
            data += more
        if len(data) > _IGNORE_BYTES:
            raise OSError(0, "it has more than 1 MiB")
        return os.fsdecode(data), entry_of(path, status)
    finally:
        os.close(descriptor)


def _may_rule(uid: int, owner: int) -> bool:
    """Whether a user may say what of a directory, which has this owner, is left out."""
    return uid in (0, os.geteuid(), owner)


def _is_trusted(directory: int, name: bytes, owner: int) -> bool:
    """Whether a mark was made by somebody who may rule."""
    try:
        return _may_rule(os.stat(name, dir_fd=directory, follow_symlinks=False).st_uid, owner)
    except OSError:
        return False


def _starts_with(directory: int, name: bytes, expected: bytes) -> bool:
    """Whether a regular file begins with these bytes. One that cannot be read does not: nothing is left out by it."""
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=directory)
    except OSError:
        return False
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and os.read(descriptor, len(expected)) == expected
    except OSError:
        return False
    finally:
        os.close(descriptor)
