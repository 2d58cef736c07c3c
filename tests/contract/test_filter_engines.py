"""Flink itself on the filters and rows that the unit tests give to DuckDB: one filter means one thing in both."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import duckdb
import pytest

from keystone_platform.spec.filters import duckdb_sql, flink_sql, parse_filter
from keystone_platform.spec.types import FieldType, Scalar, Struct
from tests.unit.spec.filter_cases import FILTERS, ROWS, SCHEMA

pytestmark = pytest.mark.stack  # no server is started, but two Flink clusters within a process: a minute

PATTERN_SEED = 20_261_122
ALPHABET = "ab%_é😀.\n\\"

_PROGRAM = """
import json, sys
from pyflink.table import EnvironmentSettings, TableEnvironment
question = json.load(sys.stdin)
env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
env.get_config().set("table.local-time-zone", "UTC")
env.get_config().set("parallelism.default", "1")
env.execute_sql(question["table"])
with env.execute_sql(question["query"]).collect() as rows:
    print(json.dumps([list(row) for row in rows]))
"""


def flink_type(type_: FieldType) -> str:
    if isinstance(type_, Struct):
        return f"ROW<{', '.join(f'`{each.name}` {flink_type(each.type)}' for each in type_.fields)}>"
    return "TIMESTAMP_LTZ(6)" if type_ is Scalar.TIMESTAMP else type_.upper()


def flink_keeps(folder: Path, columns: str, rows: list[dict[str, object]], conditions: list[str]) -> list[list[int]]:
    """Return the ids that Flink keeps under each condition, in a process of its own."""
    folder.mkdir()
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "rows.json").write_text("\n".join(lines), encoding="utf-8")
    table = (
        f"CREATE TABLE events (id INT, {columns}) WITH ('connector' = 'filesystem', 'format' = 'json', "
        f"'path' = '{folder.as_uri()}', 'json.timestamp-format.standard' = 'ISO-8601')"
    )
    selects = (f"SELECT {number}, id FROM events WHERE {each}" for number, each in enumerate(conditions))
    question = json.dumps({"table": table, "query": " UNION ALL ".join(selects)})
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], input=question, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    kept: dict[int, list[int]] = defaultdict(list)
    for number, identity in json.loads(ran.stdout.splitlines()[-1]):
        kept[number].append(identity)
    return [sorted(kept[number]) for number in range(len(conditions))]


def test_flink_keeps_the_rows_that_each_filter_says(tmp_path: Path) -> None:
    columns = ", ".join(f"`{field.name}` {flink_type(field.type)}" for field in SCHEMA.fields)
    rows = [{"id": number, **row} for number, row in enumerate(ROWS)]
    conditions = [flink_sql(parse_filter(text, SCHEMA)) for text in FILTERS]
    kept = dict(zip(FILTERS, flink_keeps(tmp_path / "rows", columns, rows, conditions), strict=True))
    assert kept == FILTERS


@pytest.mark.parametrize("seed", [PATTERN_SEED])
def test_like_matches_the_same_texts_in_both_engines(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    texts = ["".join(dice.choices(ALPHABET, k=dice.randrange(7))) for _ in range(300)]
    patterns = ["".join(dice.choices(ALPHABET, k=dice.randrange(6))) for _ in range(120)]
    trees = [parse_filter(f"s like '{pattern}'", SCHEMA) for pattern in patterns]
    rows: list[dict[str, object]] = [{"id": number, "s": text} for number, text in enumerate(texts)]
    in_flink = flink_keeps(tmp_path / "rows", "s STRING", rows, list(map(flink_sql, trees)))
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE events (id INT, s VARCHAR)")
        connection.executemany("INSERT INTO events VALUES (?, ?)", list(enumerate(texts)))
        queries = (f"SELECT id FROM events WHERE {duckdb_sql(tree)} ORDER BY id" for tree in trees)
        in_duckdb = [[row[0] for row in connection.execute(query).fetchall()] for query in queries]
    assert dict(zip(patterns, in_flink, strict=True)) == dict(zip(patterns, in_duckdb, strict=True))
    assert sum(map(bool, in_duckdb)) > len(patterns) // 4
