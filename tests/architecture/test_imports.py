"""Who may import whom: spec <- plan <- control <- defs; gateways are handed in; heavy libraries stay in their place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ENGINES = ("pyflink", "duckdb")
UPPER = ("keystone_platform.control", "keystone_platform.defs", "keystone_platform.commands", "keystone_platform.stack")
EFFECTS = ("keystone_platform.gateways", "keystone_platform.wiring", "httpx", "boto3", "sqlalchemy", "confluent_kafka")

FORBIDDEN = {
    "keystone_platform/spec": (*ENGINES, *EFFECTS, *UPPER, "keystone_platform.plan", "dagster", "flink_jobs", "assets"),
    "keystone_platform/plan": (*ENGINES, *EFFECTS, *UPPER, "dagster", "flink_jobs", "assets"),
    "keystone_platform/gateways": (*ENGINES, *UPPER, "keystone_platform.wiring", "dagster", "flink_jobs", "assets"),
    "keystone_platform/control": (
        *ENGINES,
        "keystone_platform.defs",
        "keystone_platform.commands",
        "keystone_platform.stack",
        "dagster",
        "flink_jobs",
        "assets",
    ),
    "keystone_platform/defs": (
        *ENGINES,
        "keystone_platform.commands",
        "keystone_platform.stack",
        "flink_jobs",
        "assets",
    ),
    "keystone_platform/producer": ("pydantic", "dagster", *ENGINES, *UPPER, "keystone_platform.gateways"),
    "keystone_platform/cloudevents": (*ENGINES, *EFFECTS, *UPPER, "keystone_platform.producer", "pydantic", "dagster"),
    "keystone_platform/http_gateway": (
        *ENGINES,
        *UPPER,
        "keystone_platform.gateways",
        "keystone_platform.spec",
        "dagster",
    ),
    "keystone_platform/ndjson": (*ENGINES, *UPPER, "keystone_platform.spec", "dagster", "flink_jobs", "assets"),
    "keystone_platform/synthetic": (*UPPER, "pyflink", "dagster", "flink_jobs", "assets"),
    "flink_jobs": ("dagster", "duckdb", *UPPER, "assets"),
    "assets": ("pyflink", *UPPER[2:], "keystone_platform.control", "flink_jobs"),
}
"""Folder to what no file in it may import at module level or inside a function."""

LAZY = ("pyflink", "duckdb", "dagster", "pyiceberg", "pyarrow")
"""What starting the command line may not import: `keystone --help` answers at once."""


def imports(file: Path, *, nested: bool) -> Iterator[str]:
    tree = ast.parse(file.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree) if nested else tree.body:
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_file_imports_what_its_layer_must_not_know(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in files
        for module in imports(file, nested=True)
        for forbidden in FORBIDDEN[folder]
        if is_below(module, forbidden)
    ]
    assert wrong == []


def test_the_command_line_starts_without_heavy_libraries() -> None:
    files = [ROOT / "keystone_platform/cli.py", *(ROOT / "keystone_platform/commands").glob("*.py")]
    wrong = [
        f"{file.name} imports {module}"
        for file in files
        for module in imports(file, nested=False)
        for heavy in LAZY
        if is_below(module, heavy)
    ]
    assert wrong == []


def test_every_import_is_absolute() -> None:
    relative = [
        str(file.relative_to(ROOT))
        for folder in ("keystone_platform", "flink_jobs", "assets")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []
