"""`keystone plan`, `apply`, `stop`, `restart`, `rollback`: streams as declared, against what runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from keystone_platform.commands.output import stdout_console
from keystone_platform.settings import STREAMS_VARIABLE, load_settings, streams_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keystone_platform.control.goals import Wanted
    from keystone_platform.control.preview import RoutePreview
    from keystone_platform.control.reconcile import Verdict
    from keystone_platform.plan.decide import Request
    from keystone_platform.settings import Settings

Routes = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ROUTE]...", help="Routes, `<stream>.<route>`; all of them when none is named."),
]
SomeRoutes = Annotated[list[str], typer.Argument(metavar="ROUTE...", help="Routes, `<stream>.<route>`.")]
Streams = Annotated[
    Path | None,
    typer.Option(
        "--streams", metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command()(plan)
    app.command()(apply)
    app.command()(stop)
    app.command()(restart)
    app.command()(rollback)


def plan(routes: Routes = None, streams: Streams = None, as_json: Json = False) -> None:
    """Check the stream YAMLs and show what `apply` would do and cost. Touches nothing.

    Exit status 1 when a file is wrong or a route would be refused. Works without running servers: then every route
    counts as new.
    """
    from keystone_platform.control.goals import planned_routes
    from keystone_platform.control.preview import preview, preview_blind, preview_undeclared
    from keystone_platform.errors import KeystoneError
    from keystone_platform.wiring import connect

    planned = planned_routes(_folder(streams), routes or ())
    try:
        gateways = connect(load_settings())
        previews, note = preview(gateways, planned), ""
        if not routes:
            previews += preview_undeclared(gateways, {each.loaded.id for each in planned})
    except KeystoneError as error:
        previews, note = preview_blind(planned), f"What runs is unknown, every route counts as new: {error}"
    if as_json:
        typer.echo(json.dumps({"routes": [item.as_json() for item in previews], "note": note}, indent=2))
    else:
        _show_previews(previews, note)
    if any(item.error for item in previews):
        raise typer.Exit(1)


def apply(routes: Routes = None, streams: Streams = None, as_json: Json = False) -> None:
    """Make the routers run as declared: deploy new ones, upgrade changed ones through a savepoint.

    A wrong YAML anywhere in the folder is refused before anything is touched. What runs as declared is left alone.
    """
    from keystone_platform.plan.decide import Request

    _reconcile(_wanted(streams, routes or ()), Request.CONVERGE, as_json)


def stop(routes: SomeRoutes, streams: Streams = None, as_json: Json = False) -> None:
    """Stop routers with a savepoint. They stay stopped until `apply` starts them from it.

    Reads no stream file, so `--streams` changes nothing: what was deployed can be stopped, whatever is declared by now.
    """
    from keystone_platform.control.goals import Wanted, deployed
    from keystone_platform.gateways.ledger import SqlLedger
    from keystone_platform.plan.decide import Request

    ledger = SqlLedger(load_settings().ledger_url)
    _reconcile(Wanted(deployed(ledger, routes)), Request.STOP, as_json)


def restart(routes: SomeRoutes, streams: Streams = None, as_json: Json = False) -> None:
    """Stop routers with a savepoint and start them from it; a changed plan is applied on the way."""
    from keystone_platform.plan.decide import Request

    _reconcile(_wanted(streams, routes), Request.RESTART, as_json)


def rollback(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="A route, `<stream>.<route>`.")],
    to: Annotated[
        int | None, typer.Option(metavar="EPOCH", help="Go back to the plan of this epoch, also one that failed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring a router back to its last good plan, from a savepoint or else from its newest checkpoint.

    The last good plan is the newest other one whose router ran until it was stopped on purpose. What is declared is
    then not tried again until the YAML changes; `plan` says so. A changed plan that fails within ten minutes is
    rolled back without being asked for.

    Example: `keystone rollback playback.warehouse`, then mend streams/playback.yaml, then `keystone apply`.
    """
    from keystone_platform.control.rollback import roll_back
    from keystone_platform.wiring import connect

    progress = Console(stderr=True, highlight=False, soft_wrap=True)
    gateways = connect(load_settings())
    verdict = roll_back(gateways, route, to, progress=lambda name, doing: progress.print(f"[dim]{name}[/] {doing} …"))
    _tell([verdict], as_json)


def _folder(streams: Path | None) -> Path:
    return streams or streams_folder(os.environ)


def _wanted(streams: Path | None, routes: Sequence[str]) -> Wanted:
    from keystone_platform.control.goals import wanted

    return wanted(_folder(streams), routes)


def _reconcile(wanted: Wanted, request: Request, as_json: bool) -> None:
    from keystone_platform.control.reconcile import reconcile
    from keystone_platform.plan.decide import Act
    from keystone_platform.wiring import connect

    progress = Console(stderr=True, highlight=False, soft_wrap=True)
    settings = load_settings()
    gateways = connect(settings)
    verdicts = reconcile(
        gateways, wanted.goals, request, lambda route, doing: progress.print(f"[dim]{route}[/] {doing} …")
    )
    if any(verdict.action.act is not Act.NOTHING for verdict in verdicts):
        _let_dagster_read_the_streams(settings, progress)
    for error in wanted.unsupported:
        progress.print(f"not deployed: {error}", style="red", markup=False)
    _tell(verdicts, as_json)
    if wanted.unsupported:
        raise typer.Exit(1)


def _tell(verdicts: Sequence[Verdict], as_json: bool) -> None:
    """Print the verdicts; exit status 1 if a route is not as asked for."""
    if as_json:
        typer.echo(json.dumps([_verdict_json(verdict) for verdict in verdicts], indent=2))
    else:
        _show_verdicts(verdicts)
    if any(verdict.error or verdict.held for verdict in verdicts):
        raise typer.Exit(1)


def _let_dagster_read_the_streams(settings: Settings, progress: Console) -> None:
    """Reload the code locations, so that assets and sensors follow what was applied; routers run without it."""
    from keystone_platform.errors import KeystoneError
    from keystone_platform.gateways.dagster_api import PLATFORM_LOCATION, WAREHOUSE_LOCATION, DagsterApi

    dagster = DagsterApi(settings.dagster_url)
    try:
        for location in (PLATFORM_LOCATION, WAREHOUSE_LOCATION):
            dagster.reload(location)
    except KeystoneError as error:
        progress.print(f"Dagster does not show this yet: {error}", style="yellow", markup=False)


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    deployment = verdict.deployment
    return {
        "route": verdict.route,
        "ok": verdict.ok,
        "action": verdict.action.act.value,
        "message": verdict.message,
        "held": verdict.held or None,
        "epoch": deployment.epoch if deployment else None,
        "job_id": deployment.job_id if deployment else None,
        "restored_from": deployment.restore_from if deployment else None,
        "plan_digest": deployment.plan.digest if deployment else None,
    }


def _show_verdicts(verdicts: Sequence[Verdict]) -> None:
    table = _table("route", "", "action", "epoch", "job")
    for verdict in verdicts:
        deployment = verdict.deployment
        table.add_row(
            verdict.route,
            "[red]failed[/]" if verdict.error else "[yellow]held[/]" if verdict.held else "[green]ok[/]",
            escape(verdict.message),
            str(deployment.epoch) if deployment else "",
            deployment.job_id if deployment else "",
        )
    stdout_console().print(table)


def _show_previews(previews: Sequence[RoutePreview], note: str) -> None:
    table = _table("route", "now", "change", "what differs", "plan")
    for item in previews:
        table.add_row(item.route, item.state, item.change, escape(item.error or item.why), item.digest[:12])
    console = stdout_console()
    console.print(table)
    if note:
        console.print(note, style="yellow", markup=False)


def _table(*columns: str) -> Table:
    """Return a table whose free text wraps and whose names and ids never do."""
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name not in ("action", "what differs"), overflow="fold")
    return table
