"""`keystone drill`: break something on purpose, on a stack of its own, and account for every event."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keystone_platform.commands.output import PIPE_WIDTH, table
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE

if TYPE_CHECKING:
    from rich.console import Console

    from keystone_platform.drill.sums import Outcome
    from keystone_platform.stack.embedded import EmbeddedStack


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    group = typer.Typer(
        name="drill",
        help="Break something on purpose, on servers that are started for it and stopped afterwards.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    group.command()(kong)
    app.add_typer(group)


def kong(
    rate: Annotated[int, typer.Option(min=50, max=50_000, help="Events a second.")] = 2_000,
    seconds: Annotated[float, typer.Option(min=5, help="How long the broker stays dead.")] = 20.0,
    hold: Annotated[
        float, typer.Option(min=1, help="Seconds that it has to be well before the stream goes back; usually 30.")
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object on stdout.")] = False,
) -> None:
    """Kill a Kafka cluster under load, bring it back, and prove that each event is accounted for.

    Starts two brokers, an object store and Flink in a folder of their own, deploys a router that reads both, and sends
    with the real producer. Shows how long the switch took, what was stuck and came late, what was lost, and the return;
    then waits until all is landed and adds up: attempted = acknowledged + dropped, and landed + filtered + dead =
    acknowledged, by cluster. Takes some four minutes and 5 GB of memory. Ctrl-C stops the servers and removes the
    folder. Exit status 1 if a sum does not close, a row is doubled, or the switch takes ten seconds.

    Example: `keystone drill kong --rate 5000 --seconds 40`
    """
    from rich.console import Console

    from keystone_platform.demo.progress import Progress
    from keystone_platform.drill.kong import Kong, Plan

    console = Console(stderr=as_json)
    if not console.is_terminal:
        console = Console(stderr=as_json, width=PIPE_WIDTH)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else nobody would stop the servers
    clock = SystemClock()
    with _stack(console) as (stack, streams), Progress(console, clock) as progress:
        drill = Kong(stack, streams, clock, progress.show, lambda text: _say(console, text))
        outcome = drill.run(Plan(rate, seconds, hold))
    if as_json:
        typer.echo(json.dumps(outcome.as_json()))
    else:
        _show(outcome, console)
    if outcome.wrong:
        raise typer.Exit(1)


@contextmanager
def _stack(console: Console) -> Iterator[tuple[EmbeddedStack, Path]]:
    """Start the servers of a drill; at the end they are stopped and their folder removed, whatever happened."""
    from keystone_platform.drill.kong import DECLARED, STREAM, WITHOUT
    from keystone_platform.stack.embedded import EmbeddedStack

    home = Path(tempfile.mkdtemp(prefix="keystone-kong-"))
    streams = home / "streams"
    streams.mkdir()
    (streams / f"{STREAM}.yaml").write_text(DECLARED)
    stack = EmbeddedStack(home, streams=streams, usual_ports=False)
    # what this process and those that it starts ask of the environment concerns the drill's servers
    os.environ |= {
        HOME_VARIABLE: str(home),
        SETTINGS_VARIABLE: str(stack.home.settings),
        STREAMS_VARIABLE: str(streams),
    }
    os.environ.pop("KEYSTONE_CLUSTERS", None)
    try:
        _say(console, "Starting two Kafka brokers, an object store and Flink")
        stack.up(including=("standby",), without=WITHOUT)
        yield stack, streams
    finally:
        _say(console, "Stopping the servers")
        stack.down()
        shutil.rmtree(home, ignore_errors=True)


def _say(console: Console, text: str) -> None:
    console.print(f"[bold cyan]{text}[/]", highlight=False)


def _show(outcome: Outcome, console: Console) -> None:
    told = outcome.figures
    console.print(f"\nswitch to the standby: {_seconds(told.switch_s)} after the kill", highlight=False)
    console.print(
        f"stuck when the stream left: {told.stuck:,}; came late: {told.late:,}, the last one {_seconds(told.latest_s)}"
        " after the kill",
        highlight=False,
    )
    console.print(f"return: {_seconds(told.return_s)} after the broker answered again\n", highlight=False)
    shown = table(
        "cluster", "attempted", "acknowledged", "dropped", "in topic", "landed", "filtered", "dead", "lost", "twice"
    )
    for each in outcome.clusters:
        figures = (each.attempted, each.acknowledged, each.dropped, each.in_topic, each.landed, each.filtered)
        shown.add_row(each.cluster, *(f"{value:,}" for value in (*figures, each.dead, each.lost, each.duplicated)))
    console.print(shown)
    for text in outcome.wrong:
        console.print(f"wrong: {text}", style="red", markup=False, highlight=False)
    if not outcome.wrong:
        text = f"\nevery event accounted for, {outcome.seconds:.0f} s after the first one was sent"
        console.print(text, style="bold green", highlight=False)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
