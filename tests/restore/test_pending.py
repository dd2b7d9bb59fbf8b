"""A restore that pends, goes on from anywhere, and completes: each pack is asked for once, nothing stays behind."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from emulator.trees import differences
from tests.conftest import PASSWORD, ScriptRunner, until
from tests.restore.conftest import Back, put, store

ARCHIVED = ("--snapshot", "3")


def check_complete(back: Back, destination: Path, *names: str) -> None:
    """These directories (all that is stored when none is named) came back as they were; staging is empty."""
    for name in names or (".",):
        assert differences(back.stored.source / name, destination / name) == []
    assert back.stored.staging() == []


def test_pending_then_complete(back: Back, tmp_path: Path) -> None:
    """The first run asks and ends with 75, the command that it names completes; three copies in all."""
    destination = tmp_path / "restored here"
    first = back(destination, expect=75)
    assert "3 packs" in first.stderr
    assert re.search(r"thawing +3 packs, .*, since \d{4}-\d\d-\d\d \d\d:\d\d \S+\n +all there by \d{4}", first.stderr)
    back.archive.release()
    back.again(first)
    check_complete(back, destination)
    assert back.copied() == sorted(back.stored.packs[:3])


def test_numbers_before_it_starts(back: Back, tmp_path: Path) -> None:
    """A run that spends money says first what: packs, bytes, hours, money."""
    result = back(*ARCHIVED, tmp_path / "restored", expect=75)
    assert re.search(r"to thaw +3 packs, \d\.\d MiB: at most 15 h\n  price .* USD in all", result.stderr)


def test_command_to_run_again_has_no_secret(back: Back, tmp_path: Path) -> None:
    """Secrets on the command line are left out of the command that goes on, which still names everything else."""
    key = back.archive.key
    env = {"AZURE_STORAGE_CONNECTION_STRING": "", "AZBACKUP_PASSWORD": ""}
    endpoint = back.archive.connection_string
    result = back(
        *("--connection-string", endpoint, f"--password={PASSWORD}", *ARCHIVED, tmp_path / "it's here"),
        expect=75,
        env=env,
    )
    assert key not in result.stderr
    [line] = [line for line in result.stderr.splitlines() if "run again" in line]
    assert "--connection-string ... --password=... --snapshot 3" in line
    assert "it'\"'\"'s here" in line


def test_going_on_means_the_same_snapshot(own: Back, tmp_path: Path) -> None:
    """A backup between two runs of a restore does not move its target."""
    put(own.stored.source / "file", b"first version", 1)
    store(own)
    first = own(tmp_path / "restored", expect=75)
    put(own.stored.source / "file", b"another version", 2)
    own.stored.source.joinpath("new").write_bytes(b"new")
    store(own)
    own.archive.release()
    own.again(first)
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == ["file"]
    assert (tmp_path / "restored" / "file").read_bytes() == b"first version"


def test_killed_while_waiting_and_continued_elsewhere(back: Back, elsewhere: ScriptRunner, tmp_path: Path) -> None:
    """SIGKILL during --wait, then the same command from an empty home directory: nothing is asked for again."""
    destination = tmp_path / "restored"
    waiting = back.start(*ARCHIVED, "--wait", "--poll-interval", "0.1", destination)
    until(lambda: len(back.asked()) == 3)
    back.archive.release(f"*{back.stored.packs[1]}")
    until((destination / "b" / "second.bin").exists)
    waiting.send_signal(signal.SIGKILL)
    waiting.wait()
    back.archive.release()
    other = Back(back.stored, back.archive, elsewhere)
    other(*ARCHIVED, destination)
    check_complete(back, destination, "a", "b", "c")
    assert back.copied() == sorted(back.stored.packs[:3])


def test_waiting_says_what_is_pending(back: Back, tmp_path: Path) -> None:
    """--wait tells what is on its way since when, once while nothing changes, fetches what comes, and ends with 0."""
    destination = tmp_path / "restored"
    waiting = back.start(*ARCHIVED, "--wait", "--poll-interval", "0.1", destination)
    until(lambda: back.lists_of_staging() >= 4)
    back.archive.release()
    _, said = waiting.communicate(timeout=300)
    assert waiting.returncode == 0, said
    assert re.search(r"3 packs \(\d\.\d MiB\) thawing since [^;]*[A-Z][^;]*; looking again in 0\.1 s", said)
    assert said.count("looking again") == 1, "nothing had changed"
    assert "run again" not in said
    check_complete(back, destination, "a", "b", "c")


def test_two_restores_at_once(back: Back, tmp_path: Path) -> None:
    """Both complete, each pack is copied once, and the staging container is empty in the end."""
    places = [tmp_path / "one", tmp_path / "two"]
    running = [back.start(*ARCHIVED, "--wait", "--poll-interval", "0.1", place) for place in places]
    until(lambda: len([name for name in back.stored.staging() if "/restores/" in name]) == 2)
    until(lambda: len(back.asked()) >= 3)
    back.archive.release()
    for process in running:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    for place in places:
        check_complete(back, place, "a", "b", "c")
    assert back.copied() == sorted(back.stored.packs[:3])


def test_one_that_completes_leaves_the_copies_of_another(back: Back, tmp_path: Path) -> None:
    """The first to finish says that another one waits; the last one removes the copies."""
    all_of_it = back(*ARCHIVED, tmp_path / "one", expect=75)
    back(*ARCHIVED, tmp_path / "two", "b", expect=75)
    back.archive.release()
    part = back(*ARCHIVED, tmp_path / "two", "b")
    assert re.search(r"staging +3 copies, .*, 1 other restore still waits for them", part.stderr)
    assert len(back.stored.staging()) == 4  # and a mark
    back.again(all_of_it)
    check_complete(back, tmp_path / "one", "a", "b", "c")
    assert back.copied() == sorted(back.stored.packs[:3])


def test_a_part_into_the_same_place_leaves_the_rest_waiting(back: Back, tmp_path: Path) -> None:
    """Fetching one directory first, while all of it thaws into the same place, removes nothing."""
    destination = tmp_path / "restored"
    back(*ARCHIVED, destination, expect=75)
    back.archive.release(f"*{back.stored.packs[1]}")
    back(*ARCHIVED, destination, "b")
    assert len(back.stored.staging()) == 4
    back.archive.release()
    back(*ARCHIVED, destination)
    check_complete(back, destination, "a", "b", "c")
    assert back.copied() == sorted(back.stored.packs[:3])


def test_copies_that_vanish_are_no_damage(back: Back, tmp_path: Path) -> None:
    """Copies that somebody removes between the listing and the reading are asked for again, once."""
    destination = tmp_path / "restored"
    back(*ARCHIVED, destination, "b", expect=75)
    back.archive.release()
    slow = back.archive.add_fault("delay", method="GET", path=r"-thawed/.*/packs/", seconds=600, times=1)
    running = back.start(*ARCHIVED, destination, "b")
    until(lambda: slow.hits)
    back.stored.clean()
    slow.release()
    _, said = running.communicate(timeout=300)
    assert running.returncode == 75, said
    assert back.copied() == [back.stored.packs[1]] * 2
    back.archive.release()
    back(*ARCHIVED, destination, "b")
    check_complete(back, destination, "b")


def test_one_pack_of_three_arrives_late(back: Back, tmp_path: Path) -> None:
    """What needs only the two that came is restored, and is not read again when the third comes."""
    destination = tmp_path / "restored"
    back(*ARCHIVED, destination, expect=75)
    late = back.stored.packs[2]
    for pack in back.stored.packs[:2]:
        back.archive.release(f"*{pack}")
    second = back(*ARCHIVED, destination, expect=75)
    assert differences(back.stored.source / "a", destination / "a") == []
    assert differences(back.stored.source / "b", destination / "b") == []
    assert list((destination / "c").iterdir()) == []
    assert "2 files not restored yet\n  thawing  1 pack" in second.stderr
    back.archive.release()
    back.archive.clear_requests()
    back(*ARCHIVED, destination)
    check_complete(back, destination, "a", "b", "c")
    assert {entry.path.rpartition("/")[2] for entry in back.reads()} == {
        late,
        back.stored.packs[0],
    }  # c/both needs both
    assert not any(entry.path.endswith(back.stored.packs[1]) for entry in back.reads())


def test_online_packs_do_not_wait(back: Back, tmp_path: Path) -> None:
    """Files whose packs are online are restored in the run that asks for the others, which are not there half."""
    destination = tmp_path / "restored"
    result = back(destination, expect=75)
    assert differences(back.stored.source / "d", destination / "d") == []
    assert list((destination / "a").iterdir()) == []
    assert "restored 8 files" in result.stderr


def test_nothing_is_asked_for_twice(back: Back, tmp_path: Path) -> None:
    """However often it runs while packs are pending, each is asked for once; the state is listed, with few requests."""
    for _ in range(3):
        back(*ARCHIVED, tmp_path / "restored", expect=75)
    back(*ARCHIVED, tmp_path / "elsewhere", expect=75)
    assert back.copied() == sorted(back.stored.packs[:3])
    attempts = [entry for entry in back.archive.requests if "x-ms-copy-source" in entry.request.headers]
    assert len(attempts) == 3


def test_requests_of_an_archived_restore(back: Back, tmp_path: Path) -> None:
    """Two runs ask as the plan says: few lists, tables and marks, and a copy, a read and a delete for each pack."""
    back.archive.clear_requests()
    plan = back.events(*ARCHIVED, "--plan")["plan"]
    back.archive.clear_requests()
    back(*ARCHIVED, tmp_path / "restored", expect=75)
    back.archive.release()
    back(*ARCHIVED, tmp_path / "restored")
    sums = {name: found.requests for name, found in back.archive.sums().items()}
    expected = dict(plan["requests"])
    expected["write"] += expected.pop("thaw")
    assert sums == expected


def test_what_lies_in_staging_is_said_and_discarded(back: Back, tmp_path: Path) -> None:
    """Each run says what lies there, plans too; --discard-thawed removes it, and a later restore asks anew."""
    result = back(*ARCHIVED, tmp_path / "restored", expect=75)
    [said] = re.findall(r"staging +(3 copies, .*; the last restore .* or --discard-thawed)", result.stderr)
    assert f"in the staging container: {said}" in back(*ARCHIVED, "--plan").stderr
    assert said.partition(";")[0] in back(tmp_path / "part", "d").stderr
    refused = back("--discard-thawed", expect=1)
    assert "1 restore waits for the thawed copies\nhint: --force" in refused.stderr
    assert len(back.stored.staging()) == 4  # the copies, and the mark of the restore that waits
    found = back("--discard-thawed", "--force")
    assert re.fullmatch(r"restore.py: removed 3 copies \(.* MiB\) from the staging container\n", found.stderr)
    assert back.stored.staging() == []
    back(*ARCHIVED, tmp_path / "restored", expect=75)
    assert back.copied() == sorted(back.stored.packs[:3] * 2)
    back(*ARCHIVED, "--discard-thawed", "--force", tmp_path / "restored")
    assert back.stored.staging() == []
