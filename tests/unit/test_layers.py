"""The shape of the house: who may import whom, who talks to the world, and how long things may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import azbackup

PACKAGE = Path(azbackup.__file__).parent
MODULES = {path.stem: ast.parse(path.read_text()) for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"}

# Imports point up this table, to an earlier line only: never to their own line, never down.
LAYERS = (
    "errors stores progress background allocator pace note secret",  # what everything may use
    "formats lock prices",  # labels, limits and names
    "model codec kdf",  # the nouns
    "crypto plan packer scanner entries selection overwrite copies compressor",  # bytes and nouns in and out
    "settings hasher reader changes journal priorities seen headstart keywrap cache versions",
    "account writer",  # the two ends: a storage account, a destination
    "blobs tables",
    "archive",
    "records keystore",  # what is known, sealed
    "catalog rebuild rekey",  # what is known, opened; the password
    "uploads thawing estimate destination",  # the parts of the runs
    "chunkstore fetch gathering listing",
    "arrivals capture",
    "backup restore",  # the runs
    "terminal options",  # the command line: what is shown, what can be asked for
    "vault report",
    "choice",
    "backing restoring looking",
    "cli",
)
LAYER_OF = {name: number for number, line in enumerate(LAYERS) for name in line.split()}
COMMAND_LINE = {name for line in LAYERS[-5:] for name in line.split()}
SDK = {"account", "blobs", "tables", "archive"}

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60
LONG_FUNCTIONS = {"options.restore_parser"}  # one option after the other


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the full names of everything that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def own_imports(tree: ast.Module) -> set[str]:
    """Return the names of azbackup's modules that a module imports."""
    parts = [name.split(".") for name in imported(tree)]
    return {part[1] for part in parts if part[0] == "azbackup" and part[1] in MODULES}


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for an attribute of a name, '' for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def test_every_module_has_its_place() -> None:
    """The table names each module once, and nothing that is not there."""
    assert sorted(LAYER_OF) == sorted(MODULES)
    assert len(LAYER_OF) == sum(len(line.split()) for line in LAYERS)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name: str) -> None:
    """A module imports from earlier layers only."""
    wrong = {other for other in own_imports(MODULES[name]) if LAYER_OF.get(other, 99) >= LAYER_OF.get(name, 99)}
    assert wrong == set(), f"{name} may not import {wrong}"


@pytest.mark.parametrize("name", MODULES)
def test_imports_are_absolute(name: str) -> None:
    """No relative imports, and nothing of the tests or the emulator."""
    assert not [each for each in imported(MODULES[name]) if each.startswith(".")]
    assert not [each for each in imported(MODULES[name]) if each.split(".")[0] in ("emulator", "tests")]


@pytest.mark.parametrize("name", sorted(MODULES.keys() - SDK))
def test_the_sdk_stays_in_the_adapters(name: str) -> None:
    """Only account, blobs, tables and archive know Azure's SDK."""
    assert not [each for each in imported(MODULES[name]) if each.split(".")[0] == "azure"]


@pytest.mark.parametrize("name", sorted(MODULES.keys() - COMMAND_LINE))
def test_only_the_command_line_talks_to_the_world(name: str) -> None:
    """Below it nobody prints, asks, parses options, reads the environment or the clock, or ends the process."""
    forbidden = {"print", "input", "os.environ", "os.getenv", "sys.stdout", "sys.stderr", "sys.stdin", "sys.exit"}
    forbidden |= {"time.time", "time.time_ns", "time.monotonic", "datetime.now", "datetime.datetime.now", "os._exit"}
    found = {dotted(node) for node in ast.walk(MODULES[name]) if isinstance(node, ast.Name | ast.Attribute)}
    assert found & forbidden == set()
    assert not {each.split(".")[0] for each in imported(MODULES[name])} & {"argparse", "getpass", "logging"}


@pytest.mark.parametrize("name", MODULES)
def test_nobody_sleeps_without_being_asked(name: str) -> None:
    """Waiting is an argument: `time.sleep` is called by the command line, and is the adapters' default."""
    calls = {dotted(node.func) for node in ast.walk(MODULES[name]) if isinstance(node, ast.Call)}
    assert "time.sleep" not in calls or name in COMMAND_LINE


@pytest.mark.parametrize("name", MODULES)
def test_functions_and_files_are_short(name: str) -> None:
    """No file over 400 lines, no function over 60, but for the ones that are named."""
    lines = (PACKAGE / f"{name}.py").read_text().count("\n")
    assert lines <= LINES_OF_A_FILE
    functions = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = {f"{name}.{node.name}": (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    long = {function for function, size in sizes.items() if size > LINES_OF_A_FUNCTION}
    assert long == {each for each in LONG_FUNCTIONS if each.startswith(f"{name}.")}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_promises(name: str) -> None:
    """Its docstring is more than a title."""
    assert len((ast.get_docstring(MODULES[name]) or "").split()) >= 6


def test_what_would_fail() -> None:
    """The checks see what they are for: each kind of wrong import and call is found in a module that has it."""
    tree = ast.parse("from azbackup.cli import x\nfrom azbackup import vault\nimport azbackup.restore\nos.environ['x']")
    assert own_imports(tree) == {"cli", "vault", "restore"}
    assert "os.environ" in {dotted(node) for node in ast.walk(tree)}
