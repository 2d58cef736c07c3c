"""`keystone preview`: what a route would do with the newest events of its topic, before anything is deployed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keystone_platform.commands.output import stdout_console
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.settings import STREAMS_VARIABLE, load_settings, streams_folder

if TYPE_CHECKING:
    from keystone_platform.plan.router_plan import RouterPlan
    from keystone_platform.preview.newest import Events

QUIET_S = 2.0
"""Seconds after which a preview tells how far it is."""


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command()(preview)


def preview(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="A declared route, `<stream>.<route>`.")],
    last: Annotated[int, typer.Option(min=1, help="How many of the topic's newest events to look at.")] = 1_000,
    partition: Annotated[int | None, typer.Option(min=0, help="Look at this partition only.")] = None,
    rows: Annotated[int, typer.Option(min=0, help="How many rows of the sink to show.")] = 5,
    from_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Look at this file instead, one event a line; needs no server.")
    ] = None,
    streams: Annotated[
        Path | None,
        typer.Option(
            "--streams", metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Show what a route would do with real events, without deploying or touching anything.

    Reads the newest events of the route's topic and does with them what the router would do as its YAML stands now,
    applied or not: how many it keeps, filters out and can't decode (and why), the sink's rows, what the schema lacks
    or gets wrong, which columns are always null.

    Example: edit `filter:` in streams/playback.yaml, then `keystone preview playback.warehouse --last 10000`.

    Exit status 1 when the route's file is wrong or Kafka does not answer; 0 whatever the events are like.
    """
    from keystone_platform.control.goals import planned_routes
    from keystone_platform.demo.progress import Progress
    from keystone_platform.gateways.schema_registry import registry_of
    from keystone_platform.preview.evaluate import preview_route
    from keystone_platform.preview.show import show
    from keystone_platform.query.values import finite, plain

    (planned,) = planned_routes(streams or streams_folder(os.environ), [route])
    if planned.error:
        raise planned.error
    assert planned.plan is not None  # a planned route has a plan or an error
    clock = SystemClock()
    with Progress(Console(stderr=True), clock) as progress:
        plan, events = _events(planned.plan, last, partition, from_file)
        told = _telling(progress.show, clock)
        registry = registry_of(load_settings().registry) if plan.source.format else None
        found = preview_route(plan, planned.loaded.stream.fields, events, rows, told, registry)
    if as_json:
        typer.echo(json.dumps(finite(found.as_json()), default=plain, ensure_ascii=False, indent=1))
    else:
        show(found, stdout_console())


def _events(plan: RouterPlan, last: int, partition: int | None, from_file: Path | None) -> tuple[RouterPlan, Events]:
    """Return the events, and the plan as it reads them: of the standby cluster while the primary is away."""
    from keystone_platform.errors import Transient
    from keystone_platform.gateways.kafka_clusters import connect_kafka
    from keystone_platform.preview.newest import events_of_file, newest_events

    if from_file is not None:
        return plan, events_of_file(from_file, last)
    kafka, (topic, *standby) = connect_kafka(load_settings()), plan.source.event_topics
    try:
        return plan, newest_events(kafka, kafka.properties(topic), topic, last, partition)
    except Transient as error:
        if not standby:
            raise
        typer.echo(f"{topic} is left out, its events on the standby are shown: {error}", err=True)
    (topic,) = standby
    there = plan.model_copy(update={"source": plan.source.model_copy(update={"topic": topic})})
    return there, newest_events(kafka, kafka.properties(topic), topic, last, partition)


def _telling(show: Callable[[str], None], clock: Clock) -> Callable[[int], None]:
    """Return what tells how far it is, but only of a preview that takes long."""
    started = clock.now()

    def tell(read: int) -> None:
        if (clock.now() - started).total_seconds() > QUIET_S:
            show(f"{read:,} events read")

    return tell
