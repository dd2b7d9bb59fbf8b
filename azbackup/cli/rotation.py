"""The command line of change_password.py --rotate-key: what a new data key costs, the question, what is left to do."""

from __future__ import annotations

import argparse
import time
from typing import Any

import msgspec

from azbackup.cli.asking import agrees, is_attended
from azbackup.cli.change_password import NEW, NEW_VARIABLE, circumstances, opened_by
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import count_text, money_text, size_text
from azbackup.cli.passwords import is_written_out, password_of
from azbackup.cli.session import Session, open_catalog, open_vault
from azbackup.cli.status import outcome_status
from azbackup.cli.unlock import tell_of_new
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Status, UsageError
from azbackup.format.labels import PACK_BYTES
from azbackup.format.model import Snapshot
from azbackup.records.key_record import KeyRecord
from azbackup.records.key_upkeep import Opened
from azbackup.records.rotation import rotate
from azbackup.records.snapshots import latest_of_each_source
from azbackup.storage.prices import Packed, Prices, backup_cost, load_prices

_TIER = "archive"


class _Price(msgspec.Struct, frozen=True):
    """What the next backups store anew, at most: sources, files and bytes, what that costs once and a month."""

    sources: int
    files: int
    size: int
    once: float
    month: float
    currency: str
    prices: str


def rotate_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """Changes the password and the data key."""
    started = time.monotonic()
    prices = load_prices(args.prices, args.region)
    vault = open_vault(args, show)

    def open_key(password: Secret) -> Opened:
        return vault.keystore.open(password)

    opened = opened_by(args, show, vault, open_key)
    partition, catalog = open_catalog(Session(args, show, vault, opened, started))
    price = _price(catalog.snapshots(), prices)
    dropped = [slot.name for slot in opened.record.slots if slot.name != opened.name]
    new = password_of(args, NEW, NEW_VARIABLE, twice=lambda: True)
    _agree(args, show, _words(price, dropped))
    record = rotate(vault.keystore, opened, partition.records, new, circumstances(args, show, vault))
    tell_of_new(show, vault, new, args.kdf_memory, written=is_written_out(args, NEW, NEW_VARIABLE))
    return _end(show, vault.partition, record, price, dropped)


def _price(snapshots: list[Snapshot], prices: Prices) -> _Price:
    """Of the newest snapshot of each source, as if nothing of it shrank and no two files had the same contents."""
    newest = latest_of_each_source(snapshots)
    size, files = sum(each.totals.size for each in newest), sum(each.totals.files for each in newest)
    packs = -(-size // PACK_BYTES)
    requests = {"write": packs + 3 * len(newest), "table": 10 * len(newest), "list": 2 * len(newest)}
    once, month = backup_cost(prices, requests, Packed(packs, size, _TIER))
    return _Price(len(newest), files, size, once, month, prices.currency, f"{prices.region}, {prices.as_of}")


def _words(price: _Price, dropped: list[str]) -> list[str]:
    """What follows from a new data key."""
    anew = f"{count_text(price.files, 'file')}, {size_text(price.size)}, of {count_text(price.sources, 'source')}"
    cost = f"{money_text(price.once, price.currency)} once, {money_text(price.month, price.currency)} a month"
    lines = [
        f"the next backups store everything anew, at most {anew}: {cost} in the {_TIER} tier ({price.prices})",
        "what is stored stays, under the data key that it has: whoever has that reads it on, until it is removed",
    ]
    if dropped:
        lines.append(f"dropped, and to be added again by --add-password: {', '.join(dropped)}")
    return lines


def _agree(args: argparse.Namespace, show: LineProgress, lines: list[str]) -> None:
    """Asks, unless told not to. Raises UsageError where nobody can be asked, AzbackupError for any answer but yes."""
    if not args.yes and not is_attended(args):
        raise UsageError(f"nothing was changed yet: {'; '.join(lines)}", "give --yes, too, to go on")
    for line in lines:
        show.note(line)
    if args.yes:
        return
    show.close()
    if not agrees("Make a new data key? [y/N] ", unless_told=False):
        raise AzbackupError("nothing was changed", "answer y to make a new data key")


def _end(show: LineProgress, partition: str, record: KeyRecord, price: _Price, dropped: list[str]) -> Status:
    """Says what is true now, and what is left to do."""
    values: dict[str, Any] = {
        "partition": partition,
        "changed": record.changed,
        "passwords": [slot.name for slot in record.slots],
        "dropped": dropped,
        "data_keys": record.era,
        "files": price.files,
        "size": price.size,
        "cost": round(price.once, 6),
        "cost_month": round(price.month, 6),
        "currency": price.currency,
    }
    left = ["a recovery page of before opens what was stored until now, and no more: make a new one (--export-key)"]
    if dropped:
        left.append(f"add the other passwords again: {', '.join(dropped)} (--add-password NAME)")
    left.append("back up now; then see docs/operations.md, after a leak")
    head = f"partition {partition} opens with the new password alone from now on, and has a new data key for what comes"
    show.summary(values, head, urgent=left)
    return outcome_status(show, 0)
