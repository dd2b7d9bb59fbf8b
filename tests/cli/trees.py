"""The strict comparison of two trees that all tests of the scripts use.

    describe(root)                 what stands at every path, by paths as bytes, the root itself under b""
    differences(expected, found)   one line for each way in which they differ, none when they are the same

Looks at everything that a restore promises: kind, contents, permission bits, modification time in nanoseconds,
owner, link target, hard-link group, extended attributes (POSIX ACLs are among them), device numbers, holes. Every
step is taken relative to its parent's descriptor, so that paths may pass PATH_MAX. Nothing here knows azbackup.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

_BLOCK_BYTES = 1 << 20
# File systems allocate in units of their own, and count some of their own blocks.
_SLACK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Look:
    """What stands at one path; `allocated` in bytes, of regular files only."""

    kind: str
    mode: int
    mtime_ns: int
    owner: tuple[int, int]
    size: int = 0
    digest: str = ""
    target: bytes = b""
    device: int = 0
    attributes: tuple[tuple[str, bytes], ...] = ()
    group: frozenset[bytes] = frozenset()  # the paths of the same file, when there is more than one
    allocated: int = 0


Tree = dict[bytes, Look]

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}


def make_socket(path: Path) -> None:
    """A socket, however long its path is: a socket's address has 107 bytes."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as plug:
            plug.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def describe(root: Path | bytes) -> Tree:
    """Everything below a directory, sockets left out (they are not backed up)."""
    found: Tree = {}
    inodes: dict[tuple[int, int], set[bytes]] = {}
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for path, name, parent, status in _walk(descriptor):
            found[path] = _look(name, parent, status)
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                inodes.setdefault((status.st_dev, status.st_ino), set()).add(path)
    finally:
        os.close(descriptor)
    for group in inodes.values():
        for path in group if len(group) > 1 else ():
            values = {field.name: getattr(found[path], field.name) for field in fields(Look)}
            found[path] = Look(**{**values, "group": frozenset(group)})
    return found


def differences(expected: Path | Tree, found: Path | Tree, *, owner: bool | None = None) -> list[str]:
    """A line for every way in which two trees differ. `owner`: whether owners count; by default for root only."""
    left = expected if isinstance(expected, dict) else describe(expected)
    right = found if isinstance(found, dict) else describe(found)
    with_owner = os.geteuid() == 0 if owner is None else owner
    lines = [f"{_shown(path)}: is missing" for path in sorted(left.keys() - right.keys())]
    lines += [f"{_shown(path)}: should not be there" for path in sorted(right.keys() - left.keys())]
    for path in sorted(left.keys() & right.keys()):
        lines += [f"{_shown(path)}: {line}" for line in _compare(left[path], right[path], with_owner)]
    return lines


def subtree(tree: Tree, path: bytes) -> Tree:
    """What is at and below one path, which becomes the root; groups are kept by their paths in it."""
    below = path + b"/"
    found: Tree = {}
    for name, look in tree.items():
        if name == path or name.startswith(below):
            values = {field.name: getattr(look, field.name) for field in fields(Look)}
            values["group"] = frozenset(each.removeprefix(below) for each in look.group)
            found[name[len(below) :]] = Look(**values)
    return found


def _walk(root: int) -> Iterator[tuple[bytes, bytes, int, os.stat_result]]:
    """(path, name, the directory's descriptor, status) of the root and everything below it."""
    yield b"", b".", root, os.fstat(root)
    levels: list[tuple[bytes, int, list[bytes]]] = [(b"", os.dup(root), _names(root))]
    try:
        while levels:
            prefix, descriptor, names = levels[-1]
            if not names:
                os.close(descriptor)
                levels.pop()
                continue
            name = names.pop()
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISSOCK(status.st_mode):
                continue
            yield prefix + name, name, descriptor, status
            if stat.S_ISDIR(status.st_mode):
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                below = os.open(name, flags, dir_fd=descriptor)
                levels.append((prefix + name + b"/", below, _names(below)))
    finally:
        for _, descriptor, _ in levels:
            os.close(descriptor)


def _names(descriptor: int) -> list[bytes]:
    return sorted((os.fsencode(name) for name in os.listdir(descriptor)), reverse=True)


def _look(name: bytes, parent: int, status: os.stat_result) -> Look:
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    regular = kind == "file"
    return Look(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        mtime_ns=status.st_mtime_ns,
        owner=(status.st_uid, status.st_gid),
        size=status.st_size if regular else 0,
        digest=_digest(name, parent) if regular else "",
        target=os.readlink(name, dir_fd=parent) if kind == "symlink" else b"",
        device=status.st_rdev if kind.endswith("device") else 0,
        attributes=_attributes(name, parent),
        allocated=status.st_blocks * 512 if regular else 0,
    )


def _digest(name: bytes, parent: int) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    with open(descriptor, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _attributes(name: bytes, parent: int) -> tuple[tuple[str, bytes], ...]:
    if not hasattr(os, "listxattr"):
        return ()
    where = b"/proc/self/fd/%d/%s" % (parent, name)
    names = sorted(os.listxattr(where, follow_symlinks=False))
    return tuple((each, os.getxattr(where, each, follow_symlinks=False)) for each in names)


def _compare(left: Look, right: Look, with_owner: bool) -> Iterator[str]:
    if left.kind != right.kind:
        yield f"is a {right.kind}, should be a {left.kind}"
        return
    for what, ours, theirs in (
        ("mode", oct(left.mode), oct(right.mode)),
        ("mtime", left.mtime_ns, right.mtime_ns),
        ("owner", left.owner, right.owner),
        ("size", left.size, right.size),
        ("contents", left.digest, right.digest),
        ("target", left.target, right.target),
        ("device", left.device, right.device),
        ("attributes", left.attributes, right.attributes),
        ("hard links", sorted(left.group), sorted(right.group)),
    ):
        if ours != theirs and (what != "owner" or with_owner):
            yield f"{what} is {theirs!r}, should be {ours!r}"
    if left.size == right.size:
        yield from _compare_holes(left, right)


def _compare_holes(left: Look, right: Look) -> Iterator[str]:
    """A sparse file may come back with more holes than it had, never with fewer; a dense one has none."""
    sparse = left.allocated + _SLACK_BYTES < left.size
    if sparse and right.allocated > left.allocated + _SLACK_BYTES:
        yield f"takes {right.allocated} bytes, should take {left.allocated}"
    if left.allocated >= left.size and right.allocated + _SLACK_BYTES < right.size:
        yield f"has holes ({right.allocated} of {right.size} bytes), should have none"


def _shown(path: bytes) -> str:
    text = repr(path)[1:] if path else "the root"
    return text if len(text) < 200 else f"{text[:90]}...{text[-90:]}"


def make_deep(top: Path, name: str, levels: int) -> None:
    """Make directories within directories, step by step: their path may be longer than any system call takes."""
    os.close(open_deep(top, name, levels))


def open_deep(top: Path, name: str, levels: int) -> int:
    """Make them, and return a descriptor of the deepest one, for the caller to close."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    return here
