"""The shape of the house: which room may import which, who talks to the world, and how long things may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import azbackup

PACKAGE = Path(azbackup.__file__).parent
# "format.model" -> its syntax tree; a package's __init__.py is its room's door and is tested as such.
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.stem != "__init__"
}
DOORS = sorted(PACKAGE.rglob("__init__.py"))

# Room -> what it may import beside itself: a room stands for all that lies in it, "." for the top floor's modules.
_LOW = (".", "format", "crypto", "filesystem", "storage.protocols", "storage.prices")
_COMMAND = (*_LOW, "storage.local.journal", "records", "packs")
ROOMS = {
    ".": (),
    "format": (".",),
    "crypto": (".", "format"),
    "filesystem": (".", "format"),
    "storage": (".", "format"),
    "storage.azure": (".", "format", "crypto", "storage"),
    "storage.local": (".", "format", "crypto", "storage.protocols"),
    "records": (".", "format", "crypto", "storage.protocols"),
    "packs": (".", "format", "crypto", "storage.protocols", "storage.local.journal", "records"),
    "packs.thaw": (".", "format", "storage.protocols", "packs.layout"),
    "commands.backup": _COMMAND,
    "commands.restore": _COMMAND,
    "commands.browse": _COMMAND,
    "commands.maintenance": _COMMAND,
    "cli": (*_COMMAND, "storage.local", "commands", "cli"),
    "cli.session": (*_COMMAND, "storage.local", "storage.azure", "commands", "cli"),
    "cli.output": (
        ".",
        "format",
        "filesystem.metadata",
        "commands.restore",
        "commands.browse",
        "commands.maintenance",
        "packs.thaw",
        "packs.layout",
    ),
}

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60
LINES_OF_A_CLASS = 200
PARAMETERS_OF_A_CONSTRUCTOR = 5  # beside self
LONG_FUNCTIONS: set[str] = set()


def room_of(name: str) -> str:
    """Return the most exact room of ROOMS that a module is in, '.' for the top floor."""
    parts = name.split(".")
    prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((prefix for prefix in prefixes if prefix in ROOMS), ".")


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the full names of everything that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def own_imports(tree: ast.Module) -> set[str]:
    """Return the modules of azbackup that a module imports, as they are named in MODULES."""
    found = set()
    for name in imported(tree):
        parts = name.split(".")
        if parts[0] == "azbackup":
            candidates = (".".join(parts[1:end]) for end in range(len(parts), 1, -1))
            found |= {next((each for each in candidates if each in MODULES), "?" + name)}
    return found


def may_import(name: str, other: str) -> bool:
    """Tell whether a module may import another one: of its own room, or of a room that its room may know."""
    room = room_of(name)
    if room == room_of(other):
        return True
    return any(
        other == each or other.startswith(each + ".") or (each == "." and "." not in other) for each in ROOMS[room]
    )


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for an attribute of a name, '' for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def test_every_room_is_there() -> None:
    """The table names no room that is not there, and every module is in one of its rooms or on the top floor."""
    rooms = {name.rpartition(".")[0] for name in MODULES} | MODULES.keys()
    assert {room for room in ROOMS if room not in rooms and not any(each.startswith(room) for each in rooms)} <= {"."}
    assert {name for name in MODULES if room_of(name) == "." and "." in name} == set()


@pytest.mark.parametrize("name", MODULES)
def test_rooms_import_what_they_may_know(name: str) -> None:
    """A module imports its own room's modules and those of rooms that its room may know."""
    wrong = {other for other in own_imports(MODULES[name]) if not may_import(name, other)}
    assert wrong == set(), f"{name} may not import {wrong}"


def test_no_cycle() -> None:
    """No module imports itself by way of others."""
    graph = {name: own_imports(tree) & MODULES.keys() for name, tree in MODULES.items()}
    while free := {name for name, needs in graph.items() if not needs}:
        graph = {name: needs - free for name, needs in graph.items() if name not in free}
    assert graph == {}


@pytest.mark.parametrize("door", DOORS, ids=lambda path: str(path.parent.relative_to(PACKAGE)))
def test_a_door_is_a_docstring(door: Path) -> None:
    """An __init__.py has its room's sentence and nothing else: importing a room loads nothing."""
    tree = ast.parse(door.read_text())
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


@pytest.mark.parametrize("name", MODULES)
def test_imports_are_absolute(name: str) -> None:
    """No relative imports, and nothing of the tests or the emulator."""
    assert not [each for each in imported(MODULES[name]) if each.startswith(".")]
    assert not [each for each in imported(MODULES[name]) if each.split(".")[0] in ("emulator", "tests")]


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) != "storage.azure"])
def test_the_sdk_stays_in_its_room(name: str) -> None:
    """Only storage.azure knows Azure's SDK."""
    assert not [each for each in imported(MODULES[name]) if each.split(".")[0] == "azure"]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("cli.")])
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
    assert "time.sleep" not in calls or name.startswith("cli.")


@pytest.mark.parametrize("name", MODULES)
def test_functions_and_files_are_short(name: str) -> None:
    """No file over 400 lines, no function over 60, but for the ones that are named."""
    lines = (PACKAGE / f"{name.replace('.', '/')}.py").read_text().count("\n")
    assert lines <= LINES_OF_A_FILE
    functions = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = {f"{name}.{node.name}": (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    long = {function for function, size in sizes.items() if size > LINES_OF_A_FUNCTION}
    assert long == {each for each in LONG_FUNCTIONS if each.startswith(f"{name}.")}


@pytest.mark.parametrize("name", MODULES)
def test_classes_are_small(name: str) -> None:
    """No class over 200 lines, no constructor with more than five parameters."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.ClassDef):
            assert (node.end_lineno or 0) - node.lineno < LINES_OF_A_CLASS, node.name
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            assert len(arguments) - 1 <= PARAMETERS_OF_A_CONSTRUCTOR


@pytest.mark.parametrize("name", MODULES)
def test_booleans_are_named(name: str) -> None:
    """A parameter of type bool is given by its name: True and False say nothing where they are read."""
    functions = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = {f"{node.name}({each.arg})" for node in functions for each in node.args.args if _is_bool(each.annotation)}
    assert found == set()


def _is_bool(annotation: ast.expr | None) -> bool:
    return annotation is not None and ast.unparse(annotation) == "bool"


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_promises(name: str) -> None:
    """Its docstring is more than a title."""
    assert len((ast.get_docstring(MODULES[name]) or "").split()) >= 6


def test_what_would_fail() -> None:
    """The checks see what they are for: each kind of wrong import and call is found in a module that has it."""
    tree = ast.parse(
        "from azbackup.cli.main import x\nfrom azbackup.cli import session\nimport azbackup.commands.restore.run\n"
        "os.environ['x']"
    )
    assert own_imports(tree) == {"cli.main", "cli.session", "commands.restore.run"}
    assert "os.environ" in {dotted(node) for node in ast.walk(tree)}
    assert not may_import("format.model", "crypto.kdf")
    assert not may_import("records.copies", "storage.azure.blobs")
    assert not may_import("cli.backup", "storage.azure.account")
    assert not may_import("commands.backup.run", "commands.restore.run")
    assert not may_import("storage.local.salt", "storage.azure.account")
    assert may_import("cli.backup", "commands.backup.run")
    assert may_import("packs.thaw.states", "packs.layout")
