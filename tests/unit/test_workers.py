"""Work beside the run: bounded, in order, and no error is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from weakref import WeakSet

import pytest

from azbackup.workers import Workers, ahead


class Failure(Exception):
    """What a job meets."""


def fail() -> int:
    """Meet it."""
    raise Failure


def test_every_job_is_done() -> None:
    """After join all jobs have run, each once."""
    workers: Workers[None] = Workers(2, 3)
    done: list[int] = []
    for number in range(50):
        workers.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    workers.join()
    workers.stop()
    assert sorted(done) == list(range(50))


def test_submitting_waits_for_a_slot() -> None:
    """With two slots a third job is not taken before one has ended."""
    gate = threading.Event()
    workers: Workers[bool] = Workers(2, 2)
    workers.submit(gate.wait)
    workers.submit(gate.wait)
    third_is_in = threading.Event()

    def submit() -> None:
        workers.submit(lambda: True)
        third_is_in.set()

    thread = threading.Thread(target=submit)
    thread.start()
    assert not third_is_in.wait(0.05)
    gate.set()
    thread.join()
    workers.join()
    workers.stop()


@pytest.mark.parametrize("kind", [Failure, KeyboardInterrupt, SystemExit])
def test_an_error_comes_up(kind: type[BaseException]) -> None:
    """Whatever a job raises is raised by join, and the other jobs are done all the same."""

    def raise_it() -> None:
        raise kind

    workers: Workers[object] = Workers(1, 10)
    done: list[int] = []
    gate = threading.Event()
    workers.submit(lambda: gate.wait(5))
    workers.submit(raise_it)
    workers.submit(lambda: done.append(1))
    gate.set()
    with pytest.raises(kind):
        workers.join()
    workers.stop()
    workers._threads[0].join(5)
    assert done == [1]


def test_an_error_comes_up_at_the_next_submit() -> None:
    """A run does not go on reading for a store that refuses."""
    workers: Workers[int] = Workers(1, 1)
    first = workers.submit(fail)
    assert isinstance(first.exception(5), Failure)
    with pytest.raises(Failure):
        workers.submit(fail)
    workers.stop()


def test_threads_end_when_stopped() -> None:
    """After stop the threads end by themselves, once the queue is empty."""
    workers: Workers[None] = Workers(2, 2)
    workers.submit(lambda: None)
    workers.stop()
    for thread in workers._threads:
        thread.join(5)
        assert not thread.is_alive()


def test_threads_never_keep_a_process() -> None:
    """An interrupt does not wait for a slow network."""
    workers: Workers[None] = Workers(2, 2)
    assert all(thread.daemon for thread in workers._threads)
    workers.stop()


def test_results_come_in_order() -> None:
    """Though a later call may end first."""
    gates = [threading.Event() for _ in range(4)]

    def call(number: int) -> int:
        if number % 2 == 0 and number < 3:
            gates[number + 1].wait(5)
        gates[number].set()
        return number

    assert list(ahead([lambda number=number: call(number) for number in range(4)], 2)) == [0, 1, 2, 3]  # type: ignore[misc]


@pytest.mark.parametrize("width", [1, 3])
def test_no_more_than_width_are_ahead(width: int) -> None:
    """A call is not begun before the one `width` places before it has been asked for."""
    begun: list[int] = []

    def begin(number: int) -> int:
        begun.append(number)
        return number

    def calls() -> Iterator[Callable[[], int]]:
        for number in range(20):
            yield partial(begin, number)

    for taken, _ in enumerate(ahead(calls(), width)):
        assert len(begun) <= taken + 1 + width


def test_an_error_ahead_comes_in_its_place() -> None:
    """Results before it are given; the error is raised where its own would be, or at the next call."""
    found: list[int] = []
    with pytest.raises(Failure):
        found.extend(ahead([lambda: 1, lambda: 2, fail, lambda: 4], 1))
    assert found[:1] == [1]
    assert 4 not in found


def test_nothing_ahead_of_nothing() -> None:
    """No calls give no results."""
    assert list(ahead([], 2)) == []


def test_what_was_taken_is_let_go() -> None:
    """An idle thread keeps no result: a span that was written must not stay in memory until the next one is read."""

    class Span:
        """Something large."""

    alive: WeakSet[Span] = WeakSet()

    def read() -> Span:
        span = Span()
        alive.add(span)
        return span

    workers: Workers[Span] = Workers(1, 1)
    workers.submit(read).result()
    workers.join()
    until = time.monotonic() + 60
    while len(alive) and time.monotonic() < until:
        time.sleep(0.001)
    assert not len(alive)
    workers.stop()
