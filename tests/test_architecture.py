"""The layers hold: who may import whom, and which names are ours."""

import ast
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"sync", "hw", "edge", "central"}
MAY_IMPORT = {
    "sync": set(),
    "hw": set(),
    "edge": {"sync", "hw"},
    "central": {"sync"},
}
IMPURE = {
    "asyncio",
    "socket",
    "sqlite3",
    "aiosqlite",
    "sqlalchemy",
    "aiohttp",
    "random",
    "secrets",
    "time",
    "os",
    "subprocess",
}
SQL_ROOMS = {
    # The demo's second sums are taken by plain sqlite3: not by the code they judge.
    "edge": ("edge/store", "edge/demo/sums.py"),
    "central": ("central/ledger",),
}
SQL = {"sqlite3", "aiosqlite", "sqlalchemy", "alembic"}


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: say the whole name"
            yield (node.module or "").split(".")[0], node.lineno


@pytest.mark.parametrize("package", sorted(OURS))
def test_layers(package):
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(package)
        for name, line in imports(path)
        if name in OURS - {package} - MAY_IMPORT[package]
    ]
    assert modules(package)
    assert not wrong


def test_sync_is_pure():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules("sync")
        for name, line in imports(path)
        if name in IMPURE
    ]
    assert not wrong


def test_automerge_has_one_door():
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in sorted(OURS)
        for path in modules(package)
        for name, line in imports(path)
        if name == "automerge" and path != ROOT / "sync/merge/document.py"
    ]
    assert not wrong


@pytest.mark.parametrize("package", sorted(SQL_ROOMS))
def test_sql_has_one_room(package):
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(package)
        for name, line in imports(path)
        if name in SQL and not str(path.relative_to(ROOT)).startswith(SQL_ROOMS[package])
    ]
    assert not wrong


@pytest.mark.parametrize("package", sorted(OURS))
def test_every_folder_says_what_lives_there(package):
    for path in modules(package):
        if path.name == "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text())), path


def test_the_four_names_are_ours_alone():
    owners = packages_distributions()
    for name in OURS:
        assert set(owners[name]) == {"karb"}, f"{name} is also given by {owners[name]}"
