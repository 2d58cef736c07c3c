"""`keystone backfill`: a part of a route is run again, and its rows replace those that are there."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keystone_platform.commands.output import stdout_console
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.settings import STREAMS_VARIABLE, load_settings, streams_folder

if TYPE_CHECKING:
    from assets.backfill.backfill import BackfillReport, Preview
    from keystone_platform.plan.backfill import Outline, Request, TimeRange

LONGEST = timedelta(days=100)
"""Times of one backfill; hours are looked through one by one."""

_MEND = "Write it as 2026-11-01T10 or 2026-11-01T10:30, in UTC."


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command()(backfill)


def backfill(
    target: Annotated[str, typer.Argument(metavar="TABLE|ROUTE", help="NAMESPACE.TABLE, or STREAM.ROUTE.")],
    hour: Annotated[
        list[str] | None, typer.Option(metavar="HOUR", help="This hour, UTC: 2026-11-01T10. Repeatable.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Events from this time on, UTC: 2026-11-01T10:30.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to before this time.")] = None,
    offsets: Annotated[
        list[str] | None,
        typer.Option(metavar="TOPIC:PARTITION:BEGIN-END", help="These offsets, without the end. Repeatable."),
    ] = None,
    late: Annotated[
        float, typer.Option(min=0, metavar="HOURS", help="How long after the end late events are looked for in Kafka.")
    ] = 1.0,
    from_table: Annotated[
        str | None,
        typer.Option(metavar="NAMESPACE.TABLE", help="Read the events from this raw table, instead of from Kafka."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be replaced; touch nothing.")] = False,
    give_up: Annotated[bool, typer.Option("--give-up", help="End the table's unfinished backfills instead.")] = False,
    streams: Annotated[
        Path | None,
        typer.Option(
            "--streams", metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Run a part of a warehouse route again, as its YAML stands now, and replace just the rows of that part.

    The events come from Kafka, or where that has deleted them from a raw table of the same topic; rows whose events the
    raw table does not hold stay as they are. The router goes on meanwhile. Readers see the old rows or the new ones.
    What the job wrote is compared with an evaluation of its own before it is swapped in. Stopped in the middle, the
    same command goes on where it was.

    Example: `keystone backfill events.playback --hour 2026-11-01T10 --hour 2026-11-01T11 --dry-run`.

    Exit status 1 when nothing was replaced although there was something to replace.
    """
    from assets.backfill import backfill as work
    from assets.backfill.connect import connect
    from assets.backfill.intent import unfinished
    from keystone_platform.demo.progress import Progress
    from keystone_platform.plan.declared_tables import declared_table, load_declared_tables
    from keystone_platform.plan.raw_table import refuse_unless_raw

    folder = streams or streams_folder(os.environ)
    declared = declared_table(folder, target)
    if from_table is not None:
        plans = {name: each.plan for name, each in load_declared_tables(folder).items()}
        refuse_unless_raw(from_table, declared.plan, plans)
    servers = connect(load_settings())
    if give_up:
        table = servers.lake.load(declared.name)
        ended = list(unfinished(table).values())
        for each in ended:
            work.abandon(servers, table, each)
        _print({"given_up": [each.branch for each in ended]}, as_json)
        return
    request = _request(hour or (), start, end, offsets or (), late, from_table)
    with Progress(Console(stderr=True), SystemClock()) as progress:
        if dry_run:
            found = _preview(work.preview(servers, declared.plan, request, progress.show))
        else:
            found = _report(work.run(servers, declared.plan, request, progress.show))
    _print(found, as_json)


def _request(
    hour: Sequence[str],
    start: str | None,
    end: str | None,
    spans: Sequence[str],
    late: float,
    from_table: str | None = None,
) -> Request:
    from keystone_platform.plan.backfill import Request, TimeRange, hours, merged, parse_span

    if (start is None) != (end is None):
        message = "--from and --to belong together"
        raise InvalidSpec(message, mend="Name both ends of the range.")
    ranges: list[TimeRange] = [*hours(_whole_hour(text) for text in hour)]
    if start is not None and end is not None:
        between = TimeRange(start=_time(start), end=_time(end))
        if between.start >= between.end:
            message = f"--from {start} is not before --to {end}"
            raise InvalidSpec(message, mend="Name a range that is not empty.")
        ranges.append(between)
    if bool(ranges) is bool(spans):
        message = "a backfill takes a range of time or of offsets"
        raise InvalidSpec(message, mend="Name --hour (or --from and --to), or --offsets.")
    if spans:
        in_order = sorted(map(parse_span, spans), key=lambda each: (each.topic, each.partition))
        return Request(spans=tuple(in_order), from_table=from_table)
    if sum((each.end - each.start for each in ranges), timedelta(0)) > LONGEST:
        message = f"a backfill of more than {LONGEST.days} days"
        raise InvalidSpec(message, mend="Take it in parts, or by --offsets.")
    return Request(times=merged(ranges), late=timedelta(hours=late), from_table=from_table)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no time"
        raise InvalidSpec(message, mend=_MEND) from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _whole_hour(text: str) -> datetime:
    time = _time(text)
    if time != time.replace(minute=0, second=0, microsecond=0):
        message = f"{text!r} is no whole hour"
        raise InvalidSpec(message, mend="Take --from and --to for anything but whole hours.")
    return time


def _outline(found: Outline) -> dict[str, object]:
    return {
        "source": str(found.source),
        "times": [str(each) for each in found.scope.times],
        "offsets": found.scope.offsets,
        "spans": [str(each) for each in found.scope.spans],
        "gone_from_kafka": [str(each) for each in found.gone],
        "not_yet_committed": [str(each) for each in found.unsettled],
        "offsets_behind": found.behind,
    }


def _preview(found: Preview) -> dict[str, object]:
    expected = found.expected
    return {
        "table": found.table,
        **_outline(found.outline),
        "events": expected.events,
        "rows_now": found.present,
        "rows_then": expected.kept,
        "rows_kept": found.kept,
        "filtered": expected.filtered,
        "dead": expected.dead,
    }


def _report(found: BackfillReport) -> dict[str, object]:
    expected = found.expected
    return {
        "table": found.table,
        "backfill": found.branch,
        "resumed": found.resumed,
        **_outline(found.outline),
        "events": expected.events if expected else None,
        "rows_removed": found.swapped.removed,
        "rows_added": found.swapped.added,
        "rows_kept": found.swapped.kept,
        "filtered": expected.filtered if expected else None,
        "dead": expected.dead if expected else None,
        "hours": [f"{each:%Y-%m-%dT%H}" if each else None for each in found.hours],
        "proofs": [each.told for each in found.proofs],
        "snapshot_id": found.swapped.snapshot_id,
    }


def _print(found: dict[str, object], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    console = stdout_console()
    for key, value in found.items():
        if isinstance(value, list):
            value = ", ".join("rows without a time" if each is None else str(each) for each in value)
        if isinstance(value, bool):
            value = "yes" if value else "no"
        if value not in (None, ""):
            shown = f"{value:,}" if isinstance(value, int) and key != "snapshot_id" else value
            console.print(f"{key.replace('_', ' '):<18} {shown}", markup=False, highlight=False, soft_wrap=True)
