"""Runs one query and writes its answer: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keystone_platform.errors import InvalidSpec, interruptible
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.moment import NEWEST, Moment
from keystone_platform.query.session import bare_session, make_views, translated, views_of
from keystone_platform.query.values import cell, finite, plain
from keystone_platform.query.views import View, named_tables, names_proven
from keystone_platform.settings import S3Settings, Settings

SHOWN_ROWS = 200
"""Rows of a table for people; `--json` and `--csv` give all."""

FETCH_ROWS = 10_000


Row = tuple[Any, ...]
"""Values of whatever the query selects."""


@dataclass(frozen=True)
class Answer:
    """A query's result.

    Attributes:
        batches: the rows; what is not fetched yet is fetched when it is asked for, once.
    """

    columns: tuple[str, ...]
    batches: Iterable[Sequence[Row]]

    def rows(self) -> Iterator[Row]:
        """Yield the rows; Transient or Terminal when reading them fails on the way."""
        for batch in self.batches:
            yield from batch


def ask(settings: Settings, sql: str, moment: Moment = NEWEST) -> Answer:
    """Run a statement over the landed tables, as they were at that moment.

    Raises:
        InvalidSpec: the statement is wrong; names the tables when it asks for one that is not there.
        Transient, Terminal: see open_session.
    """
    lake = IcebergLake(settings)
    tables = lake.tables()
    session = bare_session(settings.s3)
    make_views(session, settings.s3, views_for(lake, sql, tables, moment))
    return run(session, settings.s3, sql, tables)


def views_for(lake: IcebergLake, sql: str, tables: Sequence[str], moment: Moment) -> tuple[View, ...]:
    """Return the views that the statement needs; all when it names no table, so that SHOW and errors see them."""
    named = named_tables(sql, tables)
    return views_of(lake, named or None, moment, lambda table: not named or names_proven(sql, table), tables)


def run(session: duckdb.DuckDBPyConnection, s3: S3Settings, sql: str, tables: Sequence[str]) -> Answer:
    """Run a statement in a session; `tables` are named to who asks for one that is not there."""
    try:
        with translated(s3), interruptible(session):
            session.execute(sql)
    except InvalidSpec as error:
        if isinstance(error.__cause__, duckdb.CatalogException):
            raise InvalidSpec(error.what.split("\n", 1)[0].removesuffix("!"), mend=known_tables(tables)) from error
        raise
    return Answer(tuple(column[0] for column in session.description or ()), _fetched(session, s3))


def known_tables(tables: Sequence[str]) -> str:
    """Return what to tell who asks for a table that is not there."""
    return f"Tables: {', '.join(tables)}." if tables else "No table has been created yet: `keystone apply`."


def write_json(answer: Answer, out: IO[str]) -> None:
    """Write an array with one object a row, a row a line.

    A column whose name occurs before gets a number behind it; NaN and infinities, which JSON lacks, become null.
    """
    names = _distinct(answer.columns)
    out.write("[")
    for number, row in enumerate(answer.rows()):
        out.write(",\n " if number else "\n ")
        values = dict(zip(names, map(finite, row), strict=True))
        out.write(json.dumps(values, default=plain, ensure_ascii=False, allow_nan=False))
    out.write("\n]\n")


def write_csv(answer: Answer, out: IO[str]) -> None:
    """Write a header and the rows; a nested value is JSON."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([cell(value) for value in row] for row in answer.rows())


def write_table(answer: Answer, console: Console) -> int:
    """Print at most SHOWN_ROWS rows and return how many there are."""
    table = Table(show_edge=False, pad_edge=False)
    for column in answer.columns:
        table.add_column(Text(column))
    rows = answer.rows()
    shown = 0
    for row in islice(rows, SHOWN_ROWS):
        table.add_row(*(Text("" if value is None else _printable(str(cell(value)))) for value in row))
        shown += 1
    console.print(table)
    return shown + sum(1 for _ in rows)


def counted(rows: int) -> str:
    """Return how many rows there are, and how many of them a table shows."""
    note = f", first {SHOWN_ROWS} shown" if rows > SHOWN_ROWS else ""
    return f"{rows} row{'' if rows == 1 else 's'}{note}"


def _printable(text: str) -> str:
    """Return the text with its control characters named: a terminal obeys them, and values are strangers'."""
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)


def _fetched(session: duckdb.DuckDBPyConnection, s3: S3Settings) -> Iterator[Sequence[Row]]:
    with translated(s3), interruptible(session):
        while rows := session.fetchmany(FETCH_ROWS):
            yield rows


def _distinct(columns: Sequence[str]) -> list[str]:
    names: list[str] = []
    for column in columns:
        candidates = (column, *(f"{column}_{number}" for number in range(1, len(columns) + 1)))
        names.append(next(name for name in candidates if name not in names))
    return names
