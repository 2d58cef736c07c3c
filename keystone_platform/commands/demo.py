"""The command that shows the platform at work: demo."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from keystone_platform.commands.output import PIPE_WIDTH
from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.settings import home_folder, streams_folder

if TYPE_CHECKING:
    from rich.console import Console

    from keystone_platform.demo.truth import DemoTruth
    from keystone_platform.settings import Settings
    from keystone_platform.stack.embedded import EmbeddedStack

_TURN_S = 3600.0


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command()(demo)


def demo(
    events: Annotated[int, typer.Option(min=1, help="How many, over all streams.")] = 200_000,
    exit_after: Annotated[bool, typer.Option("--exit", help="Stop the stack at the end instead of waiting.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The truth as one JSON object on stdout's last line.")
    ] = False,
) -> None:
    """Move synthetic events all the way into compacted Parquet, and account for each of them.

    Starts the stack, deploys the routers through Dagster, produces, waits until all is landed, compacts, queries, and
    counts what is lost or duplicated: exit status 1 if anything is. Then the stack stays up until Ctrl-C. A stack that
    was up before stays up after, and so does one on which the demonstration failed, unless --exit is given.
    """
    from rich.console import Console

    from keystone_platform.stack.embedded import EmbeddedStack

    clock = SystemClock()
    started = clock.now().timestamp()
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console = Console(stderr=as_json, width=PIPE_WIDTH)
    stack = EmbeddedStack(home_folder(os.environ), streams=streams_folder(os.environ))
    was_up = stack.supervisor_pid() is not None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else nobody would stop the servers
    settings = _start(stack, console)
    stays_up = was_up
    try:
        truth = _run(settings, events, started, console)
        if as_json:
            typer.echo(truth.as_json())
        else:
            _tell_how_to_go_on(settings, console)
            console.print(f"\n[bold {'green' if truth.is_good else 'red'}]{truth}[/]", highlight=False, soft_wrap=True)
        if not exit_after and not was_up:
            _wait_for_ctrl_c(console)
    except KeystoneError:
        stays_up = was_up or not exit_after
        if stays_up:
            console.print("The stack stays up for a look at what went wrong: keystone down stops it.", style="yellow")
        raise
    finally:
        if not stays_up:
            console.print("Stopping the stack; its data stays. Again: keystone up", highlight=False)
            stack.down()
    if not truth.is_good:
        raise typer.Exit(1)


def _start(stack: EmbeddedStack, console: Console) -> Settings:
    console.print("[bold cyan]Starting Kafka, S3, Flink and Dagster[/]")
    up = stack.up(
        report=lambda started: console.print(f"  {started.server.name:<18} {started.server.url}", highlight=False)
    )
    for warning in up.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    return up.settings


def _run(settings: Settings, events: int, started: float, console: Console) -> DemoTruth:
    from keystone_platform.demo.run import Demo
    from keystone_platform.synthetic.events import Mix

    run = Demo(settings, streams_folder(os.environ), console, SystemClock(), started)
    return run.run(events, Mix(seed=int(started), around=SystemClock().now()))


def _tell_how_to_go_on(settings: Settings, console: Console) -> None:
    console.print("\n[bold cyan]Look around[/]")
    for name, value in {
        "Dagster": f"{settings.dagster_url}/asset-groups",
        "Flink": settings.flink_rest,
        "query": 'keystone sql "select country, count(*) from events.playback group by all"',
        "more events": "keystone produce playback --synthetic --count 10000 --rate 500",
        "attach": "keystone env",
    }.items():
        console.print(f"  {name:<12} {value}", highlight=False, markup=False, soft_wrap=True)


def _wait_for_ctrl_c(console: Console) -> None:
    console.print("\nThe stack stays up. Ctrl-C stops it.", highlight=False)
    try:
        while True:
            SystemClock().sleep(_TURN_S)
    except KeyboardInterrupt:
        console.print("")
