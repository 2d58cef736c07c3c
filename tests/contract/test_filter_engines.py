"""Flink itself and DuckDB on the same events: what the filter language says means one thing in both."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.filters import Expr, duckdb_sql, flink_sql, parse_expression, parse_filter
from keystone_platform.spec.schema import struct_of
from keystone_platform.spec.types import Scalar, Struct
from tests.contract.engines import Flink, duckdb_session, duckdb_values
from tests.contract.expressions import Sample, sample
from tests.unit.spec.filter_cases import FILTERS, ROWS, SCHEMA

pytestmark = pytest.mark.stack  # no server is started, but a Flink within a process for each test: a minute and a half

PATTERN_SEED = 20_261_122
ALPHABET = "ab%_é😀.\n\\"
SEEDS = (1,)
"""One job each: 150 expressions on 50 events. More were run than are kept here; add one where a doubt comes up."""


def test_flink_keeps_the_rows_that_each_filter_says(tmp_path: Path) -> None:
    flink = Flink(tmp_path / "events", SCHEMA, [json.dumps(row) for row in ROWS])
    # as values of one query: a hundred and fifty conditions take the planner two minutes
    values = flink.values([parse_filter(text, SCHEMA) for text in FILTERS])
    kept = [[row for row, value in enumerate(column) if value] for column in values]
    assert dict(zip(FILTERS, kept, strict=True)) == FILTERS


def read(drawn: Sample) -> dict[str, Expr]:
    """Return the trees of the texts; a few are refused, for a division by zero or a year 10000."""
    trees = {}
    for text in drawn.expressions:
        try:
            trees[text] = parse_expression(text, drawn.schema)
        except InvalidSpec as error:
            assert error.mend
    assert len(trees) > len(drawn.expressions) * 0.8
    return trees


@pytest.mark.parametrize("seed", SEEDS)
def test_random_expressions_have_the_same_values_in_both_engines(tmp_path: Path, seed: int) -> None:
    drawn = sample(seed, events=50, expressions=150)
    trees = read(drawn)
    in_flink = Flink(tmp_path / "events", drawn.schema, drawn.events).values(list(trees.values()))
    with duckdb_session(drawn.schema, drawn.events) as session:
        in_duckdb = duckdb_values(session, list(trees.values()))
    assert dict(zip(trees, in_flink, strict=True)) == dict(zip(trees, in_duckdb, strict=True))
    assert sum(value is not None for values in in_duckdb for value in values) > len(trees) * 20


def test_random_filters_keep_the_same_rows_in_both_engines(tmp_path: Path) -> None:
    """As conditions, which the planner simplifies further than values."""
    drawn = sample(3, events=50, expressions=200)
    # this table's files, unlike a topic, take conditions over, and what does that fails on a null timestamp
    known = {text: tree for text, tree in read(drawn).items() if "NULL AS TIMESTAMP" not in flink_sql(tree)}
    trees = {text: tree for text, tree in known.items() if tree.type is Scalar.BOOLEAN}
    in_flink = Flink(tmp_path / "events", drawn.schema, drawn.events).keeps(list(map(flink_sql, trees.values())))
    with duckdb_session(drawn.schema, drawn.events) as session:
        queries = (f"SELECT id FROM events WHERE {duckdb_sql(tree)} ORDER BY id" for tree in trees.values())
        in_duckdb = [[row[0] for row in session.execute(query).fetchall()] for query in queries]
    assert dict(zip(trees, in_flink, strict=True)) == dict(zip(trees, in_duckdb, strict=True))


LARGEST = {
    "values": f"a in ({', '.join(str(number * 7) for number in range(1200))})",
    "texts": f"s in ({', '.join(repr(f't{number}') for number in range(700))})",
    "conditions": " or ".join(f"(a = {number} and s <> 'x{number}')" for number in range(100)),
    "cases": "case when a > 1 then " * 30 + "s" + " else 'x' end" * 30 + " = 'x'",
    "branches": f"case {' '.join(f'when a = {number} then {number} * big' for number in range(60))} end > 5",
    "products": " * ".join(["big"] * 8) + " > 1",
    "sums": " + ".join(["big * a"] * 20) + " > 1",
    "quotients": "(d / " * 2 + "d" + " / f)" * 2 + " > 1",
    "nullifs": "nullif(" * 8 + "a" + ", 1)" * 8 + " = 1",
    "calls": "lower(" * 30 + "s" + ")" * 30 + " = 'x'",
}


def test_the_largest_filters_that_are_accepted_compile_and_run(tmp_path: Path) -> None:
    """Flink makes Java methods of them, which must not be larger than 64 KB."""
    trees = {name: parse_filter(text, SCHEMA) for name, text in LARGEST.items()}
    events = [json.dumps(row) for row in ROWS]
    # as values: this table's files, unlike a topic, take conditions over, and that overflows on lists of a thousand
    in_flink = Flink(tmp_path / "events", SCHEMA, events).values(list(trees.values()))
    with duckdb_session(SCHEMA, events) as session:
        in_duckdb = duckdb_values(session, list(trees.values()))
    assert dict(zip(trees, in_flink, strict=True)) == dict(zip(trees, in_duckdb, strict=True))


@pytest.mark.parametrize("seed", [PATTERN_SEED])
def test_like_matches_the_same_texts_in_both_engines(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    texts = ["".join(dice.choices(ALPHABET, k=dice.randrange(7))) for _ in range(300)]
    patterns = ["".join(dice.choices(ALPHABET, k=dice.randrange(6))) for _ in range(120)]
    schema = struct_of({"s": "string"}) or Struct(())
    trees = [parse_filter(f"s like '{pattern}'", schema) for pattern in patterns]
    events = [json.dumps({"s": text}) for text in texts]
    in_flink = Flink(tmp_path / "events", schema, events).keeps(list(map(flink_sql, trees)))
    with duckdb_session(schema, events) as session:
        queries = (f"SELECT id FROM events WHERE {duckdb_sql(tree)} ORDER BY id" for tree in trees)
        in_duckdb = [[row[0] for row in session.execute(query).fetchall()] for query in queries]
    assert dict(zip(patterns, in_flink, strict=True)) == dict(zip(patterns, in_duckdb, strict=True))
    assert sum(map(bool, in_duckdb)) > len(patterns) // 4
