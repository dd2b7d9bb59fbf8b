"""The command line of change_password.py --export-key and --recover: a way back in for whoever lost the password.

    --export-key FILE    FILE: a page with the data key under a phrase; the phrase: on stdout, once, and nowhere else
    --recover FILE       FILE and the phrase open the data key; a new password is set with it, or one added or removed

The page alone opens nothing, and neither does the phrase: whoever has both, and can read the storage, has the key.
"""

from __future__ import annotations

import argparse
import base64
import html
import os
import re
import sys
from functools import partial

from azbackup.cli.change_password import circumstances, removed_text, set_text, summary
from azbackup.cli.output.results import Results
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.passwords import is_written_out, password_of
from azbackup.cli.session import Vault, open_vault, utc_now
from azbackup.cli.unlock import check_there, tell_of_new, unlocked
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Status, UsageError
from azbackup.format.labels import WRAPPED_BYTES
from azbackup.records.key_changes import check_name
from azbackup.records.key_upkeep import Opened

_MARK, _MARK_ERAS = "azbackup-recovery-1:", "azbackup-recovery-2:"
_LINE = re.compile(rf"(?:{_MARK}([A-Za-z0-9_-]{{80}})|{_MARK_ERAS}([A-Za-z0-9_-]{{81,4096}}))")
_PHRASE = "AZBACKUP_RECOVERY_PHRASE"
_MOST_BYTES = 1024 * 1024
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>azbackup recovery: {partition}</title>
<style>body {{ font: 11pt/1.5 sans-serif; margin: 2cm; max-width: 17cm }} td {{ padding-right: 1cm }}
code {{ font-size: 10pt; overflow-wrap: anywhere }} ol {{ columns: 3 }} li {{ border-bottom: 1px solid; margin: .6em }}
</style></head><body>
<h1>Recovery key of a backup</h1>
<p>This page and {what} open the backup below without its password. The page alone opens nothing.
{how} Keep it where a fire or a thief of the machine does not get.</p>
<table><tr><td>account</td><td><b>{account}</b></td></tr>
<tr><td>container, table</td><td><b>{container}, {table}</b></td></tr>
<tr><td>partition</td><td><b>{partition}</b></td></tr>
<tr><td>made</td><td>{made}</td></tr></table>
<ol>{words}</ol>
<p>{picture}</p>
<p><code>{line}</code></p>
<p>To come back in: put the line above (the square has it, too) into a file, and on any machine with azbackup:</p>
<p><code>python change_password.py --account {account} --accesskey KEY --partition {partition} --recover FILE</code></p>
<p>It asks for the words, and for a new password. The page stays good when the password changes; with a new data key
(--rotate-key) make a new page, since this one opens nothing that comes after.</p>
</body></html>
"""


def export_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """Writes the page, reads it back, and only then says the phrase."""
    vault = open_vault(args, show)
    _check_free(args.export_key)
    check_there(args, vault, "--old-password")
    key = unlocked(args, show, vault, "--old-password", vault_open(vault))
    from azbackup.crypto.recovery import new_phrase, new_shares, unwrap_for_recovery, wrap_for_recovery

    lines = [new_phrase()] if args.shares is None else new_shares(*args.shares)
    phrase = " ".join(lines[: args.shares[0]] if args.shares is not None else lines)
    wrapped = wrap_for_recovery(key.data_key, phrase, vault.partition, key.earlier)
    _write(args.export_key, _page(vault, wrapped, args.shares))
    found, earlier = unwrap_for_recovery(_read(args.export_key), phrase, vault.partition)
    if found.reveal() != key.data_key.reveal() or len(earlier) != len(key.earlier):
        raise AssertionError("the page does not open to the data key")
    show.close()
    results = Results(sys.stdout)
    for line in lines:
        if show.json:
            results.event("phrase", phrase=line)
        else:
            results.add(line)
    results.flush()
    what = "the twelve words" if args.shares is None else f"any {args.shares[0]} of the {args.shares[1]} lines"
    show.summary(
        {"partition": vault.partition, "file": args.export_key},
        f"{args.export_key} is the page; {what} on stdout open it, and are kept nowhere: write them down",
    )
    return Status.DONE


def vault_open(vault: Vault) -> partial[Opened]:
    """Opens the data key by way of the vault's keystore as it is by then."""
    return partial(_open, vault)


def _open(vault: Vault, password: Secret) -> Opened:
    return vault.keystore.open(password)


def recover_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """Opens the data key by the page and the phrase, and sets, adds or removes a password with it."""
    vault = open_vault(args, show)
    added, gone = args.add_password, args.remove_password
    if (name := added or gone) is not None:
        check_name(name)
    wrapped = _read(args.recover)
    phrase = _phrase()
    from azbackup.crypto.recovery import unwrap_for_recovery
    from azbackup.records.key_recovery import Recovery

    key = unwrap_for_recovery(wrapped, phrase, vault.partition)
    recovery = Recovery(vault.rows_of, vault.blobs, key, circumstances(args, show, vault))
    if gone is not None:
        return summary(show, vault, recovery.remove_password(gone), removed_text(gone))
    new = password_of(args, "--new-password", "AZBACKUP_NEW_PASSWORD", twice=lambda: True)
    record = recovery.set_password(new) if added is None else recovery.add_password(added, new)
    written = is_written_out(args, "--new-password", "AZBACKUP_NEW_PASSWORD")
    tell_of_new(show, vault, new, args.kdf_memory, written=written)
    return summary(show, vault, record, set_text(record, added))


def _phrase() -> str:
    """The phrase, from the environment or a prompt. Raises UsageError if there is none."""
    if text := os.environ.get(_PHRASE):
        return text
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("no recovery phrase is given", f"set {_PHRASE}, or run it on a terminal, which asks")
    import getpass

    from azbackup.crypto.recovery import lacks_shares

    text, number = getpass.getpass("recovery phrase (12 words), or first share: "), 1
    while lacks_shares(text):
        number += 1
        text += " " + getpass.getpass(f"share {number}: ")
    return text


# --- the page


def _page(vault: Vault, wrapped: bytes, shares: tuple[int, int] | None) -> str:
    import segno  # only here

    mark = _MARK if len(wrapped) == WRAPPED_BYTES else _MARK_ERAS
    line = mark + base64.urlsafe_b64encode(wrapped).decode().rstrip("=")
    picture = segno.make(line, error="q", micro=False).svg_inline(scale=4)
    names = {
        "account": vault.connection.account,
        "container": vault.container,
        "table": vault.table,
        "partition": vault.partition,
        "made": utc_now(),
        "line": line,
    }
    shown = {name: html.escape(text) for name, text in names.items()}
    what, how = "its twelve words", "Print it, and write the words by hand on the paper."
    if shares is not None:
        what, how = f"any {shares[0]} of its {shares[1]} shares of words", "Each share is with somebody else."
    words = "<li>&nbsp;</li>" * 12 if shares is None else ""
    return _PAGE.format(**shown, what=what, how=how, words=words, picture=picture)


def _check_free(path: str) -> None:
    """Raises UsageError for a file that is there: it may be the page of another partition."""
    if os.path.lexists(path):
        raise UsageError(f"{path} is there already", "give a new file: nothing is overwritten")


def _write(path: str, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AzbackupError(f"the page cannot be written: {path}: {error.strerror}", "give another path") from None


def _read(path: str) -> bytes:
    """The wrapped key in a page, or in any text that has its line. Raises UsageError for another file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_BYTES)
    except OSError as error:
        raise UsageError(f"the recovery file cannot be read: {path}: {error.strerror}", "check the path") from None
    found = _LINE.search(text)
    if found is None:
        raise UsageError(f"{path} has no line that begins with {_MARK}", "it is on the page, below the square")
    line = found[1] or found[2]
    return base64.urlsafe_b64decode(line + "=" * (-len(line) % 4))
