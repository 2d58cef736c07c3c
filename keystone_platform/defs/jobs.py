"""Jobs that people launch, or the health sensor asks for: stop, restart, pause and roll back chosen routers."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field

from keystone_platform.control.fleet import Pace, reconcile_fleet
from keystone_platform.control.goal import Goal, Progress, Verdict
from keystone_platform.control.goals import deployed, redeclared, undeclared
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.rollback import roll_back
from keystone_platform.control.selection import Candidate, Selection
from keystone_platform.control.strays import end_strays, find_strays
from keystone_platform.defs.fleet import PlannedFleet
from keystone_platform.defs.keys import END_STRAYS_JOB, FLINK_POOL, PAUSE_JOB, ROLLBACK_JOB
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.defs.routers import fail_if_any
from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.decide import Request
from keystone_platform.settings import streams_folder
from keystone_platform.spec.loader import load_streams_leniently


class RouteSelection(dg.Config):
    """Which routers, and how to go through them. Conditions of different kinds have to hold together."""

    routes: list[str] = Field(default=[], description="Names, `<stream>.<route>`, or globs such as `playback.*`.")
    owners: list[str] = Field(default=[], description="Owners as declared, e.g. `team:player`.")
    streams: list[str] = Field(default=[], description="Names of streams.")
    batch: int | None = Field(default=None, ge=1, description="Routes at once; default: all.")
    max_failures: int | None = Field(
        default=None, ge=0, description="No further batch is begun when more than so many routes have failed."
    )

    def selection(self) -> Selection:
        """Return the conditions."""
        return Selection(tuple(self.routes), tuple(self.owners), tuple(self.streams))


def lifecycle_jobs(planned: PlannedFleet) -> list[dg.JobDefinition]:
    """Return the jobs over a selection of routes."""
    return [
        _job("apply_routers", "Make the selected routers run as declared.", Request.CONVERGE, planned),
        _job("stop_routers", "Stop routers with a savepoint; they stay so until applied.", Request.STOP, planned),
        _job("restart_routers", "Stop routers with a savepoint and start them from it.", Request.RESTART, planned),
    ]


class PausedRoute(dg.Config):
    """A router to pause, and why."""

    route: str = Field(description="`<stream>.<route>`, e.g. `playback.warehouse`.")
    epoch: int = Field(description="The deployment that is meant; a newer one is left alone.")
    why: str = Field(description="Goes into the ledger, for who looks at it.")


def pause_config(route: str, epoch: int, why: str) -> dict[str, Any]:
    """Return the run config of the pause job."""
    return {"ops": {f"{PAUSE_JOB}_op": {"config": {"route": route, "epoch": epoch, "why": why}}}}


def pause_job() -> dg.JobDefinition:
    """Return the job that stops a router of which too many events die; the ledger then says that it is paused."""
    description = "Stop a router with a savepoint since too many of its events die; it waits for a person to apply it."

    @dg.op(name=f"{PAUSE_JOB}_op", description=description, pool=FLINK_POOL)
    def pause(context: dg.OpExecutionContext, config: PausedRoute, keystone: KeystoneResource) -> None:
        gateways = keystone.gateways()
        (goal,) = deployed(gateways.ledger, [config.route])
        last = gateways.ledger.latest()[config.route]
        if last.epoch != config.epoch:
            context.log.info(f"{config.route}: epoch {config.epoch} was meant, {last.epoch} is there: left alone")
            return
        _end(context, reconcile(gateways, [replace(goal, why=config.why)], Request.PAUSE))

    @dg.job(name=PAUSE_JOB, description=description)
    def job() -> None:
        pause()

    return job


class RolledBackRoute(dg.Config):
    """A router to bring back to an earlier plan."""

    route: str = Field(description="`<stream>.<route>`, e.g. `playback.warehouse`.")
    to: int | None = Field(default=None, description="Epoch whose plan is wanted; default: the last one that ran well.")
    only: int | None = Field(default=None, description="The deployment that is meant; a newer one is left alone.")
    why: str = Field(default="", description="Goes into the ledger, for who looks at it.")


def rollback_config(route: str, only: int, why: str) -> dict[str, Any]:
    """Return the run config of the rollback job."""
    return {"ops": {f"{ROLLBACK_JOB}_op": {"config": {"route": route, "only": only, "why": why}}}}


def rollback_job() -> dg.JobDefinition:
    """Return the job that brings a router back to an earlier plan; the plan that it leaves is not tried again."""
    description = "Bring a router back to its last good plan; what is declared waits until its YAML changes."

    @dg.op(name=f"{ROLLBACK_JOB}_op", description=description, pool=FLINK_POOL)
    def rollback(context: dg.OpExecutionContext, config: RolledBackRoute, keystone: KeystoneResource) -> None:
        gateways = keystone.gateways()
        last = gateways.ledger.latest().get(config.route)
        if config.only is not None and last and last.epoch != config.only:
            context.log.info(f"{config.route}: epoch {config.only} was meant, {last.epoch} is there: left alone")
            return
        _end(context, [roll_back(gateways, config.route, config.to, config.why, _telling(context))])

    @dg.job(name=ROLLBACK_JOB, description=description)
    def job() -> None:
        rollback()

    return job


class Strays(dg.Config):
    """What is ended beside copies of routers."""

    undeclared: bool = Field(default=False, description="Also stop, with a savepoint, routers that no file declares.")


def end_strays_job() -> dg.JobDefinition:
    """Return the job that ends copies of routers, of the whole cluster; never a job that the ledger does not know."""
    description = "End copies of routers that must not run; on request stop routers that no file declares."

    @dg.op(name=f"{END_STRAYS_JOB}_op", description=description, pool=FLINK_POOL)
    def end(context: dg.OpExecutionContext, config: Strays, keystone: KeystoneResource) -> None:
        gateways = keystone.gateways()
        found = find_strays(gateways, gateways.flink.jobs(), gateways.ledger.latest())
        for stray in found:
            context.log.info(f"{'ended' if stray.is_ours else 'left alone, it is not ours'}: {stray}")
        end_strays(gateways, found)
        if config.undeclared:  # the files as they are now: one that was added since this location was loaded counts
            declared = load_streams_leniently(streams_folder(os.environ)).checked()
            goals = undeclared(gateways, [route.id for route in declared.routes])
            verdicts = reconcile(gateways, goals, Request.STOP, _telling(context))
            _end(context, verdicts)

    @dg.job(name=END_STRAYS_JOB, description=description)
    def job() -> None:
        end()

    return job


def _job(name: str, description: str, request: Request, planned: PlannedFleet) -> dg.JobDefinition:
    @dg.op(name=f"{name}_op", description=description, pool=FLINK_POOL)
    def act(context: dg.OpExecutionContext, config: RouteSelection, keystone: KeystoneResource) -> None:
        gateways, selection = keystone.gateways(), config.selection()
        stops = request is Request.STOP  # what was deployed can be stopped, whatever is declared by now
        goals = deployed(gateways.ledger, selection, planned.fleet) if stops else _goals(planned, selection)
        pace = Pace(config.batch, config.max_failures)
        refresh = (lambda same: same) if stops else partial(redeclared, streams_folder(os.environ))
        _end(context, reconcile_fleet(gateways, goals, request, pace, _telling(context), refresh))

    @dg.job(name=name, description=description)
    def job() -> None:
        act()

    return job


def _goals(planned: PlannedFleet, selection: Selection) -> list[Goal]:
    if selection.takes_all:
        message = "no route is named"
        raise InvalidSpec(message, field="routes", mend="Name routes; '*' takes all.")
    candidates = [Candidate(route.id, route.stream.stream, route.stream.owner) for route, _ in planned.planned()]
    return [planned.goals[route] for route in selection.of(candidates)]


def _telling(context: dg.OpExecutionContext) -> Progress:
    return lambda route, doing: context.log.info(f"{route}: {doing}")


def _end(context: dg.OpExecutionContext, verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        context.log.info(f"{verdict.route}: {verdict.message}")
    fail_if_any(verdicts)
