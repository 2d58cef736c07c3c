"""What `keystone failover` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from keystone_platform.commands.output import stdout_console, table

if TYPE_CHECKING:
    from keystone_platform.failover.order_topics import Answer
    from keystone_platform.failover.report import StreamLine
    from keystone_platform.producer.orders import Order, Orders
    from keystone_platform.spec.clusters import Clusters


def show_status(
    clusters: Clusters, answers: Mapping[str, Answer[Orders]], lines: Sequence[StreamLine], *, as_json: bool
) -> None:
    """Print clusters and streams."""
    if as_json:
        told = {name: {"answers": answer.value is not None, "error": answer.error} for name, answer in answers.items()}
        typer.echo(json.dumps({"clusters": told, "streams": [line.as_json() for line in lines]}, indent=1))
        return
    console = stdout_console()
    shown = table("cluster", "servers", "now")
    for name, answer in answers.items():
        servers = clusters.cluster(name).bootstrap_servers
        shown.add_row(name, servers, "answers" if answer.value is not None else f"[red]{escape(answer.error)}[/]")
    console.print(shown, "")
    shown = table("stream", "primary", "standby", "ordered", "producers", "what to know")
    for line in lines:
        uses = ", ".join(f"{use.producers} on {use.cluster} ({use.why})" for use in line.uses)
        shown.add_row(
            line.stream,
            line.primary,
            line.standby or "-",
            escape(_told(line.order)) if line.order else "",
            uses or "none told lately",
            f"[yellow]{escape(line.wrong)}[/]",
        )
    console.print(shown)


def show_written(orders: Orders, written: Mapping[str, Answer[Orders]], file: Path | None, *, as_json: bool) -> None:
    """Print what was ordered, and who took it."""
    if as_json:
        told = {name: {"taken": answer.value is not None, "error": answer.error} for name, answer in written.items()}
        ordered = {stream: order.value() for stream, order in orders.by_stream.items()}
        typer.echo(json.dumps({"orders": ordered, "clusters": told, "file": str(file) if file else None}, indent=1))
        return
    console = stdout_console()
    for stream, order in orders.by_stream.items():
        console.print(f"{'every stream' if stream == '*' else stream}: {_told(order)}", markup=False)
    for name, answer in written.items():
        said = "has the order" if answer.value is not None else f"[yellow]has it not: {escape(answer.error)}[/]"
        console.print(f"{name} {said}", soft_wrap=True)
    if file:
        console.print(f"written into {file}", markup=False, soft_wrap=True)


def _told(order: Order) -> str:
    when = datetime.fromtimestamp(order.at / 1000, UTC)
    said = f"to {order.cluster}" if order.cluster else "as producers think best"
    return " ".join(filter(None, [said, f"since {when:%Y-%m-%d %H:%M:%S}Z", order.by and f"by {order.by}", order.why]))
