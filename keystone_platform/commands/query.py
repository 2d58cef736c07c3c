"""Commands that look at the warehouse: `sql`, `tables`, `snapshots`."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from keystone_platform.commands.output import stdout_console
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.settings import Settings, load_settings

if TYPE_CHECKING:
    from keystone_platform.query.moment import Moment
    from keystone_platform.query.shell import Mode


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    # a statement may begin with a comment, so with two dashes
    app.command(context_settings={"ignore_unknown_options": True})(sql)
    app.command()(tables)
    app.command()(snapshots)


def sql(
    statement: Annotated[
        str | None, typer.Argument(help="The query, or - to read it from stdin; without one a shell opens.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects, one a row.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="The tables as they were then, UTC: 2026-11-01T10:00.")
    ] = None,
    snapshot: Annotated[int | None, typer.Option(help="A table in this snapshot; see `keystone snapshots`.")] = None,
    proven: Annotated[bool, typer.Option("--proven", help="Only hours whose proof holds.")] = False,
    locked: Annotated[
        bool, typer.Option("--locked", help="Read the tables and nothing else: for somebody else's SQL.")
    ] = False,
) -> None:
    """Query the landed tables with DuckDB: `keystone sql "select count(*) from events.playback"`.

    Without a statement an interactive shell opens; `.help` in it tells more.
    """
    from keystone_platform.query.moment import chosen_moment

    if as_json and as_csv:
        message = "--json and --csv exclude each other"
        raise InvalidSpec(message, mend="Choose one.")
    moment = chosen_moment(as_of, snapshot, proven=proven, now=SystemClock().now())
    mode: Mode = "json" if as_json else "csv" if as_csv else "table"
    if statement is None and sys.stdin.isatty():
        if locked:
            message = "a locked session has no shell"
            raise InvalidSpec(message, mend="Name a statement.")
        from keystone_platform.commands.shell import open_shell
        from keystone_platform.query.shell import Manner

        open_shell(load_settings(), Manner(mode, moment=moment))
        return
    text = sys.stdin.read() if statement in (None, "-") else statement
    if not text or not text.strip():
        message = "there is no statement"
        raise InvalidSpec(message, mend='Write one: keystone sql "select count(*) from events.playback".')
    _answer(load_settings(), text, moment, mode, locked=locked)


def _answer(settings: Settings, text: str, moment: Moment, mode: Mode, *, locked: bool) -> None:
    from keystone_platform.query import answer as answers
    from keystone_platform.query.locked import bound_process, locked_session

    if locked:
        bound_process()
    started = time.monotonic()
    if locked:
        with closing(locked_session(settings, moment=moment)) as session:
            result = session.query(text)
    else:
        result = answers.ask(settings, text, moment)
    if mode == "json":
        answers.write_json(result, sys.stdout)
    elif mode == "csv":
        answers.write_csv(result, sys.stdout)
    else:
        rows = answers.write_table(result, stdout_console())
        typer.echo(f"{answers.counted(rows)}, {time.monotonic() - started:.2f} s")


def tables(as_json: Annotated[bool, typer.Option("--json", help="An array of objects, one a table.")] = False) -> None:
    """List the landed tables with rows, files, bytes, and the hour up to which each is proven.

    Rows before that hour are the view `<namespace>_proven.<table>` in `keystone sql`.
    """
    import json
    from dataclasses import asdict

    from keystone_platform.gateways.lake import IcebergLake

    lake = IcebergLake(load_settings())
    heads = [head for name in lake.tables() if (head := lake.head(name))]
    if as_json:
        typer.echo(json.dumps([asdict(head) for head in heads], default=str, indent=1))
        return
    shown = Table("table", "newest commit", show_edge=False, pad_edge=False)
    for column in ("rows", "files", "MB"):
        shown.add_column(column, justify="right")
    shown.add_column("proven until")
    for head in heads:
        committed = f"{head.committed_at:%Y-%m-%d %H:%M:%S}" if head.committed_at else "none yet"
        until = f"{head.proven.until:%Y-%m-%d %H:%M}" if head.proven else "nothing proven yet"
        size = f"{head.bytes / 1e6:,.1f}"
        shown.add_row(head.table, committed, f"{head.rows:,}", f"{head.files:,}", size, until)
    stdout_console().print(shown)


def snapshots(
    table: Annotated[str, typer.Argument(help="namespace.table")],
    limit: Annotated[int, typer.Option(help="How many, newest first; 0 for all.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects, one a snapshot.")] = False,
) -> None:
    """List a table's snapshots, for `keystone sql --as-of` and `--snapshot`: `keystone snapshots events.playback`.

    A snapshot that a branch or tag points to stays; others expire, after six hours unless the table says otherwise.
    """
    import json
    from dataclasses import asdict

    from keystone_platform.gateways.iceberg_snapshots import snapshot_facts
    from keystone_platform.gateways.lake import IcebergLake

    found = snapshot_facts(IcebergLake(load_settings()).load(table))
    listed = found[:limit] if limit > 0 else found
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in listed], default=str, indent=1))
        return
    shown = Table("snapshot", "committed", "what", show_edge=False, pad_edge=False)
    for column in ("rows added", "removed", "files added", "removed"):
        shown.add_column(column, justify="right")
    shown.add_column("by")
    shown.add_column("refs")
    for each in listed:
        by = f"{each.job[:8]} checkpoint {each.checkpoint}" if each.job else ""
        shown.add_row(
            str(each.snapshot_id),
            f"{each.committed_at:%Y-%m-%d %H:%M:%S}",
            "compaction" if each.compaction else each.operation,
            *(f"{n:,}" for n in (each.rows_added, each.rows_removed, each.files_added, each.files_removed)),
            by,
            ", ".join(each.refs),
        )
    stdout_console().print(shown)
    if len(found) > len(listed):
        typer.echo(f"{len(found) - len(listed)} older ones: --limit 0")
