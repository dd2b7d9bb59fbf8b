"""restore.py --verify --read-data: a drill that thaws and opens packs, goes on where it was, and has its bill."""

from __future__ import annotations

import json
from typing import Any

from azure.storage.blob import BlobBlock, StandardBlobTier

from azbackup.format.labels import pack_blob
from tests.conftest import ScriptRunner
from tests.restore.conftest import Back, noise, put, store

DRILL = ("--verify", "--read-data")


def summary(output: str) -> dict[str, Any]:
    """The summary of a run with --json."""
    [found] = [event for event in map(json.loads, output.splitlines()) if event["event"] == "summary"]
    return dict(found)


def test_what_is_online_is_opened(back: Back) -> None:
    """Without a bound nothing is thawed: the one pack that is online is read, and no other."""
    said = back(*DRILL)
    assert "drill: 1 of 4 packs" in said.stderr
    assert "opened" in said.stderr
    assert back.copied() == []
    assert {entry.path.rpartition("/")[2] for entry in back.reads()} == {back.stored.packs[3]}


def test_a_drill_pends_and_goes_on_elsewhere(back: Back, elsewhere: ScriptRunner) -> None:
    """All packs: the online one is opened at once, the others once they have thawed, from another host; all once."""
    first = back(*DRILL, "--sample", "100%", expect=75)
    assert "3 archived packs among them: at most 15 h" in first.stderr
    assert "not all packs are open yet" in first.stderr
    back(*DRILL, "--sample", "100%", expect=75)
    assert back.copied() == sorted(back.stored.packs[:3])
    back.archive.release()
    last = back.again(first, home=elsewhere)
    assert "drill: 4 packs" in last.stderr
    assert "all had thawed" in last.stderr
    assert "estimated bill" in last.stderr
    assert back.copied() == sorted(back.stored.packs[:3])
    opened = [entry.path.rpartition("/")[2] for entry in back.reads()]
    assert opened.count(back.stored.packs[3]) == 1
    assert set(opened) == set(back.stored.packs)
    assert back.stored.staging() == []
    shown = back("--snapshots")
    assert "drill on" in shown.stderr
    assert "nothing was missing" in shown.stderr
    assert "no drill" not in back("--verify", "--drill-every", "90d").stderr
    assert "time for another" in back("--verify", "--drill-every", "0h").stderr


def test_a_price_before_it_is_paid(back: Back) -> None:
    """--plan says what it would take, and asks for nothing; a bound that no pack fits is no success."""
    said = back(*DRILL, "--sample", "100%", "--plan")
    assert "estimated bill " in said.stderr
    assert "opened in" not in said.stderr
    assert "no pack is within" in back(*DRILL, "--max-cost", "0", expect=2).stderr
    assert "no pack is within" in back(*DRILL, "--budget", "1K", expect=2).stderr
    assert [change for change in back.changes() if "thawed" in change] == []


def test_what_does_not_open_is_named(own: Back) -> None:
    """A pack that was altered under its size and MD5 looks sound in a listing; opened it does not, and 13 names it."""
    put(own.stored.source / "file", noise(300_000, 3), 1)
    pack = store(own, "--tier", "hot")
    container, _ = own.stored.containers()
    with container:
        blob = container.get_blob_client(pack_blob(own.stored.vault.partition, pack))
        data = bytearray(blob.download_blob().readall())
        data[len(data) // 2] ^= 1
        settings = blob.get_blob_properties().content_settings
        blob.stage_block("one", bytes(data))  # with a block list the service keeps the MD5 that it is told
        blob.commit_block_list([BlobBlock("one")], content_settings=settings, standard_blob_tier=StandardBlobTier.HOT)
    own("--verify")
    result = own("--json", *DRILL, expect=13)
    kinds = [event["kind"] for event in map(json.loads, result.stdout.splitlines()) if event["event"] == "finding"]
    assert "pack_unreadable" in kinds
    assert "chunks" in kinds
    assert summary(result.stdout)["drill"]["read_packs"] == 1
