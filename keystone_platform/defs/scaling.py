"""The autoscaler in Dagster: its decisions as observations of the routers, and the job that acts on them."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import dagster as dg
from pydantic import Field

from keystone_platform.control.autoscaling import ASK_AGAIN, Scaled
from keystone_platform.control.goal import Goal
from keystone_platform.control.goals import deployed
from keystone_platform.control.rescale import rescale
from keystone_platform.defs import keys
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.defs.routers import fail_if_any
from keystone_platform.defs.run_tags import healing_tags_of


class RescaledRoute(dg.Config):
    """A router to give another number of subtasks."""

    route: str = Field(description="`<stream>.<route>`, e.g. `playback.warehouse`.")
    parallelism: int = Field(ge=1, description="Subtasks that it shall have.")
    only: int | None = Field(default=None, description="The deployment that is meant; a newer one is left alone.")
    why: str = Field(default="", description="Goes into the ledger, for who looks at it.")


def rescale_job(goals: Mapping[str, Goal]) -> dg.JobDefinition:
    """Return the job that the autoscaler asks for; it keeps nothing from being scaled again."""
    description = "Give a router with `autoscale` bounds another number of subtasks, through a savepoint."

    @dg.op(name=f"{keys.RESCALE_JOB}_op", description=description, pool=keys.FLINK_POOL)
    def scale(context: dg.OpExecutionContext, config: RescaledRoute, keystone: KeystoneResource) -> None:
        gateways = keystone.gateways()
        deployed(gateways.ledger, [config.route])
        last = gateways.ledger.latest()[config.route]
        if config.only is not None and (last.epoch != config.only or not last.is_open):
            there = f"epoch {last.epoch}, {last.end or 'open'}"
            context.log.info(f"{config.route}: epoch {config.only} was meant, {there} is there: left alone")
            return
        bounds = goals[config.route].autoscale if config.route in goals else None
        verdict = rescale(
            gateways,
            last,
            bounds,
            config.parallelism,
            config.why,
            lambda route, doing: context.log.info(f"{route}: {doing}"),
        )
        context.log.info(f"{verdict.route}: {verdict.message}")
        fail_if_any([verdict])

    @dg.job(name=keys.RESCALE_JOB, description=description)
    def job() -> None:
        scale()

    return job


def rescales(scaled: Mapping[str, Scaled], now: datetime) -> Iterator[dg.RunRequest]:
    """Ask for a run a route whose parallelism is to change; one that failed is asked for again later."""
    span = int(now.timestamp() // ASK_AGAIN.total_seconds())
    for route, each in scaled.items():
        if not each.is_asked or each.decision is None:
            continue
        config = {
            "route": route,
            "parallelism": each.decision.target,
            "only": each.memory.epoch,
            "why": str(each.decision),
        }
        yield dg.RunRequest(
            run_key=f"rescale/{route}/{each.memory.epoch}/{each.decision.target}/{span}",
            job_name=keys.RESCALE_JOB,
            run_config={"ops": {f"{keys.RESCALE_JOB}_op": {"config": config}}},
            tags=healing_tags_of(route),
        )


def decisions(scaled: Mapping[str, Scaled]) -> Iterator[dg.AssetObservation]:
    """Return an observation for each decision that is news, with the numbers that it rests on."""
    for route, each in scaled.items():
        if not each.is_news or each.decision is None:
            continue
        metadata: dict[str, Any] = {
            keys.WANTED_PARALLELISM: each.decision.target,
            keys.SCALING: str(each.decision),
        }
        if each.decision.capacity_per_s is not None:
            metadata[keys.CAPACITY] = each.decision.capacity_per_s
        yield dg.AssetObservation(keys.router_key(route), description=f"autoscale: {each.decision}", metadata=metadata)
