"""What is gone, from versions that a search found."""

from __future__ import annotations

from azbackup.commands.browse.deletions import deletions
from azbackup.commands.browse.history import FoundVersion, Version
from azbackup.format.model import Kind
from azbackup.records.snapshots import Source

ONE, TWO = Source(b"/one", "pc"), Source(b"/two", "pc")
FILE, DIRECTORY = (Version(int(kind), 1, 5, b"", b"") for kind in (Kind.FILE, Kind.DIRECTORY))


def test_deletions() -> None:
    """The newest version of what the last snapshot has not; what went with a directory is counted there."""
    newer = FILE._replace(size=2)
    found = [
        FoundVersion(ONE, b"a", FILE, [(1, 2)]),
        FoundVersion(ONE, b"a", newer, [(3, 4)]),
        FoundVersion(ONE, b"d", DIRECTORY, [(1, 1), (3, 3)]),
        FoundVersion(ONE, b"d/earlier", FILE, [(1, 1)]),
        FoundVersion(ONE, b"d/x", FILE, [(3, 3)]),
        FoundVersion(ONE, b"d/y", FILE, [(1, 3)]),
        FoundVersion(ONE, b"stays", FILE, [(1, 7)]),
        FoundVersion(TWO, b"d", FILE, [(2, 2)]),
    ]
    gone = list(deletions(found, {ONE: [1, 3, 4, 7], TWO: [2, 5]}))
    told = [(each.version.source.path, each.version.path, each.last, each.gone, each.inside) for each in gone]
    assert told == [
        (b"/one", b"a", 4, 7, 0),
        (b"/one", b"d", 3, 4, 2),
        (b"/one", b"d/earlier", 1, 3, 0),
        (b"/two", b"d", 2, 5, 0),
    ]
    assert gone[0].version.version == newer
