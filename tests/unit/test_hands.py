"""Files that are whole are made and named here or by hands: the same files, errors and promises, whoever does it."""

from __future__ import annotations

import errno
import os
import resource
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from azbackup.filesystem import metadata, naming, whole_files
from azbackup.filesystem.destination import Destination
from azbackup.filesystem.directories import Unwritable, _Listings
from azbackup.filesystem.hands import _BETWEEN, _WINDOW, Hands, Pace
from azbackup.filesystem.temporaries import Temporary, create, is_temporary, rename_new
from azbackup.format.model import Entry, Kind
from azbackup.workers import Workers

TIME = 1_600_000_000_123_456_789
MILLISECOND = 1e-3


def file(path: bytes, data: bytes = b"12345", **fields: object) -> Entry:
    """Return the entry of a file with these contents."""
    return Entry(path, int(Kind.FILE), len(data), TIME, mode=0o640, **fields)  # type: ignore[arg-type]


def directory(path: bytes) -> Entry:
    """Return a directory's entry."""
    return Entry(path, int(Kind.DIRECTORY), mtime_ns=TIME, mode=0o755)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give an empty directory."""
    path = tmp_path / "root"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture(params=["here", "by hands"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the run's own thread make and name all files, or threads, however fast that is."""
    if request.param == "by hands":
        slow(monkeypatch)
    return str(request.param)


def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every file system for a slow one."""
    begin = Pace.__init__

    def begun(pace: Pace, *arguments: object) -> None:
        begin(pace, *arguments)  # type: ignore[arg-type]
        pace.is_slow = pace.waits = True

    monkeypatch.setattr(Pace, "__init__", begun)


@pytest.fixture
def by_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads make and name all files."""
    slow(monkeypatch)


def put(found: Destination, *entries: Entry, data: bytes = b"12345") -> dict[bytes, Exception | None]:
    """Restore files, and return what became of each."""
    for entry in entries:
        found.put(entry, data)
    return dict(found.settle())


def temporaries(root: Path) -> list[Path]:
    """Return the writer's own files below a directory."""
    return [path for path in root.rglob("*") if is_temporary(os.fsencode(path.name))]


def many(count: int = 300) -> list[Entry]:
    """Return files in some directories."""
    return [file(b"%d/%d/%03d" % (number % 3, number % 7, number)) for number in range(count)]


# --- when


class Clock:
    """Time as a test lets it pass: of the world, and of this thread's work."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0

    def step(self, pace: Pace, *, making: float, filling: float, waiting: float = 0) -> bool:
        """Let a step of so many seconds go by; return whether it was looked at."""
        if not pace.begin():
            return False
        self.worked += making + filling
        self.now += making
        pace.made()
        self.now += filling + waiting
        pace.end()
        return True


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands still."""
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    """Give a pace by that clock."""
    return Pace(lambda: clock.now, lambda: clock.worked)


@pytest.mark.parametrize("scale", [1, 20])
def test_a_fast_step_is_done_here(clock: Clock, pace: Pace, scale: int) -> None:
    """However slow the processor is: most of it is Python's work then, too."""
    for _ in range(5 * (_WINDOW + _BETWEEN)):
        clock.step(pace, making=20e-6 * scale, filling=40e-6 * scale, waiting=10e-6 * scale)
    assert not pace.is_slow


def test_a_step_that_waits_is_given_to_hands(clock: Clock, pace: Pace) -> None:
    """Where a server answers each call, that is known after a few files."""
    steps = sum(clock.step(pace, making=5e-6, filling=50e-6, waiting=MILLISECOND) for _ in range(1000))
    assert pace.is_slow
    assert pace.waits
    assert steps == _WINDOW


def test_a_name_that_takes_long_is_given_to_hands(clock: Clock, pace: Pace) -> None:
    """The kernel works for it, for most of the step, and did so when it was looked at before."""
    seen = []
    for _ in range(2):
        for _ in range(_WINDOW + _BETWEEN):
            clock.step(pace, making=200e-6, filling=50e-6)
        seen.append((pace.is_slow, pace.waits))
    assert seen == [(False, False), (True, False)]


def test_now_and_then_is_not_slow(clock: Clock, pace: Pace) -> None:
    """Once, or some files of many."""
    for number in range(20 * (_WINDOW + _BETWEEN)):
        once = (number // (_WINDOW + _BETWEEN)) % 2 == 0
        clock.step(pace, making=200e-6 if once else 20e-6, filling=50e-6, waiting=MILLISECOND * (number % 3 == 0))
    assert not pace.is_slow


def test_few_descriptors_no_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread may hold some, so their number follows the limit; one alone would only be in the way."""
    widths = {}
    for limit in (20, 63, 64, 200, 1024):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        widths[limit] = Hands()._width if Hands().any else 0
    assert widths == {20: 0, 63: 0, 64: 2, 200: 6, 1024: 8}


# --- the same files


def test_what_is_put_appears(way: str, root: Path) -> None:
    """With contents, mode and time; empty ones and those with holes; each is told once."""
    found = Destination(os.fsencode(root), owner=False)
    hollow = b"\1" + bytes(50_000)
    entries = many()
    for entry in entries:
        found.put(entry, entry.path)
    found.put(file(b"empty", b""), b"")
    found.put(file(b"hollow", hollow, sparse=True), memoryview(hollow))
    assert not [path for path in root.rglob("*") if path.is_file() and not is_temporary(os.fsencode(path.name))]
    told = list(found.settle())
    assert len(told) == len(dict(told)) == len(entries) + 2
    assert {error for _, error in told} == {None}
    for entry in entries:
        status = (root / os.fsdecode(entry.path)).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o640, TIME)
        assert (root / os.fsdecode(entry.path)).read_bytes() == entry.path
    assert (root / "empty").stat().st_size == 0
    assert (root / "hollow").read_bytes() == hollow
    assert (root / "hollow").stat().st_blocks * 512 < len(hollow)
    assert temporaries(root) == []
    assert (found._files._hands._workers is not None) == (way == "by hands")
    found.close()


@pytest.mark.usefixtures("way")
def test_without_waiting(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch by batch, as a restore settles; nothing is told twice, and nothing is missing in the end."""
    monkeypatch.setattr("azbackup.filesystem.batches._FILES", 20)
    found = Destination(os.fsencode(root), owner=False)
    entries = many()
    told: list[bytes] = []
    for entry in entries:
        found.put(entry, b"12345")
        if found.is_due:
            told += [path for path, _ in found.settle(wait=False)]
    told += [path for path, _ in found.settle()]
    assert sorted(told) == sorted(entry.path for entry in entries)
    assert {path.read_bytes() for path in root.rglob("*") if path.is_file()} == {b"12345"}
    found.close()


@pytest.mark.usefixtures("way")
def test_files_with_more_names(root: Path) -> None:
    """A link leads to a file that was put."""
    found = Destination(os.fsencode(root), owner=False)
    leader = file(b"d/leader", links=2)
    assert put(found, leader) == {leader.path: None}
    found.make_link(b"other", b"d/leader", None)
    found.close()
    assert (root / "other").samefile(root / "d/leader")


@pytest.mark.usefixtures("way")
def test_what_could_not_be_set_is_counted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note names some and counts all."""

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(metadata, "set_time", refused)
    found = Destination(os.fsencode(root), owner=False)
    assert set(put(found, *many()).values()) == {None}
    (note,) = found.notes
    assert "and 290 more" in note
    found.close()


# --- errors


@pytest.mark.usefixtures("way")
def test_an_error_is_one_files(root: Path) -> None:
    """In the way of its directory, in the way of its name, too large: each is named, all others come."""
    (root / "not a directory").touch()
    (root / "taken" / "by").mkdir(parents=True)
    large = bytes(100_000)
    found = Destination(os.fsencode(root), owner=False)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        for number, entry in enumerate(many()):
            found.put(entry, b"12345")
            if number == 100:
                found.put(file(b"not a directory/f"), b"12345")
                found.put(file(b"taken"), b"12345")
                found.put(file(b"0/large", large), large)
        became = dict(found.settle())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    failed = {path: str(error) for path, error in became.items() if error is not None}
    assert failed.keys() == {b"not a directory/f", b"taken", b"0/large"}
    assert "is in the way" in failed[b"taken"]
    assert "too large" in failed[b"0/large"]
    assert len(became) == 303
    found.close()
    assert temporaries(root) == []
    assert sum(path.is_file() for path in root.rglob("*")) == 301


def test_a_full_disk_is_told_soon(way: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends a restore: that does not wait for a batch to be full."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole_files, "write_piece", full)
    monkeypatch.setattr("azbackup.filesystem.underway.write_piece", full)
    found = Destination(os.fsencode(root), owner=False)
    count = 0
    while not found.is_due:
        found.put(file(b"%03d" % count), b"12345")
        count += 1
    assert count < (2 if way == "here" else 1000)
    _, error = next(iter(found.settle(wait=False)))
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOSPC
    found.close()
    assert list(root.iterdir()) == []


@pytest.mark.usefixtures("by_hands")
def test_a_mistake_of_a_thread_comes_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no file can be blamed for is raised, and never passed over."""

    def wrong(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(whole_files, "write_piece", wrong)
    found = Destination(os.fsencode(root), owner=False)
    found.put(file(b"f"), b"12345")
    with pytest.raises(ZeroDivisionError):
        list(found.settle())
    found.close()
    assert list(root.iterdir()) == []


@pytest.mark.usefixtures("way")
def test_what_stands_there_is_replaced(root: Path) -> None:
    """Files and links; where it is to be kept it is."""
    for number in range(20):
        (root / f"{number}").write_bytes(b"older")
    (root / "link").symlink_to("0")
    found = Destination(os.fsencode(root), owner=False)
    found.set_aside()
    assert set(put(found, file(b"link"), *(file(b"%d" % number) for number in range(20))).values()) == {None}
    assert len(found.aside.paths) == 21  # type: ignore[union-attr]
    found.close()
    assert {(root / f"{number}").read_bytes() for number in range(20)} == {b"12345"}
    assert not (root / "link").is_symlink()


@pytest.mark.usefixtures("way")
def test_a_temporary_that_was_exchanged_does_not_count(root: Path) -> None:
    """Where others may write: the file is named as not restored, whoever gives the names."""
    root.chmod(0o777)
    found = Destination(os.fsencode(root), owner=False)
    for entry in (file(b"f"), file(b"g")):
        found.put(entry, b"12345")
    for made in found._files._whole.taken(wait=True):
        found._files._take(made)
    victim = next(path for path in temporaries(root) if path.name.encode() == found._temporaries.all[b"f"].temporary)
    victim.unlink()
    victim.write_bytes(b"other")
    became = dict(found.settle())
    assert isinstance(became[b"f"], Unwritable)
    assert became[b"g"] is None
    found.close()
    assert temporaries(root) == []


@pytest.mark.usefixtures("way")
def test_a_name_that_is_anothers_is_not_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file system takes two names for one, the second file is named as not restored."""
    monkeypatch.setattr(_Listings, "alias", lambda *_: b"F")
    (root / "f").write_bytes(b"that of F")
    found = Destination(os.fsencode(root), owner=False)
    became = put(found, file(b"f"), file(b"g"))
    found.close()
    assert "the same as F" in str(became[b"f"])
    assert became[b"g"] is None
    assert (root / "f").read_bytes() == b"that of F"


# --- order


@pytest.mark.usefixtures("by_hands")
def test_names_of_a_directory_come_one_after_the_other(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two that a file system takes for one would both find nothing there. Other directories do not wait."""
    at_work: dict[int, int] = {}
    together: list[int] = []
    lock = threading.Lock()

    def watched(temporary: Temporary, place: int) -> None:
        inode = os.fstat(place).st_ino
        with lock:
            at_work[inode] = at_work.get(inode, 0) + 1
            together.append(at_work[inode])
        rename_new(temporary, place)
        with lock:
            at_work[inode] -= 1

    monkeypatch.setattr(naming, "rename_new", watched)
    monkeypatch.setattr("azbackup.filesystem.batches._FILES", 20)
    found = Destination(os.fsencode(root), owner=False)
    for entry in many():
        found.put(entry, b"12345")
        if found.is_due:
            list(found.settle(wait=False))
    list(found.settle())
    found.close()
    assert set(together) == {1}
    assert len(at_work) == 21
    assert len(together) == 300


@pytest.mark.usefixtures("by_hands")
def test_nothing_has_its_name_before_it_is_on_the_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What threads have made counts for a sync that begins after it was made."""
    seen: list[set[str]] = []

    def synced(_: int) -> None:
        seen.append({path.name for path in temporaries(root)})

    named: list[bool] = []

    def watched(temporary: Temporary, place: int) -> None:
        named.append(any(temporary.temporary.decode() in names for names in seen))
        rename_new(temporary, place)

    monkeypatch.setattr("azbackup.filesystem.syncing.sync_file_system", synced)
    monkeypatch.setattr(naming, "rename_new", watched)
    monkeypatch.setattr("azbackup.filesystem.batches._FILES", 20)
    found = Destination(os.fsencode(root), owner=False)
    for entry in many(100):
        found.put(entry, b"12345")
        if found.is_due:
            list(found.settle(wait=False))
    list(found.settle())
    found.close()
    assert named == [True] * 100


@pytest.mark.usefixtures("by_hands")
def test_few_files_and_descriptors_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the threads are: what waits for them is bounded, and so is what is open."""
    gate = threading.Event()

    def held(temporary: Temporary, place: int) -> None:
        assert gate.wait(60)
        create(temporary, place)

    monkeypatch.setattr(whole_files, "create", held)
    before = len(os.listdir("/proc/self/fd"))
    found = Destination(os.fsencode(root), owner=False)
    count = 0
    slots = 2 * found._files._hands._width

    def fill() -> None:
        nonlocal count
        for entry in many(1000):
            found.put(entry, b"12345")
            count += 1

    filling = threading.Thread(target=fill)
    filling.start()
    filling.join(0.3)
    assert filling.is_alive()
    assert count <= slots + 1  # each a job, since the next file is in another directory
    assert len(os.listdir("/proc/self/fd")) - before <= 2 * slots + 30
    gate.set()
    filling.join()
    assert set(dict(found.settle()).values()) == {None}
    found.close()
    assert len(os.listdir("/proc/self/fd")) <= before


# --- ends


@pytest.fixture
def threads() -> Callable[[], int]:
    """Give what counts the threads that are there beside those before."""
    before = threading.active_count()
    return lambda: threading.active_count() - before


@pytest.mark.usefixtures("by_hands")
@pytest.mark.parametrize("after", [1, 40, 299])
def test_an_interrupt_leaves_no_temporaries(root: Path, threads: Callable[[], int], after: int) -> None:
    """Ctrl-C while threads make files: closing ends them, what is complete may appear, nothing else stays."""
    found = Destination(os.fsencode(root), owner=False)
    for entry in many()[: after + 1]:
        found.put(entry, b"12345")
    found.close()
    assert threads() == 0
    assert temporaries(root) == []
    assert {path.read_bytes() for path in root.rglob("*") if path.is_file()} <= {b"12345"}


@pytest.mark.usefixtures("by_hands")
@pytest.mark.parametrize("told", [0, 1, 150])
def test_an_interrupt_while_names_are_given(root: Path, threads: Callable[[], int], told: int) -> None:
    """All files are complete by then, and all appear."""
    found = Destination(os.fsencode(root), owner=False)
    for entry in many():
        found.put(entry, b"12345")
    names = found.settle()
    for _ in range(told):
        next(names)
    if not told:
        list(found._files._whole.taken(wait=False))
    names.close()  # type: ignore[attr-defined]
    found.close()
    assert threads() == 0
    assert temporaries(root) == []
    if told:
        assert sum(path.is_file() for path in root.rglob("*")) == 300


@pytest.mark.usefixtures("by_hands")
def test_ending_does_not_wait_for_all_that_is_queued(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow server and Ctrl-C: each thread ends after the file that it is at."""
    begun, gate = threading.Semaphore(0), threading.Event()
    made: list[bytes] = []

    def held(temporary: Temporary, place: int) -> None:
        begun.release()
        assert gate.wait(60)
        made.append(temporary.name)
        create(temporary, place)

    monkeypatch.setattr(whole_files, "create", held)
    found = Destination(os.fsencode(root), owner=False)
    width = found._files._hands._width
    for number in range(width * whole_files._FILES):
        found.put(file(b"%d/%03d" % (number // whole_files._FILES, number)), b"12345")
    for _ in range(width):
        assert begun.acquire(timeout=60)
    stop = Workers.stop

    def stopped(workers: Workers[None]) -> None:
        gate.set()
        stop(workers)

    monkeypatch.setattr(Workers, "stop", stopped)
    found.close()
    assert len(made) == width
    assert temporaries(root) == []


@pytest.mark.parametrize("at", [0, 17, 60, 150])
def test_a_kill_leaves_only_temporaries(root: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Whatever the threads were at: what has a name is whole, and the next run removes the rest."""
    process = os.fork()
    if process == 0:
        try:
            slow(monkeypatch)
            monkeypatch.setattr("azbackup.filesystem.batches._FILES", 20)
            count = 0

            def counted(temporary: Temporary, place: int) -> None:
                nonlocal count
                create(temporary, place)
                count += 1
                if count > at:
                    os.kill(os.getpid(), 9)

            monkeypatch.setattr(whole_files, "create", counted)
            found = Destination(os.fsencode(root), owner=False)
            for entry in many():
                found.put(entry, b"12345")
                if found.is_due:
                    list(found.settle(wait=False))
            list(found.settle())
        finally:
            os.kill(os.getpid(), 9)
    os.waitpid(process, 0)
    assert temporaries(root)
    whole = {path for path in root.rglob("*") if path.is_file()} - set(temporaries(root))
    assert {path.read_bytes() for path in whole} <= {b"12345"}
    again = Destination(os.fsencode(root), owner=False)
    for path in sorted(root.rglob("*")):
        if path.is_dir():
            again.make_directory(directory(os.fsencode(path.relative_to(root))))
    again.make_directory(directory(b""))
    again.close()
    assert temporaries(root) == []
    assert all(path.is_file() for path in whole)


@pytest.mark.usefixtures("by_hands")
def test_two_runs_at_once(root: Path) -> None:
    """Each file that appears is one run's whole, and neither run removes what the other is at."""
    runs = [Destination(os.fsencode(root), owner=False) for _ in range(2)]
    contents = [b"first", b"other"]
    became: list[dict[bytes, Exception | None]] = [{}, {}]

    def restore(number: int) -> None:
        runs[number].make_directory(directory(b"d"))
        for each in range(200):
            runs[number].put(file(b"d/%03d" % each), contents[number])
        became[number] = dict(runs[number].settle())

    both = [threading.Thread(target=restore, args=(number,)) for number in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    for run in runs:
        run.close()
    assert [set(each.values()) for each in became] == [{None}, {None}]
    assert {path.read_bytes() for path in (root / "d").iterdir()} <= set(contents)
    assert len(list((root / "d").iterdir())) == 200
