"""`keystone produce --synthetic`: sends made-up events, writes them as lines, or compares what is there with them."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from keystone_platform.commands.output import stdout_console, table
from keystone_platform.commands.producing import FLUSH_S, dropped_json, lost_text, new_producer
from keystone_platform.demo.progress import Progress
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.ndjson.pace import Pace
from keystone_platform.ndjson.stop import Stop
from keystone_platform.producer import Origin

if TYPE_CHECKING:
    from keystone_platform.ndjson.pace import Shape
    from keystone_platform.settings import Settings
    from keystone_platform.spec.models import StreamSpec
    from keystone_platform.synthetic.events import Mix
    from keystone_platform.synthetic.landed import Check

EXIT_INTERRUPTED = 130


def run(
    settings: Settings, spec: StreamSpec, mix: Mix, count: int, *, key: str | None, shape: Shape | None, as_json: bool
) -> None:
    """Send the first `count` events; raises typer.Exit with 1 or 130 unless all arrived."""
    from keystone_platform.spec.types import Struct
    from keystone_platform.synthetic.events import synthetic_events, varied_field

    field = varied_field(spec.fields or Struct(()))
    if key is not None and (field is None or key != field.name):
        message = f"made-up events of {spec.stream} can't be keyed by {key}"
        raise InvalidSpec(message, mend=f"Take --key {field.name}." if field else "Leave out --key.")
    clock, stderr = SystemClock(), Console(stderr=True, highlight=False, soft_wrap=True)
    began = clock.now().timestamp()
    with new_producer(settings, spec) as producer, Stop() as stop, Progress(stderr, clock) as line:

        def look() -> None:
            done = producer.counts().acknowledged
            rate = done / max(clock.now().timestamp() - began, 0.001)
            line.show(f"{spec.stream}: {done:,} of {count:,} acknowledged ({rate:,.0f}/s)")

        pace = Pace(producer, clock, shape, stop, look)
        for event in islice(synthetic_events(spec, mix), count):
            if not pace.turn():
                break
            happened = None if event.late is None else event.time(clock.now())
            origin = Origin(event.guid)
            producer.send_as(origin, spec.stream, event.payload, event.key if key else None, happened)
        counts = producer.close(FLUSH_S)
        look()
    seconds = clock.now().timestamp() - began
    if as_json:
        outcome = {"attempted": counts.attempted, "acknowledged": counts.acknowledged, "dropped": dropped_json(counts)}
        typer.echo(json.dumps({"stream": spec.stream, "seed": mix.seed, **outcome, "seconds": round(seconds, 3)}))
    else:
        told = f"attempted {counts.attempted:,}, acknowledged {counts.acknowledged:,}{lost_text(counts)}"
        typer.echo(f"{told}; seed {mix.seed}")
    if stop.asked:
        raise typer.Exit(EXIT_INTERRUPTED)
    if counts.acknowledged != count:
        raise typer.Exit(1)


def write(spec: StreamSpec, mix: Mix, count: int, to: str) -> None:
    """Write the payloads of the first `count` events, one a line."""
    from keystone_platform.synthetic.events import synthetic_events

    with nullcontext(sys.stdout.buffer) if to == "-" else Path(to).open("wb") as file:
        file.writelines(event.payload + b"\n" for event in islice(synthetic_events(spec, mix), count))
    typer.echo(f"{count:,} events, seed {mix.seed}", err=True)


def check(settings: Settings, streams: Path, spec: StreamSpec, mix: Mix, count: int, *, as_json: bool) -> None:
    """Compare topic and tables of the stream; raises typer.Exit with 1 unless they hold exactly these events."""
    from keystone_platform.plan.declared_tables import load_declared_tables
    from keystone_platform.synthetic.landed import check_table, check_topic

    plans = [each.plan for each in load_declared_tables(streams).values() if each.plan.stream == spec.stream]
    checks = [check_topic(settings, spec, mix, count)]
    checks += [check_table(settings, plan, spec, mix, count) for plan in plans]
    if as_json:
        found = [{**asdict(each), "exact": each.is_exact} for each in checks]
        typer.echo(json.dumps({"stream": spec.stream, "seed": mix.seed, "count": count, "checks": found}))
    else:
        stdout_console().print(_table(checks))
    if not all(each.is_exact for each in checks):
        raise typer.Exit(1)


def _table(checks: list[Check]) -> object:
    shown = table("place", "expected", "found", "missing", "extra", "changed", "doubled", "")
    for each in checks:
        numbers = (each.expected, each.found, each.missing, each.extra, each.changed, each.doubled)
        shown.add_row(each.place, *(f"{number:,}" for number in numbers), "exact" if each.is_exact else "NOT EXACT")
    return shown
