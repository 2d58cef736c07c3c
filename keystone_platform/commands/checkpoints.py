"""`keystone checkpoints`: what a route could be started from, and up to where each of it has read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from keystone_platform.commands.output import stdout_console, table
from keystone_platform.plan.figures import duration
from keystone_platform.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from keystone_platform.plan.checkpoint_report import CheckpointLine, CheckpointReport

USUALLY_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command()(checkpoints)


def checkpoints(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="A route that was deployed, `<stream>.<route>`.")],
    last: Annotated[int, typer.Option(min=1, metavar="N", help="Show the N newest.")] = USUALLY_SHOWN,
    offsets: Annotated[
        bool, typer.Option("--offsets", help="Show the Kafka offsets of all, not only of where a start begins.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object to stdout, all offsets in it.")
    ] = False,
) -> None:
    """Show a route's checkpoints and savepoints, and the Kafka offsets that they hold. Touches nothing.

    For each: size, how long it took, age, and how many offsets it is behind the topics' ends (lag). The arrow is where
    the route's next start begins. One that is **older than the table** must not be started from by hand: Keystone
    never does (docs/guarantees.md). What can't be read says why; the rest is shown.

    Example: `keystone checkpoints playback.warehouse --offsets`
    """
    from keystone_platform.control.checkpoints import inspect_checkpoints
    from keystone_platform.wiring import connect

    report = inspect_checkpoints(connect(load_settings()), route, last)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1))
        return
    show(report, stdout_console(), offsets=offsets)


def show(report: CheckpointReport, console: Console, *, offsets: bool = False) -> None:
    """Print the report for people; `offsets` of all, or only of where a start begins."""
    if report.lines:
        console.print(_overview(report))
    detailed = [line for line in report.lines if line.held and (offsets or line.is_restart_point)]
    if detailed:
        console.print("\n", _positions(detailed), sep="")
    for told in _told(report):
        console.print(escape(told), soft_wrap=True)


def _overview(report: CheckpointReport) -> Table:
    shown = table("", "kind", "id", "epoch", "state", "age", "took", "size", "lag", "what to know")
    for line in report.lines:
        remarks = [*line.remarks, f"offsets not readable: {line.unreadable}" if line.unreadable else ""]
        shown.add_row(
            "→" if line.is_restart_point else "",
            line.kind,
            _number(line.checkpoint_id),
            _number(line.epoch),
            line.status,
            duration(report.age_s(line)),
            "" if line.took_s is None else f"{line.took_s:.1f} s",
            size(line.bytes),
            _number(line.lag),
            escape("; ".join(filter(None, remarks))),
        )
    return shown


def _positions(lines: Sequence[CheckpointLine]) -> Table:
    shown = table("id", "epoch", "topic", "partition", "offset", "topic ends", "lag", "table", "behind the table")
    for line in lines:
        for each in line.held:
            offset = "not read yet" if each.offset is None else f"{each.offset:,}"
            rest = (each.end, each.lag, each.landed, each.behind_table or None)
            shown.add_row(
                _number(line.checkpoint_id),
                _number(line.epoch),
                each.topic,
                str(each.partition),
                offset,
                *map(_number, rest),
            )
    return shown


def _told(report: CheckpointReport) -> list[str]:
    left = f"{report.left_out} older ones are not shown: --last N" if report.left_out else ""
    none = "" if report.lines else "no checkpoint and no savepoint"
    return list(filter(None, [none, left, f"the next start begins from {report.restart}", *report.notes]))


def size(count: int) -> str:
    """Return a number of bytes as people say it."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} B"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
