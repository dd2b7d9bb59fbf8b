"""Which chunks are due, and how long the budget lasts: by hand, and whatever the packs are."""

from __future__ import annotations

from array import array
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from azbackup.format.model import ChunkId, Entry, Kind, PackId, PackRecord
from azbackup.packs import rewriting
from azbackup.packs.index import ChunkIndex
from azbackup.packs.known import SoundPack
from azbackup.packs.rewriting import Due, Needs, Part, Rewriting, Terms, due_packs, may_be_due, within

MIB = 1 << 20
DAY = 86_400.0
TERMS = Terms(25.0, {"archive": 180}, 1000 * DAY)


def chunk_id(number: int) -> ChunkId:
    """Return the id of a numbered chunk."""
    return ChunkId(number.to_bytes(32, "big"))


def pack(name: str, chunks: dict[int, int], age: float = 200.0, packed: int = 1) -> SoundPack:
    """Return a pack of chunks of so many bytes, which are `packed` times as many in a file, so many days old."""
    ids = b"".join(map(chunk_id, chunks))
    sealed, plain = array("I", chunks.values()), array("I", (packed * each for each in chunks.values()))
    return SoundPack(PackId(name), 8 + sum(chunks.values()), ids, sealed, plain, "archive", (1000 - age) * DAY)


def ids(*numbers: int) -> set[ChunkId]:
    """Return the ids of numbered chunks."""
    return set(map(chunk_id, numbers))


def due_chunks(packs: list[SoundPack], needs: Needs, terms: Terms) -> set[ChunkId]:
    """Return what is due, of all packs."""
    return {each for due in due_packs(packs, needs, terms) for each in due.chunks}


def test_a_pack_that_is_hardly_needed() -> None:
    """Less than a quarter, old enough, and all of it can be moved: by this source, or by others."""
    old = pack("old", {1: 10 * MIB, 2: 6 * MIB, 3: 44 * MIB})
    assert due_chunks([old], Needs(ids(1)), TERMS) == ids(1)
    assert due_chunks([old], Needs(ids(1, 2)), TERMS) == set()
    assert due_chunks([old], Needs(ids(1), others=ids(2)), TERMS) == set()
    assert due_chunks([old], Needs(ids(1), stuck=ids(1)), TERMS) == set()
    assert due_chunks([old._replace(made=TERMS.now - 172 * DAY)], Needs(ids(1)), TERMS) == set()
    assert due_chunks([old._replace(made=TERMS.now - 173 * DAY)], Needs(ids(1)), TERMS) == ids(1)


def test_what_was_rewritten_is_not_due() -> None:
    """Not even where a part of the old pack was, into a pack that is small."""
    old = pack("old", {1: 2 * MIB, 2: 2 * MIB, 3: 56 * MIB})
    part = pack("part", {1: 2 * MIB}, age=0)
    assert due_chunks([old, part], Needs(ids(1, 2)), TERMS) == ids(2)
    assert due_chunks([old, part, pack("rest", {2: 2 * MIB}, age=0)], Needs(ids(1, 2)), TERMS) == set()


def test_small_packs_are_due_when_there_are_enough_of_one_size() -> None:
    """Eight of about one size, each of which can be moved whole."""
    small = [pack(str(number), {number: MIB}, age=1) for number in range(8)]
    assert may_be_due(small, TERMS)
    assert not may_be_due(small[1:], TERMS)
    assert due_chunks(small, Needs(ids(*range(8))), TERMS) == ids(*range(8))
    assert due_chunks(small, Needs(ids(*range(7))), TERMS) == set()
    assert due_chunks(small, Needs(ids(*range(8)), stuck=ids(3)), TERMS) == set()
    both = pack("3", {3: MIB, 9: 9}, age=1)
    assert due_chunks([*small[:3], both, *small[4:]], Needs(ids(*range(8)), others=ids(9)), TERMS) == set()
    assert due_chunks([*small[:7], pack("large", {7: 15 * MIB}, age=1)], Needs(ids(*range(8))), TERMS) == set()


NUMBERS = st.integers(0, 30)  # and no sealed chunk is smaller than 18 bytes, and no pack larger than 64 MiB
SIZES = st.one_of(st.integers(18, 16 * MIB), st.integers(4, 23).map(lambda power: 18 + (1 << power)))
PACKS = st.lists(st.dictionaries(NUMBERS, SIZES, min_size=1, max_size=4), max_size=12)
FROM_A_PACK_OF_ONE_BYTE = ([{2: 18, 3: 18}, {0: 18, 1: 18, 2: 37, 4: 64}], {0}, {0, 1, 2, 3})
STORED_TWICE = ([{1: 8 * MIB, 2: 2 * MIB}, {1: 8 * MIB, 3: 4 * MIB}], {1, 2, 3}, set[int]())
SEVEN_OF_FOUR = [{4 * at + each: 5 * MIB // 2 for each in range(4)} for at in range(7)]
MORE_THAN_THE_BUDGET = (SEVEN_OF_FOUR, set(range(28)), set[int]())


@settings(max_examples=100)
@given(PACKS, st.sets(NUMBERS), st.sets(NUMBERS), st.integers(64 * MIB, 200 * MIB), st.integers(1, 40))
@example(*FROM_A_PACK_OF_ONE_BYTE, 64 * MIB, 1)
@example(*STORED_TWICE, 64 * MIB, 1)
@example(*MORE_THAN_THE_BUDGET, 64 * MIB, 10)
def test_rewriting_comes_to_an_end(
    packs: list[dict[int, int]], own: set[int], others: set[int], budget: int, packed: int
) -> None:
    """The budget is held, what is due is needed, and once all is rewritten nothing of it is due again.

    However well what is stored was compressed: it is `packed` to 1.
    """
    sound = [pack(f"{number:02}", chunks, packed=packed) for number, chunks in enumerate(packs)]
    needs = Needs(ids(*own), others=ids(*others))
    with mock.patch.object(rewriting, "SMALL_PACKS", 3):
        sizes: dict[int, int] = {}
        for chunks in packs:
            for each, size in chunks.items():
                sizes.setdefault(each, size)
        mine = sorted(own & sizes.keys())
        for _ in range(60):
            chosen, left = within(due_packs(sound, needs, TERMS), budget)
            assert chosen <= ids(*own)
            if not chosen:
                break
            run = Rewriting(chosen, budget, left=left)
            taken = {each: sizes[each] for each in mine if run.takes(chunk_id(each), sizes[each] * packed)}
            assert run.stored == packed * sum(taken.values()) <= budget
            assert not any(run.takes(chunk_id(each), sizes[each]) for each in taken)
            if not taken:
                break
            sound.append(pack(f"new{len(sound):02}", taken, age=0, packed=packed))
        else:
            raise AssertionError("it goes on for ever")


def test_the_emptiest_packs_are_rewritten_first_and_whole() -> None:
    """Small ones before them; as many as the budget lasts for, and one in any case: a part of a pack frees nothing."""
    packs = [
        pack("half", {1: 10 * MIB, 2: 50 * MIB}),
        pack("empty", {3: MIB, 4: 2 * MIB, 5: 57 * MIB}),
        *(pack(str(number), {number: MIB}, age=1) for number in range(10, 18)),
    ]
    due = due_packs(packs, Needs(ids(1, 3, 4, *range(10, 18))), TERMS)
    lots = [ids(10, 11), ids(12, 13), ids(14, 15), ids(16, 17)]
    assert [set(each.chunks) for each in due] == [*lots, ids(3, 4), ids(1)]
    assert [each.size for each in due] == [2 * MIB] * 4 + [3 * MIB, 10 * MIB]
    assert within(due, 100 * MIB) == (ids(1, 3, 4, *range(10, 18)), 0)
    assert within(due, 20 * MIB) == (ids(3, 4, *range(10, 18)), 1)
    assert within(due[4:], 12 * MIB) == (ids(3, 4), 1)
    assert within(due[4:], 1) == (ids(3, 4), 1)
    assert within([], 1) == (set(), 0)
    assert within([Due([chunk_id(1)], 5), Due([chunk_id(2)], 5)], 10) == (ids(1, 2), 0)


def file(size: int, *numbers: int) -> Entry:
    """Return a file of numbered chunks."""
    return Entry(b"f", int(Kind.FILE), size, chunks=b"".join(map(chunk_id, numbers)))


def test_parts_are_taken_while_the_budget_lasts() -> None:
    """Each is due, and fits; not when there is no time."""
    run = Rewriting(ids(1, 2, 3), 100)
    assert run.parts(file(1, 9)) == []
    assert run.parts(file(60, 1)) == [Part(chunk_id(1), 0, 60)]
    assert run.parts(file(41, 2)) == []
    assert run.parts(file(40, 3)) == [Part(chunk_id(3), 0, 40)]
    assert (run.files, run.read) == (2, 100)
    assert Rewriting(ids(1), 100, is_over=lambda: True).parts(file(1, 1)) == []


def test_of_a_large_file_the_parts_are_taken_that_are_due() -> None:
    """Where they are the lengths of all of its chunks say; where one is not known, or they do not add up, none is."""
    index = ChunkIndex([b"".join(map(chunk_id, (1, 2, 3, 4)))])
    record = PackRecord(118, b"", "hot", b"".join(map(chunk_id, (1, 2, 3))), [30, 40, 48], [10, 20, 30])
    index.add([(PackId("p"), record)], lambda *_: 0)
    index.choose()
    run = Rewriting(ids(2, 3), 100, index)
    assert run.parts(file(70, 1, 2, 3)) == []
    assert run.parts(file(60, 1, 2, 4)) == []
    assert run.parts(file(80, 1, 2, 3, 2)) == [Part(chunk_id(2), 10, 20), Part(chunk_id(3), 30, 30)]
    assert (run.files, run.read) == (1, 50)
    assert Rewriting(ids(2, 3), 49, index).parts(file(60, 1, 2, 3)) == [Part(chunk_id(2), 10, 20)]
    assert Rewriting(ids(2), 100).parts(file(60, 1, 2, 3)) == []
