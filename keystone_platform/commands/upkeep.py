"""`keystone upkeep`: what makes a table grow without end, found and removed."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from keystone_platform.commands.output import stdout_console, table
from keystone_platform.errors import InvalidSpec, Terminal
from keystone_platform.settings import load_settings, streams_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from assets.upkeep.report import TableReport


class TaskName(StrEnum):
    """The tasks of upkeep, as options take them."""

    RETENTION = "retention"
    SNAPSHOTS = "snapshots"
    ORPHANS = "orphans"
    UPLOADS = "uploads"


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command()(upkeep)


def upkeep(
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="[TABLE]…", help="Default: all that are Keystone's.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go; touch nothing.")] = False,
    only: Annotated[list[TaskName] | None, typer.Option("--only", help="Only this task; may be repeated.")] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="With --only: of snapshots, orphans, uploads; 90m, 12h, 3d.")
    ] = None,
    below_floor: Annotated[
        bool, typer.Option("--below-floor", help="Allow an AGE below an hour: when nobody writes or reads.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects, one a table.")] = False,
) -> None:
    """Remove what tables no longer need; safe while routers append, compactions commit and analysts read.

    **retention**: hours older than the stream's `keep_days`, from the table. **snapshots**: those past the table's
    `history.expire.*`, and the files that only they reached. **orphans**: files that nothing refers to, older than
    three days. **uploads**: multipart uploads that nobody ended, older than three days.

    Example: `keystone upkeep events.playback --dry-run`
    """
    from assets.upkeep.declared import retention_of
    from assets.upkeep.policy import order
    from assets.upkeep.report import TASKS
    from assets.upkeep.upkeep import Upkeep
    from keystone_platform.gateways.clock import SystemClock
    from keystone_platform.gateways.lake import IcebergLake
    from keystone_platform.gateways.objects import S3ObjectStore, s3_client
    from keystone_platform.plan.declared_tables import load_declared_tables

    settings = load_settings()
    age = None if older_than is None else _age(older_than)
    chosen = [task for task in TASKS if task in (only or ())]
    asked = order(chosen, age, dry_run=dry_run, below_floor=below_floor)
    streams = streams_folder(os.environ)
    declared = load_declared_tables(streams) if streams.is_dir() else {}
    work = Upkeep(
        IcebergLake(settings), S3ObjectStore(s3_client(settings.s3)), SystemClock(), retention_of(declared.values())
    )
    reports = []
    for number, report in enumerate(work.tables(asked, tables or ()), 1):
        reports.append(report)
        if sys.stderr.isatty():
            typer.echo(f"{number}: {report.table} done", err=True)
    if as_json:
        typer.echo(json.dumps([report.as_json() for report in reports], indent=1))
        if any(report.error for report in reports):  # told in the reports
            raise typer.Exit(1)
    else:
        show(reports, stdout_console())
        _fail(reports)


def show(reports: Sequence[TableReport], console: Console) -> None:
    """Print the reports for people."""
    shown = table("table", "what", "count", "MB", "oldest")
    for report in reports:
        for each in report.removed:
            oldest = f"{each.oldest:%Y-%m-%d %H:%M}" if each.oldest else ""
            shown.add_row(report.table, each.thing, f"{each.count:,}", f"{each.bytes / 1e6:,.1f}", oldest)
    if shown.row_count:
        console.print(shown)
    dry_run = any(report.dry_run for report in reports)
    freed = sum(report.freed for report in reports) / 1e6
    console.print(
        f"{len(reports)} tables, {freed:,.1f} MB {'would be freed: nothing was touched' if dry_run else 'freed'}"
    )
    for report in reports:
        for note in report.notes:
            console.print(f"{report.table}: {note}", markup=False, soft_wrap=True)


def _fail(reports: Sequence[TableReport]) -> None:
    failed = [report for report in reports if report.error]
    if failed:
        told = "; ".join(f"{report.table}: {report.error}" for report in failed)
        message = f"{len(failed)} of {len(reports)} tables failed: {told}"
        raise Terminal(message, mend="The others are done; it is safe to repeat.")


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if not match:
        message = f"{text!r} is no age"
        raise InvalidSpec(message, mend="Write a number and s, m, h or d: 90m, 12h, 3d.")
    return timedelta(seconds=int(match.group(1)) * _UNITS[match.group(2)])
