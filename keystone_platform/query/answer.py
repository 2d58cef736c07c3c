"""Runs one query and writes its answer: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TextIO

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.session import open_session, translated
from keystone_platform.query.values import cell, finite, plain
from keystone_platform.settings import S3Settings, Settings

SHOWN_ROWS = 200
"""Rows of a table for people; `--json` and `--csv` give all."""

FETCH_ROWS = 10_000


@dataclass(frozen=True)
class Answer:
    """A query's result, not fetched yet."""

    columns: tuple[str, ...]
    session: duckdb.DuckDBPyConnection
    s3: S3Settings


def ask(settings: Settings, sql: str) -> Answer:
    """Run a statement over the landed tables.

    Raises:
        InvalidSpec: the statement is wrong; names the tables when it asks for one that is not there.
        Transient, Terminal: see open_session.
    """
    tables = IcebergLake(settings).tables()
    session = open_session(settings, _named(sql, tables))
    try:
        with translated(settings.s3):
            session.execute(sql)
    except InvalidSpec as error:
        if isinstance(error.__cause__, duckdb.CatalogException):
            known = f"Tables: {', '.join(tables)}." if tables else "No table has been created yet: `keystone apply`."
            raise InvalidSpec(error.what.split("\n", 1)[0].removesuffix("!"), mend=known) from error
        raise
    return Answer(tuple(column[0] for column in session.description or ()), session, settings.s3)


def write_json(answer: Answer, out: TextIO) -> None:
    """Write an array with one object a row, a row a line.

    A column whose name occurs before gets a number behind it; NaN and infinities, which JSON lacks, become null.
    """
    names = _distinct(answer.columns)
    out.write("[")
    for number, row in enumerate(_rows(answer)):
        out.write(",\n " if number else "\n ")
        values = dict(zip(names, map(finite, row), strict=True))
        out.write(json.dumps(values, default=plain, ensure_ascii=False, allow_nan=False))
    out.write("\n]\n")


def write_csv(answer: Answer, out: TextIO) -> None:
    """Write a header and the rows; a nested value is JSON."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([cell(value) for value in row] for row in _rows(answer))


def write_table(answer: Answer, console: Console) -> int:
    """Print at most SHOWN_ROWS rows and return how many there are."""
    table = Table(show_edge=False, pad_edge=False)
    for column in answer.columns:
        table.add_column(Text(column))
    rows = _rows(answer)
    shown = 0
    for row in islice(rows, SHOWN_ROWS):
        table.add_row(*(Text("" if value is None else _printable(str(cell(value)))) for value in row))
        shown += 1
    console.print(table)
    return shown + sum(1 for _ in rows)


def _printable(text: str) -> str:
    """Return the text with its control characters named: a terminal obeys them, and values are strangers'."""
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)


def _named(sql: str, tables: Sequence[str]) -> Sequence[str]:
    """Return the tables whose names occur in the text; all when none does, so that SHOW and errors see them."""
    text = sql.lower()
    return [table for table in tables if table.split(".", 1)[1] in text] or tables


def _rows(answer: Answer) -> Any:  # noqa: ANN401 - rows are tuples of whatever the query selects
    with translated(answer.s3):
        while rows := answer.session.fetchmany(FETCH_ROWS):
            yield from rows


def _distinct(columns: Sequence[str]) -> list[str]:
    names: list[str] = []
    for column in columns:
        candidates = (column, *(f"{column}_{number}" for number in range(1, len(columns) + 1)))
        names.append(next(name for name in candidates if name not in names))
    return names
