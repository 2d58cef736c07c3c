"""Commands that look at the warehouse: `sql`, `tables`, `compact`."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from keystone_platform.commands.output import stdout_console
from keystone_platform.errors import InvalidSpec
from keystone_platform.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from assets.compaction.compact import CompactionReport


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    # a statement may begin with a comment, so with two dashes
    app.command(context_settings={"ignore_unknown_options": True})(sql)
    app.command()(tables)
    app.command()(compact)


def sql(
    statement: Annotated[str, typer.Argument(help="The query, or - to read it from stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects, one a row.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
) -> None:
    """Query the landed tables with DuckDB: `keystone sql "select count(*) from events.playback"`."""
    from keystone_platform.query import answer as answers

    if as_json and as_csv:
        message = "--json and --csv exclude each other"
        raise InvalidSpec(message, mend="Choose one.")
    text = sys.stdin.read() if statement == "-" else statement
    if not text.strip():
        message = "there is no statement"
        raise InvalidSpec(message, mend='Write one: keystone sql "select count(*) from events.playback".')
    started = time.monotonic()
    result = answers.ask(load_settings(), text)
    if as_json:
        answers.write_json(result, sys.stdout)
    elif as_csv:
        answers.write_csv(result, sys.stdout)
    else:
        rows = answers.write_table(result, stdout_console())
        note = f", first {answers.SHOWN_ROWS} shown" if rows > answers.SHOWN_ROWS else ""
        typer.echo(f"{rows} row{'' if rows == 1 else 's'}{note}, {time.monotonic() - started:.2f} s")


def tables(as_json: Annotated[bool, typer.Option("--json", help="An array of objects, one a table.")] = False) -> None:
    """List the landed tables with rows, files and bytes."""
    import json

    from rich.table import Table

    from keystone_platform.gateways.lake import IcebergLake

    lake = IcebergLake(load_settings())
    heads = [head for name in lake.tables() if (head := lake.head(name))]
    if as_json:
        keys = ("table", "rows", "files", "bytes", "committed_at", "snapshot_id", "location", "metadata_location")
        typer.echo(json.dumps([{key: getattr(head, key) for key in keys} for head in heads], default=str, indent=1))
        return
    shown = Table("table", "newest commit", show_edge=False, pad_edge=False)
    for column in ("rows", "files", "MB"):
        shown.add_column(column, justify="right")
    for head in heads:
        committed = f"{head.committed_at:%Y-%m-%d %H:%M:%S}" if head.committed_at else "none yet"
        shown.add_row(head.table, committed, f"{head.rows:,}", f"{head.files:,}", f"{head.bytes / 1e6:,.1f}")
    stdout_console().print(shown)


def compact(
    table: Annotated[str, typer.Argument(help="namespace.table")],
    hour: Annotated[str | None, typer.Option(help="Only this hour, UTC: 2026-11-01T10.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects, one an hour.")] = False,
) -> None:
    """Merge a table's small files, hour by hour; safe while a router appends and analysts read.

    Takes every hour with two small files or more, also the one that is still being written.
    """
    import json
    from dataclasses import asdict

    from assets.compaction.compact import compact_hour, compact_table
    from keystone_platform.gateways.lake import IcebergLake

    lake = IcebergLake(load_settings())
    chosen = None if hour is None else _hour(hour)
    reports = compact_table(lake, table) if chosen is None else (compact_hour(lake, table, chosen),)
    if as_json:
        typer.echo(json.dumps([asdict(report) for report in reports], default=str, indent=1))
    elif not reports:
        typer.echo("nothing to compact: no hour has two small files")
    else:
        _print_reports(reports, stdout_console())


def _hour(text: str) -> datetime:
    try:
        return datetime.strptime(text[:13].replace(" ", "T"), "%Y-%m-%dT%H").replace(tzinfo=UTC)
    except ValueError as error:
        message = f"{text!r} is no hour"
        raise InvalidSpec(message, mend="Write it as 2026-11-01T10, in UTC.") from error


def _print_reports(reports: tuple[CompactionReport, ...], console: Console) -> None:
    from rich.table import Table

    shown = Table("hour (UTC)", show_edge=False, pad_edge=False)
    for column in ("rows rewritten", "files before", "after", "MB before", "after"):
        shown.add_column(column, justify="right")
    for report in reports:
        shown.add_row(
            f"{report.hour:%Y-%m-%d %H}" if report.hour else "without a time",
            f"{report.rows:,}",
            f"{report.files_before:,}",
            f"{report.files_after:,}",
            f"{report.bytes_before / 1e6:,.1f}",
            f"{report.bytes_after / 1e6:,.1f}",
        )
    console.print(shown)
