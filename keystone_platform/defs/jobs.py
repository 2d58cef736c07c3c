"""Jobs that people launch, or the health sensor asks for: stop, restart, pause and roll back chosen routers."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import dagster as dg
from pydantic import Field

from keystone_platform.control.goals import deployed
from keystone_platform.control.reconcile import Goal, reconcile
from keystone_platform.control.rollback import roll_back
from keystone_platform.defs.keys import FLINK_POOL, PAUSE_JOB, ROLLBACK_JOB
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.defs.routers import fail_if_any
from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.decide import Request


class RouteSelection(dg.Config):
    """Which routers."""

    routes: list[str] = Field(description="Routes by their names, `<stream>.<route>`, e.g. `playback.warehouse`.")


def lifecycle_jobs(goals: Mapping[str, Goal]) -> list[dg.JobDefinition]:
    """Return the jobs, over the routes by name."""
    return [
        _job(
            "stop_routers", "Stop routers with a savepoint; they stay stopped until materialised.", Request.STOP, goals
        ),
        _job("restart_routers", "Stop routers with a savepoint and start them from it.", Request.RESTART, goals),
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
        verdicts = reconcile(gateways, [replace(goal, why=config.why)], Request.PAUSE)
        for verdict in verdicts:
            context.log.info(f"{verdict.route}: {verdict.message}")
        fail_if_any(verdicts)

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
        verdict = roll_back(
            gateways, config.route, config.to, config.why, lambda route, doing: context.log.info(f"{route}: {doing}")
        )
        context.log.info(f"{verdict.route}: {verdict.message}")
        fail_if_any([verdict])

    @dg.job(name=ROLLBACK_JOB, description=description)
    def job() -> None:
        rollback()

    return job


def _job(name: str, description: str, request: Request, goals: Mapping[str, Goal]) -> dg.JobDefinition:
    @dg.op(name=f"{name}_op", description=description, pool=FLINK_POOL)
    def act(context: dg.OpExecutionContext, config: RouteSelection, keystone: KeystoneResource) -> None:
        gateways = keystone.gateways()
        stops = request is Request.STOP  # what was deployed can be stopped, whatever is declared by now
        chosen = deployed(gateways.ledger, config.routes) if stops else [_goal(goals, each) for each in config.routes]
        progress: Callable[[str, str], None] = lambda route, doing: context.log.info(f"{route}: {doing}")  # noqa: E731
        verdicts = reconcile(gateways, chosen, request, progress)
        for verdict in verdicts:
            context.log.info(f"{verdict.route}: {verdict.message}")
        fail_if_any(verdicts)

    @dg.job(name=name, description=description)
    def job() -> None:
        act()

    return job


def _goal(goals: Mapping[str, Goal], route: str) -> Goal:
    if route not in goals:
        message = f"no route {route}"
        raise InvalidSpec(message, field="routes", mend=f"Known: {', '.join(sorted(goals)) or 'none'}.")
    return goals[route]
