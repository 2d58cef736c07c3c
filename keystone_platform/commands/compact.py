"""`keystone compact`: merges a table's small files by hand."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keystone_platform.commands.output import stdout_console
from keystone_platform.errors import InvalidSpec, InvalidSpecs
from keystone_platform.plan.compaction_place import Place
from keystone_platform.settings import STREAMS_VARIABLE, Settings, load_settings, streams_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assets.compaction.compact import CompactionReport, Progress
    from assets.compaction.plan import HourPlan
    from keystone_platform.gateways.lake import IcebergLake

INTERRUPTED = 128 + signal.SIGINT


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command()(compact)


def compact(
    table: Annotated[str, typer.Argument(help="namespace.table")],
    hour: Annotated[str | None, typer.Option(help="Only this hour, UTC: 2026-11-01T10.")] = None,
    on: Annotated[Place, typer.Option(help="Where: on this machine, on the Flink cluster, or by size.")] = Place.AUTO,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be rewritten; touch nothing.")] = False,
    streams: Annotated[
        Path | None,
        typer.Option(
            "--streams", metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects, one an hour.")] = False,
) -> None:
    """Merge a table's small files, hour by hour; safe while a router appends and analysts read.

    Takes every hour with small files that are worth merging, also the one that is still being written:
    `keystone compact events.playback --hour 2026-11-01T10`.
    """
    from assets.compaction.plan import plan_hour, plan_table
    from assets.compaction.select import Policy
    from keystone_platform.gateways.lake import IcebergLake

    settings = load_settings()
    lake = IcebergLake(settings)
    policy = Policy()
    if hour is None:
        plans = plan_table(lake, table, policy)
    else:
        loaded = lake.load(table)
        with lake.translated():
            plans = (plan_hour(loaded, _hour(hour), policy),)
        if not plans[0].files:
            typer.echo(f"{table} has no rows with a `_time` in the hour {_name(plans[0].hour)} (UTC)", err=True)
    if dry_run:
        _tell_plans(plans, settings, on, as_json)
        return
    _tell_reports(_run(settings, lake, plans, on, _sort_by(streams or streams_folder(os.environ), table)), as_json)


def _run(
    settings: Settings, lake: IcebergLake, plans: Sequence[HourPlan], on: Place, sort_by: tuple[str, ...]
) -> list[CompactionReport]:
    from assets.compaction.compact import Choices
    from assets.compaction.place import compact_hour_at

    reports: list[CompactionReport] = []
    choices = Choices(sort_by=sort_by, tell=_tell_progress)
    try:
        for plan in plans:
            reports.append(compact_hour_at(settings, os.environ, lake, plan.table, plan.hour, on, choices))
    except KeyboardInterrupt:
        done = f"{len(reports)} of {len(plans)} hours are done"
        typer.echo(
            f"interrupted: {done}. The table is whole: each group of files was either replaced or left. Files of a "
            "group that was being committed may stay without a reference; upkeep removes them.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    return reports


def _sort_by(streams: Path, table: str) -> tuple[str, ...]:
    """Return the columns that the table's route declares; none where no stream file declares one."""
    from keystone_platform.plan.declared_tables import declared_table

    try:
        return declared_table(streams, table).sink.sort_by
    except InvalidSpecs:  # the file that is wrong may say what to sort by
        raise
    except InvalidSpec:
        typer.echo(f"{table} is declared in no file of {streams}: sorted by topic, partition and offset", err=True)
        return ()


def _hour(text: str) -> datetime:
    try:
        return datetime.strptime(text[:13].replace(" ", "T"), "%Y-%m-%dT%H").replace(tzinfo=UTC)
    except ValueError as error:
        message = f"{text!r} is no hour"
        raise InvalidSpec(message, mend="Write it as 2026-11-01T10, in UTC.") from error


def _name(hour: datetime | None) -> str:
    return f"{hour:%Y-%m-%d %H}" if hour else "without a time"


def _tell_progress(progress: Progress) -> None:
    part = f", part {progress.number} of {progress.groups}" if progress.groups > 1 else ""
    size = f"{progress.files} files, {progress.bytes / 1e6:,.1f} MB"
    typer.echo(f"{_name(progress.hour)}{part}: {size}", err=True)


def _tell_plans(plans: Sequence[HourPlan], settings: Settings, on: Place, as_json: bool) -> None:
    import json

    from rich.table import Table

    from assets.compaction.place import chosen

    if as_json:
        shown = [
            {
                "table": plan.table,
                "hour": plan.hour,
                "files": len(plan.files),
                "rewritten_files": plan.rewritten_files,
                "rewritten_bytes": plan.rewritten_bytes,
                "files_after": len(plan.files) - plan.rewritten_files + len(plan.groups),
                "on": str(chosen(plan, on, settings)),
            }
            for plan in plans
        ]
        typer.echo(json.dumps(shown, default=str, indent=1))
        return
    if not any(plan.groups for plan in plans):
        typer.echo("nothing to compact")
        return
    table = Table("hour (UTC)", show_edge=False, pad_edge=False)
    for column in ("files", "to rewrite", "MB", "files after", "on"):
        table.add_column(column, justify="right")
    for plan in plans:
        after = len(plan.files) - plan.rewritten_files + len(plan.groups)
        size, where = f"{plan.rewritten_bytes / 1e6:,.1f}", str(chosen(plan, on, settings))
        table.add_row(_name(plan.hour), f"{len(plan.files):,}", f"{plan.rewritten_files:,}", size, f"{after:,}", where)
    stdout_console().print(table)


def _tell_reports(reports: Sequence[CompactionReport], as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from rich.table import Table

    if as_json:
        typer.echo(json.dumps([asdict(report) for report in reports], default=str, indent=1))
        return
    if not any(report.snapshot_id for report in reports):
        typer.echo("nothing to compact: no hour has small files that are worth merging")
        return
    shown = Table("hour (UTC)", show_edge=False, pad_edge=False)
    for column in ("rows rewritten", "files before", "after", "MB before", "after"):
        shown.add_column(column, justify="right")
    for report in reports:
        shown.add_row(
            _name(report.hour),
            f"{report.rows:,}",
            f"{report.files_before:,}",
            f"{report.files_after:,}",
            f"{report.bytes_before / 1e6:,.1f}",
            f"{report.bytes_after / 1e6:,.1f}",
        )
    stdout_console().print(shown)
