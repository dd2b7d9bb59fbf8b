"""Batches of complete files: what is given back is on the disk, in order, and a sync that failed is never forgotten."""

from __future__ import annotations

import threading

import pytest

from azbackup.filesystem.batches import _FILES, _MOST_BATCHES, Batches


def names(count: int, start: int = 0) -> list[bytes]:
    """Return the paths of some files."""
    return [b"%06d" % number for number in range(start, start + count)]


def fill(batches: Batches, paths: list[bytes]) -> None:
    """Add files of a byte each."""
    for path in paths:
        batches.add(path, 1)


def test_one_batch_is_synced_while_the_next_is_filled() -> None:
    """Nothing is given back before its sync has ended; what was completed during that sync waits for the next one."""
    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    def sync() -> None:
        begun.release()
        assert go.acquire(timeout=300)

    batches = Batches(sync)
    fill(batches, names(_FILES))
    assert batches.is_due
    assert list(batches.landed(wait=False)) == []
    assert begun.acquire(timeout=300)
    fill(batches, names(5, _FILES))
    assert not batches.is_due
    assert list(batches.landed(wait=False)) == []
    go.release(2)
    assert list(batches.landed(wait=True)) == names(_FILES + 5)
    assert begun.acquire(timeout=300)
    assert list(batches.landed(wait=True)) == []


def test_a_slow_disk_is_waited_for() -> None:
    """No more than a few batches are filled while one is synced."""
    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    def sync() -> None:
        begun.release()
        assert go.acquire(timeout=300)

    batches = Batches(sync)
    fill(batches, names(_FILES))
    assert list(batches.landed(wait=False)) == []
    assert begun.acquire(timeout=300)
    fill(batches, names(_MOST_BATCHES * _FILES, _FILES))
    assert batches.is_due
    go.release()
    assert list(batches.landed(wait=False)) == names(_FILES)
    assert begun.acquire(timeout=300)
    go.release()
    assert list(batches.landed(wait=True)) == names(_MOST_BATCHES * _FILES, _FILES)


def test_large_files_are_a_batch_sooner() -> None:
    """Bytes count as well as files."""
    batches = Batches(lambda: None)
    batches.add(b"large", 1 << 40)
    assert batches.is_due
    assert list(batches.landed(wait=True)) == [b"large"]
    assert not batches.is_due


def test_after_a_sync_that_failed_nothing_is_given_back() -> None:
    """The kernel tells of a failure once: a second sync that ends well says nothing about what was lost before."""
    answers = iter([OSError(5, "Input/output error"), None, None])

    def sync() -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    batches = Batches(sync)
    fill(batches, names(3))
    with pytest.raises(OSError, match="Input/output"):
        list(batches.landed(wait=True))
    fill(batches, names(3, 3))
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            list(batches.landed(wait=True))


def test_what_was_not_taken_is_still_there() -> None:
    """A run that is interrupted while files get their names lets the others appear as it ends."""
    batches = Batches(lambda: None)
    fill(batches, names(3))
    landed = batches.landed(wait=True)
    assert next(landed) == b"000000"
    landed.close()
    batches.remove(b"000001")
    assert list(batches.landed(wait=True)) == names(2, 1)
