# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The map of the repository: who may import whom, no circles, and rooms of remote code that hold nothing else."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# Each room, and the rooms that it may import. `favor` may import all of them.
MAY_IMPORT = {
    "modeling_favor": set(),
    "processing": set(),
    "trainers": {"modeling_favor", "processing"},
    "evaluation": {"modeling_favor", "processing"},
    "assembly": {"modeling_favor", "processing"},
    "worlds": {"processing"},
    "serving": {"modeling_favor", "processing"},
    "hub_upload": {"modeling_favor", "processing"},
}
REMOTE_CODE = ("modeling_favor", "processing")


def modules(room: str) -> dict[str, Path]:
    """Every module of a room (or of `favor` itself) by its dotted name in the package."""
    folder = REPOSITORY / room
    names = {}
    for file in sorted(folder.rglob("*.py")):  # does not follow the links of favor/
        if "favor_tiny" in file.parts:
            continue
        parts = file.relative_to(REPOSITORY).with_suffix("").parts
        parts = parts if room == "favor" else ("favor", *parts)
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return names


def imports(name: str, file: Path, everywhere: bool) -> Iterator[str]:
    """What a module imports, in full dotted names; `everywhere`: within functions and for type checkers, too."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if everywhere else iter(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_that_it_may(room):
    for name, file in modules(room).items():
        for imported in imports(name, file, everywhere=True):
            first, _, rest = imported.partition(".")
            assert first not in MAY_IMPORT, f"{file}: import favor.{imported}: the package installs one name"
            if first == "favor":
                other = rest.partition(".")[0]
                assert other in {room, *MAY_IMPORT[room]}, f"{file}: {room} may not import {imported}"


@pytest.mark.parametrize("room", [*MAY_IMPORT, "favor"])
def test_no_circle_of_imports(room):
    files = modules(room)
    graph: dict[str, set[str]] = {}
    for name, file in files.items():
        found = set()
        for imported in imports(name, file, everywhere=False):
            target = next((known for known in (imported, imported.rpartition(".")[0]) if known in files), None)
            if target is not None and target != name:
                found.add(target)
        graph[name] = found
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle of imports: {' -> '.join(error.args[1])}")


def test_fine_tuning_imports_nothing_that_only_a_model_from_nothing_needs():
    apart = "favor.trainers.from_scratch"
    files = {name: file for room in (*MAY_IMPORT, "favor") for name, file in modules(room).items()}
    assert apart in files
    for name, file in files.items():
        if not name.startswith(apart):
            found = [imported for imported in imports(name, file, everywhere=False) if imported.startswith(apart)]
            assert not found, f"{file} imports {found[0]} before a recipe asks for it: import it where it is used"


@pytest.mark.parametrize("room", REMOTE_CODE)
def test_remote_code_rooms_hold_what_models_export_and_nothing_else(room):
    bundled = {file.name: file for file in (REPOSITORY / "favor" / "favor_tiny").iterdir()}
    for file in (REPOSITORY / room).iterdir():
        if file.name in ("__init__.py", "__pycache__"):
            continue
        assert file.name in bundled, f"{file} goes to the Hub with no model: {room}/ is for remote code alone"
        assert bundled[file.name].read_bytes() == file.read_bytes()


def test_the_bundled_model_holds_no_copy_of_the_code():
    for file in (REPOSITORY / "favor" / "favor_tiny").glob("*.py"):
        assert file.is_symlink() and file.resolve().parent.name in REMOTE_CODE, (
            f"{file} is a copy, which goes stale: make it a link to the file in modeling_favor/ or processing/ "
            "(make favor-tiny-links)"
        )
