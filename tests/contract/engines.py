"""Values of expressions and rows under filters, as Flink itself and DuckDB find them, from the same events."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from flink_jobs import sql
from keystone_platform.audit.decode import Decoder
from keystone_platform.gateways.flink_home import SHORT_LIVED
from keystone_platform.spec.filters import Expr, duckdb_sql, flink_sql
from keystone_platform.spec.types import Scalar, Struct

_PROGRAM = """
import json, sys
from pyflink.table import EnvironmentSettings, TableEnvironment
question = json.load(sys.stdin)
env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
env.get_config().set("table.local-time-zone", "UTC")
env.get_config().set("parallelism.default", "1")
env.execute_sql(question["table"])
answers = []
for query in question["queries"]:
    with env.execute_sql(query).collect() as rows:
        answers.append([list(row) for row in rows])
print(json.dumps(answers))
"""

Answer = list[list[Any]]


class Flink:
    """A Flink within a process of its own for each question, whose table `events` has an `id` beside the columns."""

    def __init__(self, folder: Path, schema: Struct, events: Sequence[str]) -> None:
        folder.mkdir()
        lines = (f'{{"id":{number},{event.lstrip()[1:]}'.replace(",}", "}") for number, event in enumerate(events))
        (folder / "events.json").write_text("\n".join(lines), encoding="utf-8")
        columns = "".join(f", {sql.identifier(field.name)} {sql.type_of(field.type)}" for field in schema.fields)
        self._table = (
            f"CREATE TABLE events (id INT{columns}) WITH ('connector' = 'filesystem', 'format' = 'json', "
            f"'path' = '{folder.as_uri()}', 'json.timestamp-format.standard' = 'ISO-8601')"
        )

    def keeps(self, conditions: Sequence[str]) -> list[list[int]]:
        """Return the ids that are kept under each condition."""
        selects = (f"SELECT {number}, id FROM events WHERE {each}" for number, each in enumerate(conditions))
        (rows,) = self._ask([" UNION ALL ".join(selects)])
        kept: dict[int, list[int]] = defaultdict(list)
        for number, identity in rows:
            kept[number].append(identity)
        return [sorted(kept[number]) for number in range(len(conditions))]

    def values(self, trees: Sequence[Expr]) -> list[list[Any]]:
        """Return for each expression its values in the events' order; dates and times as text."""
        selected = ", ".join(f"{_shown_by_flink(tree)} AS v{number}" for number, tree in enumerate(trees))
        (rows,) = self._ask([f"SELECT id, {selected} FROM events"])
        rows.sort()
        return [[_value(row[number + 1], tree.type) for row in rows] for number, tree in enumerate(trees)]

    def _ask(self, queries: Sequence[str]) -> list[Answer]:
        ran = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            input=json.dumps({"table": self._table, "queries": queries}),
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
            env={**os.environ, "JVM_ARGS": SHORT_LIVED},
        )
        assert ran.returncode == 0, "\n".join(re.findall("^Caused by.*|^: .*", ran.stderr, re.MULTILINE)) or ran.stderr
        found: list[Answer] = json.loads(ran.stdout.splitlines()[-1])
        return found


def duckdb_session(schema: Struct, events: Sequence[str]) -> duckdb.DuckDBPyConnection:
    """Return a session whose table `events` holds the events as the audit decodes them.

    The zone is not UTC: no result may depend on it.
    """
    decoder = Decoder(schema.fields)
    decoded = [decoder.decode(event.encode()) for event in events]
    assert all(isinstance(each, dict) for each in decoded), decoded
    values = pa.array(decoded, decoder.type)
    columns = dict(zip((field.name for field in schema.fields), values.flatten(), strict=True))
    session = duckdb.connect()
    session.execute("SET timezone = 'America/New_York'")
    session.register("batch", pa.table({"id": pa.array(range(len(events)), pa.int32()), **columns}))
    session.execute("CREATE TABLE events AS SELECT * FROM batch")
    return session


def duckdb_values(session: duckdb.DuckDBPyConnection, trees: Sequence[Expr]) -> list[list[Any]]:
    """Return for each expression its values in the events' order; dates and times as text."""
    found = []
    for tree in trees:
        shown = duckdb_sql(tree)
        shown = f"epoch_us({shown})" if tree.type is Scalar.TIMESTAMP else shown
        rows = session.execute(f"SELECT {shown} FROM events ORDER BY id").fetchall()
        found.append([_value(row[0], tree.type) for row in rows])
    return found


def _shown_by_flink(tree: Expr) -> str:
    rendered = flink_sql(tree)
    if tree.type in (Scalar.DATE, Scalar.TIMESTAMP):
        return f"CAST({rendered} AS STRING)"
    wider = {Scalar.INT: "BIGINT", Scalar.FLOAT: "DOUBLE"}.get(tree.type) if isinstance(tree.type, Scalar) else None
    return f"CAST({rendered} AS {wider})" if wider else rendered


def _value(value: Any, type_: Any) -> Any:
    """Bring what either engine gives to one form; -0.0 stays apart from 0.0."""
    if value is None:
        return None
    if type_ is Scalar.TIMESTAMP:
        return value if isinstance(value, int) else _micros(value)
    if isinstance(value, date):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else value


def _micros(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
