"""The command line of restore.py --account-check: what protects the account, and what these credentials may do.

Needs no password. Nothing is written: rights are tried on what is not there.
"""

from __future__ import annotations

import argparse
import sys
import time

from azbackup.cli.output.results import Results
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clean
from azbackup.cli.session import open_vault
from azbackup.errors import Status

_WRITE_ONCE = ("may overwrite blobs", "may delete blobs", "may change rows", "may delete rows")


def account_check_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """Looks, and says; 0 whatever it finds: whether that is meant only its owner knows."""
    vault = open_vault(args, show)
    results = Results(sys.stdout)
    states = {}
    for each in vault.checkup(time.time).run():
        states[each.topic] = each.state
        if show.json:
            results.event("check", topic=each.topic, state=each.state, message=each.text, well=each.well)
        else:
            mark = {True: "+", False: "!", None: " "}[each.well]
            results.add(clean(f"{mark} {each.topic}: {each.state}{f' ({each.text})' if each.text else ''}"))
    results.flush()
    could = [topic for topic in _WRITE_ONCE if states.get(topic) != "no"]
    text = "these credentials can only add: whoever steals them cannot destroy what is there"
    if could:
        text = "whoever steals these credentials can destroy what is there, unless soft delete or immutability keeps it"
    show.summary({"write_once": not could, "requests": vault.account.requests.total()}, text)
    return Status.DONE
