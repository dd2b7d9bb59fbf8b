"""Profiles: options from a file, what counts more than they do, and files and values that cannot be right."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from emulator.azurite import KEY
from tests.cli.conftest import Cli, check_error, check_secrets
from tests.cli.test_incremental import small_files
from tests.cli.trees import differences
from tests.conftest import PASSWORD, ScriptResult


class Profiles:
    """A file of profiles, and the scripts with an environment that has nothing else."""

    def __init__(self, cli: Cli, path: Path) -> None:
        self.cli = cli
        self.path = path
        self.environment = {"HOME": str(path.parent), "XDG_CONFIG_HOME": str(path.parent / "nothing")}

    def write(self, text: str, mode: int = 0o600) -> None:
        """The file, with this vault's names where it says so."""
        vault = self.cli.vault
        values = {"container": vault.container, "table": vault.table, "partition": vault.partition}
        names = "".join(f'{key} = "{value}"\n' for key, value in values.items())
        self.path.write_text(text.replace("NAMES\n", names))
        self.path.chmod(mode)

    def __call__(
        self, script: str, *arguments: str | Path, expect: int = 0, env: Mapping[str, str] | None = None
    ) -> ScriptResult:
        """Runs a script with --config and no other option."""
        environment = {**self.environment, **(env or {})}
        result = self.cli.runner(script, "--config", self.path, *arguments, env=environment)
        check_secrets(result, PASSWORD, KEY)
        assert result.returncode == expect, result
        return result


@pytest.fixture
def profiles(cli: Cli, tmp_path: Path) -> Profiles:
    """Give an empty file of profiles."""
    return Profiles(cli, tmp_path / "config.toml")


def test_everything_from_a_profile(profiles: Profiles, tmp_path: Path) -> None:
    """Names, key and password by file and command, the source: a backup, a restore and a changed password."""
    source = small_files(tmp_path / "source", 3)
    blob, table = profiles.cli.vault.endpoints.blob_endpoint, profiles.cli.vault.endpoints.table_endpoint
    secret = tmp_path / "connection"
    secret.write_text(f"AccountName=devstoreaccount1;AccountKey={KEY};BlobEndpoint={blob};TableEndpoint={table}\n")
    secret.chmod(0o600)
    profiles.write(f"""
[profile.base]
connection-string-file = "~/connection"
password-command = "echo '{PASSWORD}'"
NAMES
[profile.home]
inherit = "base"
sources = ["~/source"]
quiet = true
[profile.home.backup]
tier = "cool"
[profile.home.change_password]
new-password-command = "echo another correct horse"
""")
    assert profiles("backup.py", "--profile", "home").stderr == ""
    profiles("restore.py", "--profile", "home", tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []
    profiles("change_password.py", "--profile", "home")
    profiles("restore.py", "--profile", "home", "--snapshots", expect=12)
    other = {"AZBACKUP_PASSWORD": "another correct horse"}  # the environment counts more
    assert str(source) in profiles("restore.py", "--profile", "home", "--snapshots", env=other).stdout


def test_what_counts_more(profiles: Profiles, tmp_path: Path) -> None:
    """Option, environment, profile, default; what is given instead of something takes all of its place."""
    profiles.write("""
[profile.p]
account = "fromprofile"
sas-token-command = "echo sv=1&sig=secret"
partition = "mine"
container = "from-parent"
inherit = "parent"
[profile.parent]
container = "never-seen"
table = "fromparent"
prices = "/of/mine.json"
[profile.p.backup]
tier = "cool"
sources = ["/from/profile"]
""")
    env = {"AZURE_STORAGE_ACCOUNT": "fromenvironment", "AZURE_STORAGE_KEY": KEY}
    options = ("--tier", "hot", "--region", "westeurope")
    shown = profiles("backup.py", "--profile", "p", *options, "--show-config", env=env).stdout
    assert "prices" not in shown  # of one region, instead of which --region is given
    lines = {line.split(" = ")[0]: " ".join(line.split()) for line in shown.splitlines()}
    assert lines["tier"] == 'tier = "hot" # option'
    assert lines["container"] == f'container = "from-parent" # [profile.p] in {profiles.path}'
    assert lines["table"] == f'table = "fromparent" # [profile.parent] in {profiles.path}'
    assert lines["account"] == 'account = "fromenvironment" # AZURE_STORAGE_ACCOUNT'
    assert lines["accesskey"] == 'accesskey = "..." # AZURE_STORAGE_KEY'
    assert "sas-token-command" not in lines
    assert lines["quiet"] == "quiet = false # default"
    assert lines["sources"].startswith('sources = ["/from/profile"] # [profile.p.backup]')
    shown = profiles("backup.py", "--profile", "p", "--show-config", tmp_path, env=env).stdout
    assert f'sources = ["{tmp_path}"]' in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[profile.p]\npartiton = "x"', ["unknown key partiton", "did you mean partition?"]),
        ("[profile.p.backup]\nwait = true", ["[profile.p.backup]", "unknown key wait"]),
        ('[profile.p]\ntier = "lukewarm"', ["profile p of", "lukewarm"]),
        ('[profile.p]\nlimit-upload = "much"', ["profile p of", "much"]),
        ("[profile.p]\naccount = {x = 1}", ["account is neither"]),
        ('[profile.q]\naccount = "x"', ["has no profile p", "it has: q"]),
        ('[profile.p]\ninherit = "q"\n[profile.q]\ninherit = "p"', ["inherits from itself"]),
        ("[profile.p]\ninherit = 3", ["not a name"]),
        ("[profile.p]\naccount = x", ["is not TOML"]),
        ('account = "x"', ["belongs to no profile"]),
        ("profile = 3", ["not a table"]),
        ('[profile.p]\nsources = ["relative"]', ["relative path"]),
        ('[profile.p]\npassword-file = "relative"', ["relative path"]),
    ],
)
def test_files_that_cannot_be_right(profiles: Profiles, text: str, words: list[str]) -> None:
    """2, naming the file, the key and the nearest right one."""
    profiles.write(text)
    result = profiles("backup.py", "--profile", "p", expect=2)
    check_error(result, "backup.py", 2, *words)


def test_files_that_are_not_safe(profiles: Profiles, tmp_path: Path) -> None:
    """One with a secret that others can read, and one that others can write, are refused, and so is none."""
    profiles.write('[profile.p]\npassword = "x"', 0o644)
    check_error(profiles("backup.py", "--profile", "p", expect=2), "backup.py", 2, "read by others", "chmod 600")
    profiles.write('[profile.p]\npartition = "x"', 0o666)
    check_error(profiles("backup.py", "--profile", "p", expect=2), "backup.py", 2, "written by other users")
    os.remove(profiles.path)
    check_error(profiles("backup.py", "--profile", "p", expect=2), "backup.py", 2, "cannot be read")
    check_error(profiles("backup.py", tmp_path, expect=2), "backup.py", 2, "without --profile")


def test_where_profiles_are_looked_for(cli: Cli, tmp_path: Path) -> None:
    """In XDG_CONFIG_HOME/azbackup/config.toml, else ~/.config/azbackup/config.toml."""
    for environment, place in (
        ({"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path)}, tmp_path / "xdg"),
        ({"HOME": str(tmp_path)}, tmp_path / ".config"),
    ):
        (place / "azbackup").mkdir(parents=True)
        (place / "azbackup" / "config.toml").write_text(f'[profile.p]\npartition = "from-{place.name}"\n')
        result = cli.runner("restore.py", "--profile", "p", "--show-config", env=environment)
        assert f'partition = "from-{place.name}"' in result.stdout
