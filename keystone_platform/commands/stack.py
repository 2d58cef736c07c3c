"""The commands that run the embedded stack: up, down, status, env, doctor."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from keystone_platform.commands.output import stdout_console, table
from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.flink_home import jars_folder
from keystone_platform.settings import Settings, home_folder, load_settings, settings_file, streams_folder
from keystone_platform.stack.doctor import examine
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.starting import Started
from keystone_platform.stack.status import ServerState, ServerStatus

if TYPE_CHECKING:
    from keystone_platform.control.overview import RouteLine

_GIB = 1024**3
_ANY_WIDTH = 1000

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for programs.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    for command in (up, down, status, env, doctor):
        app.command()(command)


def up(
    including: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            help="Add search (OpenSearch, 1 GB of memory) or standby (a second Kafka cluster that every stream gets as "
            "its standby, 0.5 GB) to this stack: from now on it belongs to it. Repeatable.",
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out kafka, s3, flink, search or dagster; repeatable. Their processes are not started."
        ),
    ] = None,
) -> None:
    """Start Kafka, S3, Flink and Dagster on this machine and wait until each answers.

    Data, logs and settings go below `.keystone` (another folder: KEYSTONE_HOME). A server whose usual port is taken
    gets the next free one; KEYSTONE_KAFKA_PORT, KEYSTONE_S3_PORT, KEYSTONE_FLINK_PORT, KEYSTONE_SEARCH_PORT and
    KEYSTONE_DAGSTER_PORT ask for one. Harmless when the stack is up: it starts only what is missing, so search can be
    added any time: `keystone up --with search`; so can a standby, `keystone up --with standby`, whose clusters.yaml
    counts until there is one beside the streams. Ctrl-C stops what it started.
    """
    stderr = Console(stderr=True, highlight=False)
    stack = _stack()

    def report(started: Started) -> None:
        seconds = f"{started.seconds:5.1f} s" if started.seconds else "was up"
        stderr.print(f"  {started.server.name:<18} {seconds}  {started.server.url}")

    with stderr.status("starting; first answers after about 10 s …"):
        result = stack.up(including=including or (), without=without or (), report=report)
    for warning in result.warnings:
        stderr.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    if not result.started:
        stderr.print("The stack was up already.")
    stderr.print("How to attach: keystone env. What runs: keystone status. Stop: keystone down.")


def down(
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove data, logs and settings of the stack too. There is no way back.")
    ] = False,
) -> None:
    """Stop exactly what `keystone up` started, also after a crash or a reboot; data stays.

    Routers end without a savepoint, but their checkpoints stay: they go on from there after the next `keystone up`.
    """
    stderr = Console(stderr=True, highlight=False)
    with stderr.status("stopping …"):
        stopped = _stack().down(purge=purge)
    stderr.print(f"Stopped {stopped} processes." if stopped else "Nothing was running.")


def status(as_json: Json = False) -> None:
    """Show each server of the embedded stack, then each route: its state, and copies of it that must not run.

    Exit status 1 unless every server runs, whatever the routes are like. Without an embedded stack only the routes are
    shown, of the servers that KEYSTONE_SETTINGS names.
    """
    servers = _stack().status()
    lines, note = _routes()
    if as_json:
        found = {
            "servers": [dataclasses.asdict(server) for server in servers],
            "routes": [line.as_json() for line in lines],
            "note": note,
        }
        typer.echo(json.dumps(found, indent=2, default=str))
    else:
        if servers:
            _print_status(servers)
        _print_routes(lines, note)
    if any(server.state is not ServerState.RUNNING for server in servers) or not (servers or lines):
        raise typer.Exit(1)


def env(as_json: Json = False) -> None:
    """Print how a client attaches, secrets included: to the embedded stack, or to what KEYSTONE_SETTINGS names.

    Without `--json` it is shell code for the tools that people use beside Keystone: `eval "$(keystone env)"`.
    """
    settings = load_settings()
    if as_json:
        typer.echo(settings.model_dump_json(indent=2))
        return
    for name, value in _exports(settings).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def doctor(as_json: Json = False) -> None:
    """Check Java, Maven, memory, disk, ports, jars and packages; each failure with its mend, then exit status 1."""
    is_up = _stack().supervisor_pid() is not None
    findings = examine(home_folder(os.environ), jars_folder(os.environ), os.environ, is_up=is_up)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            verdict = "[red]FAIL[/]" if finding.failed else "[yellow]warn[/]" if finding.mend else "[green]ok[/]  "
            console.print(verdict, f"{finding.check:<18}", escape(finding.found))
            if finding.mend:
                console.print(" " * 24 + escape(finding.mend))
    if any(finding.failed for finding in findings):
        raise typer.Exit(1)


def _print_status(servers: Sequence[ServerStatus]) -> None:
    """Print a table as wide as it gets: a cut path or address is of no use."""
    table = Table("server", "state", "pid", "address", "memory", "uptime", "log", box=None, pad_edge=False)
    for server in servers:
        table.add_row(
            server.name,
            escape(f"{server.state}: {server.reason}" if server.reason else str(server.state)),
            str(server.pid or ""),
            server.url,
            f"{server.rss_bytes / _GIB:.2f} GiB" if server.rss_bytes else "",
            f"{server.uptime_s // 60} min {server.uptime_s % 60} s" if server.uptime_s else "",
            os.path.relpath(server.log),
        )
    console = Console(highlight=False, width=_ANY_WIDTH, soft_wrap=True)
    console.print(table)
    console.print(f"memory of all: {sum(server.rss_bytes for server in servers) / _GIB:.2f} GiB")


def _routes() -> tuple[Sequence[RouteLine], str]:
    """Return what is known of the routes, and why it is not more."""
    from keystone_platform.control.overview import overview
    from keystone_platform.spec.loader import load_streams_leniently
    from keystone_platform.wiring import connect

    if not settings_file(os.environ).is_file():
        return (), "The stack was never up here: keystone up"
    try:
        return overview(connect(load_settings()), load_streams_leniently(streams_folder(os.environ))), ""
    except KeystoneError as error:
        return (), f"What becomes of the routes is not known: {error}"


def _print_routes(lines: Sequence[RouteLine], note: str) -> None:
    shown = table("route", "state", "declared", "epoch", "job", "progress", "what to know")
    for line in lines:
        last = line.status.last
        epoch, job_id = (str(last.epoch), last.job_id) if last else ("", "")
        told = escape(str(line.progress or ""))
        known = (told if not line.progress or line.progress.passed else f"[red]{told}[/]", escape(line.remark))
        shown.add_row(line.status.route, line.status.state, line.declared, epoch, job_id, *known)
    if lines:
        stdout_console().print("\n", shown, sep="")
    if note:
        typer.echo(note)


def _exports(settings: Settings) -> dict[str, str]:
    from keystone_platform.gateways.catalog_properties import catalog_properties

    catalog = {
        f"PYICEBERG_CATALOG__KEYSTONE__{key.upper().replace('.', '__').replace('-', '_')}": value
        for key, value in catalog_properties(settings.catalog).items()
    }
    return {
        "KEYSTONE_SETTINGS": str(settings_file(os.environ).absolute()),
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "AWS_ENDPOINT_URL_S3": settings.s3.endpoint,
        "AWS_ACCESS_KEY_ID": settings.s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.s3.secret_access_key,
        "AWS_REGION": settings.s3.region,
        "FLINK_REST": settings.flink_rest,
        "DAGSTER_URL": settings.dagster_url,
        **({"OPENSEARCH_URL": settings.search.url} if settings.search else {}),
        **catalog,
    }


def _stack() -> EmbeddedStack:
    return EmbeddedStack(home_folder(os.environ), streams=streams_folder(os.environ))
