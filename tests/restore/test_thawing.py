"""How packs are thawed: priorities, the hour's budget, in place; what Azure refuses, what is missing or goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from azbackup.format.labels import pack_blob
from emulator.azurite import Azurite
from emulator.trees import differences
from tests.conftest import ScriptRunner, Vault, until
from tests.restore.conftest import Back, Stored, new_vault, noise, put, sas, store

ARCHIVED = ("--snapshot", "3")
GIB = 1024**3


def gib(back: Back, *packs: int) -> str:
    """The sizes of some packs together, as --high-budget takes them, and a little more."""
    container, _ = back.stored.containers()
    with container:
        names = [pack_blob(back.stored.vault.partition, back.stored.packs[number]) for number in packs]
        size = sum(container.get_blob_client(name).get_blob_properties().size for name in names)
    return f"{(size + 1000) / GIB:.9f}"


def priorities(back: Back) -> dict[str, str]:
    """The priority with which each pack's copy was asked for."""
    return {entry.path.rpartition("/")[2]: entry.request.headers["x-ms-rehydrate-priority"] for entry in back.asked()}


# --- priorities


def test_high_priority_stays_within_the_budget(back: Back, tmp_path: Path) -> None:
    """Only what the hour's budget holds is asked for at high, and no more however often it runs within the hour."""
    first, second, third = back.stored.packs[:3]
    options = (*ARCHIVED, "--priority", "high", "--high-budget", gib(back, 0), tmp_path / "restored")
    result = back(*options, expect=75)
    assert priorities(back) == {first: "High"}
    assert "2 packs, for the next hour's budget at high priority" in result.stderr
    back(*options, expect=75)
    back.archive.release()
    back(*options, expect=75)  # what came within the hour still counts
    assert priorities(back) == {first: "High"}
    more = (*ARCHIVED, "--priority", "high", "--high-budget", gib(back, 0, 1, 2), tmp_path / "restored")
    back(*more, expect=75)
    assert priorities(back) == {first: "High", second: "High", third: "High"}
    back.archive.release()
    back(*more)
    assert len(back.copied()) == 3
    assert back.stored.staging() == []


def test_mixed_priority(back: Back, tmp_path: Path) -> None:
    """The smallest packs go at high priority within the budget, the rest at standard."""
    first, second, third = back.stored.packs[:3]
    budget = gib(back, 1)
    back(*ARCHIVED, "--priority", "mixed", "--high-budget", budget, tmp_path / "restored", expect=75)
    assert priorities(back) == {first: "Standard", second: "High", third: "Standard"}
    back(*ARCHIVED, "--priority", "mixed", "--high-budget", budget, tmp_path / "restored", expect=75)
    assert len(back.copied()) == 3


def test_budget_smaller_than_a_pack(back: Back, tmp_path: Path) -> None:
    """A budget that no pack fits would wait for ever: it is refused before anything is sent."""
    result = back(*ARCHIVED, "--priority", "high", "--high-budget", "0.00001", tmp_path / "restored", expect=2)
    assert "--high-budget is smaller than the largest pack" in result.stderr
    assert back.changes() == []


def test_budget_is_the_accounts(back: Back, azurite: Azurite, tmp_path: Path) -> None:
    """What another partition thaws at high priority within the hour counts too."""
    budget = gib(back, 0)
    back(*ARCHIVED, "--priority", "high", "--high-budget", budget, tmp_path / "one", "a", expect=75)
    vault = back.stored.vault
    stored = Stored(Vault(azurite, "other", vault.container, vault.table), tmp_path / "source", [])
    other = Back(stored, back.archive, back.runner)
    put(tmp_path / "source" / "file", noise(200_000, 1), 1)
    store(other)
    other("--priority", "high", "--high-budget", budget, tmp_path / "two", expect=75)
    assert len(back.copied()) == 1
    other.stored.clean()


def test_standard_is_raised_to_high_and_never_lowered(back: Back, tmp_path: Path) -> None:
    """A pending standard thaw is raised once; a later standard run leaves it; no copy is made again."""
    back(*ARCHIVED, tmp_path / "restored", expect=75)
    assert set(priorities(back).values()) == {"Standard"}
    back(*ARCHIVED, "--priority", "high", tmp_path / "restored", expect=75)
    raised = back.asked(tiers=True)
    assert sorted(entry.path.rpartition("/")[2] for entry in raised) == sorted(back.stored.packs[:3])
    assert {entry.request.headers["x-ms-rehydrate-priority"] for entry in raised} == {"High"}
    back(*ARCHIVED, "--priority", "high", tmp_path / "restored", expect=75)
    back(*ARCHIVED, tmp_path / "restored", expect=75)
    assert len(back.asked(tiers=True)) == 3
    back.archive.release()
    back(*ARCHIVED, tmp_path / "restored")
    assert len(back.copied()) == 3
    assert back.stored.staging() == []


def test_raising_stays_within_the_budget(back: Back, tmp_path: Path) -> None:
    """Only as many pending thaws are raised as the hour's budget holds."""
    back(*ARCHIVED, tmp_path / "restored", expect=75)
    options = ("--priority", "high", "--high-budget", gib(back, 0), tmp_path / "restored")
    back(*ARCHIVED, *options, expect=75)
    back(*ARCHIVED, *options, expect=75)
    assert [entry.path.rpartition("/")[2] for entry in back.asked(tiers=True)] == [back.stored.packs[0]]


def test_raise_that_goes_wrong_once(back: Back, tmp_path: Path) -> None:
    """A change of priority that meets an error is tried again."""
    back(*ARCHIVED, tmp_path / "restored", "b", expect=75)
    back.archive.add_fault("error", method="PUT", query="comp=tier", times=1)
    back(*ARCHIVED, "--priority", "high", tmp_path / "restored", "b", expect=75)
    assert len(back.asked(tiers=True)) == 1


# --- what Azure refuses


def test_copy_refused(back: Back, tmp_path: Path) -> None:
    """Without the right to copy: 14, the way round is named, and what is online was restored."""
    back.archive.add_fault("refuse", method="PUT", path="-thawed/")
    result = back(tmp_path / "restored", expect=14)
    assert differences(back.stored.source / "d", tmp_path / "restored" / "d") == []
    assert "hint: use an account key, or --thaw in-place" in result.stderr
    assert "6 files not restored yet" in result.stderr
    assert "run again" not in result.stderr


def test_copy_refused_while_waiting(back: Back, tmp_path: Path) -> None:
    """--wait does not wait for what will not come."""
    back.archive.add_fault("refuse", method="PUT", path="-thawed/.*/packs/")
    result = back(*ARCHIVED, "--wait", tmp_path / "restored", expect=14)
    assert "cannot be thawed by copy" in result.stderr


def test_sas_that_cannot_copy(azurite: Azurite, run_script: ScriptRunner, tmp_path: Path) -> None:
    """Azurite itself refuses a copy whose source has a SAS: 14 and the way round, which works."""
    vault = new_vault(azurite)
    put(tmp_path / "source" / "file", noise(100_000, 7), 1)
    assert run_script("backup.py", *vault.arguments, tmp_path / "source", env=vault.environment).returncode == 0
    env = sas(vault.endpoints, "rwdlacup")
    first = run_script("restore.py", *vault.arguments, tmp_path / "restored", env=env)
    assert first.returncode == 14, first
    assert "cannot be thawed by copy" in first.stderr
    assert "--thaw in-place" in first.stderr
    assert "sig=" not in first.stderr
    second = run_script("restore.py", *vault.arguments, "--thaw", "in-place", tmp_path / "restored", env=env)
    assert second.returncode == 0, second
    assert differences(tmp_path / "source", tmp_path / "restored") == []


# --- in place


def test_thaw_in_place(back: Back, tmp_path: Path) -> None:
    """Set Tier instead of copies: pends, completes, leaves no copy; --discard-thawed puts the packs back."""
    options = (*ARCHIVED, "--thaw", "in-place", tmp_path / "restored")
    first = back(*options, expect=75)
    assert "--thaw in-place" in first.stderr.partition("run again: ")[2]
    back(*options, expect=75)
    assert len(back.asked(tiers=True)) == 3
    assert back.stored.staging() == []
    early = back("--discard-thawed", expect=75)
    assert "3 packs still thawing in place: run this again later" in early.stderr
    back.archive.release()
    back.again(first)
    for name in "abc":
        assert differences(back.stored.source / name, tmp_path / "restored" / name) == []
    assert set(back.stored.tiers().values()) == {"Hot"}
    found = back("--discard-thawed")
    assert "3 packs put back into the archive tier" in found.stderr
    tiers = back.stored.tiers()
    assert [tiers[pack] for pack in back.stored.packs] == ["Archive"] * 3 + ["Hot"]
    assert back.copied() == []


def test_in_place_is_raised_where_it_is(back: Back, tmp_path: Path) -> None:
    """A thaw in place is raised on the pack itself, also by a run that would copy; there is no second thaw."""
    back(*ARCHIVED, "--thaw", "in-place", tmp_path / "restored", "b", expect=75)
    back(*ARCHIVED, "--priority", "high", tmp_path / "restored", "b", expect=75)
    assert back.copied() == []
    assert [entry.request.headers["x-ms-rehydrate-priority"] for entry in back.asked(tiers=True)] == [
        "Standard",
        "High",
    ]
    assert not any("-thawed" in entry.path for entry in back.asked(tiers=True))


def test_in_place_uses_the_copy_that_is_coming(back: Back, tmp_path: Path) -> None:
    """A pack that is being copied is not thawed in place too, and raising it raises the copy."""
    back(*ARCHIVED, tmp_path / "restored", "b", expect=75)
    back(*ARCHIVED, "--thaw", "in-place", "--priority", "high", tmp_path / "restored", "b", expect=75)
    assert ["-thawed" in entry.path for entry in back.asked(tiers=True)] == [True]
    back.archive.release()
    back(*ARCHIVED, "--thaw", "in-place", tmp_path / "restored", "b")
    assert back.stored.staging() == []
    assert back.stored.tiers()[back.stored.packs[1]] == "Archive"


def test_waiting_for_a_thaw_in_place(back: Back, tmp_path: Path) -> None:
    """--wait without --thaw in-place sees what an earlier run thaws in place."""
    back(*ARCHIVED, "--thaw", "in-place", tmp_path / "restored", "b", expect=75)
    waiting = back.start(*ARCHIVED, "--wait", "--poll-interval", "0.1", tmp_path / "restored", "b")
    until(lambda: back.lists_of_staging() >= 4)
    back.archive.release()
    _, said = waiting.communicate(timeout=300)
    assert waiting.returncode == 0, said
    assert back.copied() == []


# --- what is missing or goes wrong


def test_pack_missing(own: Back, tmp_path: Path) -> None:
    """A pack that is gone is 13 and its file is named; the rest pends, and is restored, with 13 again."""
    put(own.stored.source / "kept", noise(100_000, 1), 1)
    store(own)
    put(own.stored.source / "lost", noise(100_000, 2), 2)
    gone = store(own)
    container, _ = own.stored.containers()
    with container:
        container.delete_blob(pack_blob(own.stored.vault.partition, gone))
    first = own(tmp_path / "restored", expect=13)
    assert f"pack {gone} is missing" in first.stderr
    assert f"restore.py: lost: its contents are in pack {gone}, which is missing" in first.stderr
    assert "1 file not restored yet" in first.stderr
    assert "1 file still waits for packs to thaw: run it again, as with 75" in first.stderr.splitlines()[-1]
    own.archive.release()
    assert "no file waits for a pack that thaws" in own(tmp_path / "restored", expect=13).stderr.splitlines()[-1]
    assert (tmp_path / "restored" / "kept").read_bytes() == (own.stored.source / "kept").read_bytes()
    assert not (tmp_path / "restored" / "lost").exists()
    assert own.stored.staging() == []
    plan = own("--plan", expect=13)
    assert "packs:       1 missing" in plan.stdout


@pytest.mark.parametrize("kind", ["lose", "throttle", "break", "error", "delay", "cut"])
def test_faults_on_every_kind_of_request(back: Back, tmp_path: Path, kind: str) -> None:
    """Each request that matters goes wrong once; it completes all the same, and no pack is copied twice."""
    seconds = {"throttle": 1.0, "delay": 0.2}.get(kind, 0.0)
    rules = [
        {"method": "PUT", "path": "-thawed/.*/packs/"},
        {"method": "PUT", "path": "-thawed/.*/restores/"},
        {"method": "GET", "path": "-thawed$", "query": "comp=list"},
        {"method": "GET", "path": r"t\w+$", "query": "comp=list"},
        {"method": "GET", "path": "/packs/"},
        {"method": "DELETE"},
    ]
    faults = [back.archive.add_fault(kind, times=1, seconds=seconds, **rule) for rule in rules]  # type: ignore[arg-type]
    back(*ARCHIVED, tmp_path / "restored", expect=75)
    back.archive.release()
    back(*ARCHIVED, tmp_path / "restored")
    assert [fault.hits for fault in faults] == [1] * len(faults)
    for name in "abc":
        assert differences(back.stored.source / name, tmp_path / "restored" / name) == []
    assert back.copied() == sorted(back.stored.packs[:3])
    assert back.stored.staging() == []


def test_answer_that_was_lost_after_the_pack_came(back: Back, tmp_path: Path) -> None:
    """A copy whose answer is lost is not made again, even if it is complete when the request is repeated."""
    back.archive.set_thaw_seconds(0.0, 0.0)
    back.archive.add_fault("lose", method="PUT", path="-thawed/.*/packs/", times=2)
    back(*ARCHIVED, tmp_path / "restored")
    assert back.copied() == sorted(back.stored.packs[:3])
    assert back.stored.staging() == []


def test_waiting_survives_a_network_that_goes_and_comes(back: Back, tmp_path: Path) -> None:
    """While --wait polls, connections that break are tried again (for longer ones see unit/test_scheduler.py)."""
    waiting = back.start(*ARCHIVED, "--wait", "--poll-interval", "0.1", tmp_path / "restored", "b")
    until(lambda: back.lists_of_staging() >= 3)
    down = back.archive.add_fault("break", method="GET", query="comp=list", times=3)
    until(lambda: down.hits == 3)
    back.archive.release()
    _, said = waiting.communicate(timeout=300)
    assert waiting.returncode == 0, said
    assert back.stored.staging() == []


def test_copy_that_failed_is_asked_for_again(back: Back, tmp_path: Path) -> None:
    """A copy that Azure gave up is removed and asked for once more."""
    back(*ARCHIVED, tmp_path / "restored", "b", expect=75)
    assert back.archive.fail() == 1
    back(*ARCHIVED, tmp_path / "restored", "b", expect=75)
    assert back.copied() == [back.stored.packs[1]] * 2
    back.archive.release()
    back(*ARCHIVED, tmp_path / "restored", "b")
    assert differences(back.stored.source / "b", tmp_path / "restored" / "b") == []
    assert back.stored.staging() == []


def test_copies_that_may_not_be_removed(back: Back, tmp_path: Path) -> None:
    """Credentials that cannot delete: everything is restored, 0, and what stays behind is said."""
    back(*ARCHIVED, tmp_path / "restored", "b", expect=75)
    back.archive.release()
    back.archive.add_fault("refuse", method="DELETE")
    result = back(*ARCHIVED, tmp_path / "restored", "b")
    assert "the thawed copies could not be removed" in result.stderr
    assert "1 copy, 320.0 KiB" in result.stderr  # padded
