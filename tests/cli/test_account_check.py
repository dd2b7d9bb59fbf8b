"""restore.py --account-check: what credentials may do is tried where it harms nothing, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.stored import fingerprint
from tests.conftest import ScriptRunner
from tests.restore.conftest import sas


@pytest.fixture(scope="module")
def stored(module_cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Give a vault that holds something."""
    source: Path = tmp_path_factory.mktemp("check")
    (source / "file").write_text("content")
    module_cli.backup(source, "--tier", "hot")
    return module_cli


def checks(runner: ScriptRunner, cli: Cli, env: dict[str, str]) -> dict[str, str]:
    """The states by topic, without a password; nothing of the vault is touched."""
    before = fingerprint(cli.vault)
    arguments = ["--container", cli.vault.container, "--table", cli.vault.table]
    result = runner("restore.py", *arguments, "--account-check", "--json", env=env)
    assert result.returncode == 0, result
    assert fingerprint(cli.vault) == before
    events = [json.loads(line) for line in result.stdout.splitlines()]
    return {event["topic"]: event["state"] for event in events if event["event"] == "check"}


def test_an_account_key(stored: Cli, run_script: ScriptRunner) -> None:
    """It may do everything; what Azurite does not tell is unknown, and the clock is right."""
    env = {key: value for key, value in stored.environment.items() if key != "AZBACKUP_PASSWORD"}
    found = checks(run_script, stored, env)
    rights = {topic: state for topic, state in found.items() if topic.startswith("may ")}
    assert set(rights.values()) == {"yes"}
    assert len(rights) == 8
    assert found["clock"] == found["private"] == "yes"
    assert found["lifecycle rules, firewall"] == found["versions"] == "unknown"


def test_a_token_that_can_only_add(stored: Cli, run_script: ScriptRunner) -> None:
    """rlac: lists and reads, and neither overwrites, deletes, moves tiers nor changes rows."""
    found = checks(run_script, stored, sas(stored.vault.endpoints, "rlac"))
    assert [topic for topic, state in found.items() if topic.startswith("may ") and state == "yes"] == [
        "may list blobs",
        "may read blobs",
        "may read rows",
    ]
    assert [topic for topic, state in found.items() if topic.startswith("may ") and state == "unknown"] == []


def test_for_people(stored: Cli) -> None:
    """A line for each, and what it comes to."""
    said = stored("restore.py", "--account-check")
    assert "+ may read blobs: yes" in said.stdout
    assert "can destroy what is there" in said.stderr
