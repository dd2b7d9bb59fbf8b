"""The records that judge others (retired, settled, verified), each altered in every way: none hides what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.contract.memory import Blob, md5_of
from tests.vectors import vaults

ALTERED: dict[str, Callable[[bytes], bytes]] = {
    "flipped": vaults.flipped,
    "cut": vaults.cut,
    "extended": vaults.extended,
    "emptied": lambda _: b"",
    "begins otherwise": lambda data: b"x" + data[1:],
}
KINDS = {"retired": "retired-", "recalled": "retired-", "settled": "settled-", "verified": "verified-"}

RECALLING = ("vault", "retired-00000002")


def _objects(account: Any, prefix: str) -> list[tuple[dict[Any, Any], Any]]:
    """Where each of the records lies, row and copy; the copy of a verdict has the name of its stamp."""
    stamps = {name.removeprefix(prefix) for _, name in account.table.rows if name.startswith(prefix)}
    return [
        (where, name)
        for where, name in account.objects()
        if any(
            stamp in (name[1] if isinstance(name, tuple) else name).removeprefix("vault/records/") for stamp in stamps
        )
    ]


def _changed(value: Any, change: Callable[[bytes], bytes]) -> Any:
    if isinstance(value, Blob):
        data = change(value.data)
        return replace(value, data=data, md5=md5_of(data))
    return change(value)


@pytest.mark.parametrize("name", KINDS)
def test_each_is_altered_and_removed(name: str, tmp_path: Path) -> None:
    """What is kept is listed and restores exactly; what is wrong with a record that matters is told (13)."""
    frozen = vaults.load(name)
    home = tmp_path / "home"
    home.mkdir()
    whole = frozen.account(home)
    newest = max(frozen.values["trees"], key=int)
    objects = _objects(whole, KINDS[name])
    assert len(objects) >= 2
    tried = 0
    for where, key in objects:
        for what, change in [*ALTERED.items(), ("removed", None)]:
            account = whole.clone()
            there = account.table.rows if where is whole.table.rows else account.blobs.blobs
            value = there.pop(key)
            if change is not None:
                there[key] = _changed(value, change)
            tried += 1
            done = account.restore("--snapshots")
            assert done.status in (0, 13), (key, what, done)
            listed = {str(event["snapshot"]) for event in done.of("snapshot")}
            if (name, key, what) == (
                "recalled",
                RECALLING,
                "removed",
            ):  # runs read rows: what took it away counts alone
                assert listed == {"3"}
                account.blobs.blobs["vault/records/" + RECALLING[1]].created -= 7200
                verified = account.restore("--verify")
                assert verified.status == 13
                found = next(event for event in verified.of("finding") if event["kind"] == "row_missing")
                assert (found["first"][0]["name"], found["mend"]) == (RECALLING[1], "backup.py --repair")
                assert account.restore("--snapshot", "2", tmp_path / "recalled").status in (0, 13)
                assert account.backup("--retention-only", "--keep-last", "9").status == 0
                listed = {str(event["snapshot"]) for event in account.restore("--snapshots").of("snapshot")}
            assert listed >= {*frozen.values["trees"]}, (key, what)
            to = tmp_path / str(tried)
            restored = account.restore("--snapshot", newest, to)
            assert restored.status in (0, 13), (key, what, restored)
            assert vaults.tree_hash(to) == frozen.values["trees"][newest], (key, what)
    assert tried >= 12


@pytest.mark.parametrize("name", ["settled", "verified"])
def test_a_verdict_without_its_row_is_put_back(name: str, tmp_path: Path) -> None:
    """What was settled counts as damage again until a repair finds the copy; a result is shown again."""
    account = vaults.load(name).account(tmp_path)
    rows = {key: value for key, value in account.table.rows.items() if key[1].startswith(f"{name}-")}
    assert rows
    for key in rows:
        del account.table.rows[key]
    done = account.restore("--verify")
    assert done.status == (13 if name == "settled" else 0)
    [found] = [each for each in done.of("finding") if each["kind"] == "unfinished"]
    assert {each["name"] for each in found["first"]} == {key[1] for key in rows}
    assert account.backup("--repair").status == 0
    assert {key: account.table.rows.get(key) for key in rows} == rows
    assert account.restore("--verify").status == 0
