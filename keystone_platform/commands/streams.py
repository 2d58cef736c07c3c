"""`keystone plan`, `apply`, `stop`, `restart`, `rollback`: streams as declared, against what runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from keystone_platform.commands.output import stdout_console, table
from keystone_platform.commands.verdicts import tell_verdicts
from keystone_platform.settings import STREAMS_VARIABLE, load_settings, names_settings, streams_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keystone_platform.control.fleet import Pace
    from keystone_platform.control.goal import Progress, Refresh
    from keystone_platform.control.goals import Wanted
    from keystone_platform.control.preview import RoutePreview
    from keystone_platform.control.selection import Selection
    from keystone_platform.plan.decide import Request
    from keystone_platform.settings import Settings

Routes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ROUTE]...", help="Routes, `<stream>.<route>`, or globs such as 'playback.*'; without a selection all."
    ),
]
SomeRoutes = Annotated[
    list[str] | None, typer.Argument(metavar="[ROUTE]...", help="Routes, `<stream>.<route>`, or globs; '*' for all.")
]
Owners = Annotated[
    list[str] | None, typer.Option("--owner", metavar="OWNER", help="Only routes of this owner; repeatable.")
]
OfStreams = Annotated[
    list[str] | None, typer.Option("--stream", metavar="NAME", help="Only routes of this stream; repeatable.")
]
Batch = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Act on N routes at once, from one JVM; default: all.")
]
MaxFailures = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="N", help="Begin no further batch when more than N routes have failed; without --batch it is 10."
    ),
]
Streams = Annotated[
    Path | None,
    typer.Option(
        "--streams", metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command()(validate)
    app.command()(plan)
    app.command()(apply)
    app.command()(stop)
    app.command()(restart)
    app.command()(rollback)


def validate(streams: Streams = None, as_json: Json = False) -> None:
    """Check the stream YAMLs without asking any server, as a pipeline does before a merge.

    Exit status 1 when anything is wrong; every error is told at once, with file, line and mend.

    Example: `keystone validate --streams streams`
    """
    from keystone_platform.errors import InvalidSpecs
    from keystone_platform.plan.plan_router import plan_fleet
    from keystone_platform.spec.loader import load_streams

    fleet = load_streams(_folder(streams))
    planned = plan_fleet(fleet)
    if planned.errors:
        raise InvalidSpecs(planned.errors)
    if as_json:
        typer.echo(json.dumps({"streams": len(fleet.streams), "routes": len(planned.plans), "errors": []}))
    else:
        stdout_console().print(f"valid: {len(fleet.streams):,} streams, {len(planned.plans):,} routes")


def plan(
    routes: Routes = None,
    owner: Owners = None,
    stream: OfStreams = None,
    streams: Streams = None,
    as_json: Json = False,
) -> None:
    """Check the stream YAMLs and show what `apply` would do and cost, to the columns of tables too. Touches nothing.

    Exit status 1 when a file is wrong or a route would be refused. Works without running servers: then every route
    counts as new. A settings file that is wrong, or that KEYSTONE_SETTINGS names and that is not there, is an error.
    """
    from keystone_platform.control.goals import planned_routes
    from keystone_platform.control.preview import preview, preview_blind, preview_undeclared
    from keystone_platform.errors import KeystoneError
    from keystone_platform.wiring import connect

    selection = _selection(routes, owner, stream)
    planned = planned_routes(_folder(streams), selection)
    settings = load_settings() if names_settings(os.environ) else None
    try:
        gateways = connect(settings or load_settings(), streams=_folder(streams))
        previews, note = preview(gateways, planned), ""
        if selection.takes_all:
            previews += preview_undeclared(gateways, {each.loaded.id for each in planned})
    except KeystoneError as error:
        previews, note = preview_blind(planned), f"What runs is unknown, every route counts as new: {error}"
    if as_json:
        typer.echo(json.dumps({"routes": [item.as_json() for item in previews], "note": note}, indent=2))
    else:
        _show_previews(previews, note)
    if any(item.error for item in previews):
        raise typer.Exit(1)


def apply(
    routes: Routes = None,
    owner: Owners = None,
    stream: OfStreams = None,
    batch: Batch = None,
    max_failures: MaxFailures = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Also stop, with a savepoint, what runs and no file declares any more.")
    ] = False,
    streams: Streams = None,
    as_json: Json = False,
) -> None:
    """Make the routers run as declared: deploy new ones, upgrade changed ones through a savepoint.

    A wrong YAML anywhere in the folder is refused before anything is touched. What runs as declared is left alone;
    copies of a router that must not run are ended, but never a job that the ledger does not know.

    Example: `keystone apply --owner team:player --batch 10 --max-failures 2`
    """
    from keystone_platform.control.goals import wanted
    from keystone_platform.errors import InvalidSpec
    from keystone_platform.plan.decide import Request

    selection = _selection(routes, owner, stream)
    if prune and not selection.takes_all:
        message = "--prune looks at the whole fleet"
        raise InvalidSpec(message, mend="Leave out the selection, or stop routes by name: keystone stop ROUTE.")
    folder, pace = _folder(streams), _pace(batch, max_failures)
    _reconcile(wanted(folder, selection), Request.CONVERGE, pace, as_json, folder=folder, prune=prune)


def stop(
    routes: SomeRoutes = None,
    owner: Owners = None,
    stream: OfStreams = None,
    batch: Batch = None,
    max_failures: MaxFailures = None,
    streams: Streams = None,
    as_json: Json = False,
) -> None:
    """Stop routers with a savepoint. They stay stopped until `apply` starts them from it.

    What was deployed can be stopped, whatever is declared by now: stream files are read only for `--owner`.

    Example: `keystone stop 'playback.*'`
    """
    from keystone_platform.control.goals import Wanted, deployed
    from keystone_platform.gateways.ledger import SqlLedger
    from keystone_platform.plan.decide import Request
    from keystone_platform.spec.loader import load_streams_leniently

    ledger = SqlLedger(load_settings().ledger_url, create=False)
    fleet = load_streams_leniently(_folder(streams)) if owner else None
    goals = deployed(ledger, _selection(routes, owner, stream), fleet)
    _reconcile(Wanted(goals), Request.STOP, _pace(batch, max_failures), as_json)


def restart(
    routes: SomeRoutes = None,
    owner: Owners = None,
    stream: OfStreams = None,
    batch: Batch = None,
    max_failures: MaxFailures = None,
    streams: Streams = None,
    as_json: Json = False,
) -> None:
    """Stop routers with a savepoint and start them from it; a changed plan is applied on the way.

    Example: `keystone restart --stream playback --batch 1 --max-failures 0`
    """
    from keystone_platform.control.goals import wanted
    from keystone_platform.errors import InvalidSpec
    from keystone_platform.plan.decide import Request

    selection = _selection(routes, owner, stream)
    if selection.takes_all:
        message = "no route is named"
        raise InvalidSpec(message, mend="Name routes; '*' takes all.")
    folder, pace = _folder(streams), _pace(batch, max_failures)
    _reconcile(wanted(folder, selection), Request.RESTART, pace, as_json, folder=folder)


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
    tell_verdicts([verdict], as_json)


def _folder(streams: Path | None) -> Path:
    return streams or streams_folder(os.environ)


def _selection(routes: Sequence[str] | None, owners: Sequence[str] | None, streams: Sequence[str] | None) -> Selection:
    from keystone_platform.control.selection import Selection

    return Selection(tuple(routes or ()), tuple(owners or ()), tuple(streams or ()))


def _pace(batch: int | None, max_failures: int | None) -> Pace:
    from keystone_platform.control.fleet import Pace

    return Pace(batch, max_failures)


def _reconcile(
    wanted: Wanted, request: Request, pace: Pace, as_json: bool, *, folder: Path | None = None, prune: bool = False
) -> None:
    """Reconcile and tell; `folder` is where the goals are declared, None where they are not."""
    from keystone_platform.control.fleet import reconcile_fleet
    from keystone_platform.control.goals import redeclared, undeclared
    from keystone_platform.plan.decide import Act, Request
    from keystone_platform.wiring import connect

    progress = Console(stderr=True, highlight=False, soft_wrap=True)
    settings = load_settings()
    gateways = connect(settings, streams=folder)
    told: Progress = lambda route, doing: progress.print(f"[dim]{route}[/] {doing} …")  # noqa: E731
    refresh: Refresh = lambda goals: redeclared(folder, goals) if folder else goals  # noqa: E731
    verdicts = reconcile_fleet(gateways, wanted.goals, request, pace, told, refresh)
    if prune:
        left = undeclared(gateways, {goal.route for goal in wanted.goals} | wanted.refused)
        verdicts += reconcile_fleet(gateways, left, Request.STOP, pace, told)
    if any(verdict.action.act is not Act.NOTHING for verdict in verdicts):
        _let_dagster_read_the_streams(settings, progress)
    for error in wanted.unsupported:
        progress.print(f"not deployed: {error}", style="red", markup=False)
    tell_verdicts(verdicts, as_json)
    if wanted.unsupported:
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


def _show_previews(previews: Sequence[RoutePreview], note: str) -> None:
    shown = table("route", "now", "change", "what differs", "plan")
    for item in previews:
        shown.add_row(item.route, escape(item.now), item.change, escape(item.error or item.why), item.digest[:12])
    console = stdout_console()
    console.print(shown)
    if note:
        console.print(note, style="yellow", markup=False)
