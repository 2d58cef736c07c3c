"""Routers: materialising one reconciles it to its spec, in a run that ends when the router runs."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg

from keystone_platform.control.goal import Goal, Verdict
from keystone_platform.control.goals import redeclared
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.defs import keys
from keystone_platform.defs.fleet import PlannedFleet
from keystone_platform.defs.references import code_reference
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan, SearchTarget, WarehouseTarget
from keystone_platform.settings import streams_folder
from keystone_platform.spec.fleet import LoadedRoute


def router_assets(fleet: PlannedFleet) -> dg.AssetsDefinition:
    """Return all routers as one definition, so that one run and one JVM deploys as many as are selected."""
    planned = fleet.planned()
    goals = {keys.router_key(goal.route): goal for _, goal in planned}

    @dg.multi_asset(
        name="routers",
        specs=[_spec(route, goal.plan) for route, goal in planned],
        check_specs=[running_check(goal.route) for _, goal in planned],
        can_subset=True,
        pool=keys.FLINK_POOL,
    )
    def routers(context: dg.AssetExecutionContext, keystone: KeystoneResource) -> Iterator[dg.MaterializeResult[Any]]:
        wanted = [goal for key, goal in goals.items() if key in context.selected_asset_keys]
        yield from materialise(context, keystone, wanted)
        _tell_broken_files(context, [error for goal in wanted for error in fleet.errors_of(goal.route)])

    return routers


def materialise(
    context: dg.AssetExecutionContext, keystone: KeystoneResource, goals: Sequence[Goal]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Reconcile the goals and yield a result for each that is as asked for; fails at the end if one is not.

    A person's run fails also where a plan that was rolled back keeps what is declared from running.
    """
    flink = keystone.settings().flink_rest
    verdicts = reconcile(
        keystone.gateways(),
        goals,
        progress=lambda route, doing: context.log.info(f"{route}: {doing}"),
        refresh=partial(redeclared, streams_folder(os.environ)),
    )
    for verdict in verdicts:
        context.log.log("INFO" if verdict.ok else "ERROR", f"{verdict.route}: {verdict.message}")
        if verdict.ok:
            yield _result(verdict, flink)
    fail_if_any(verdicts)
    held = [f"{verdict.route}: {verdict.held}" for verdict in verdicts if verdict.held]
    if held and keys.HEALING_TAG not in context.run.tags:  # the sensor's run has done what it was asked for
        raise dg.Failure("\n".join(held), allow_retries=False)


def _tell_broken_files(context: dg.AssetExecutionContext, errors: Sequence[InvalidSpec]) -> None:
    """Fail a person's run over a file that is wrong now; the health sensor's run did what it was asked for."""
    for error in errors:
        context.log.error(f"the last good form of the file was used: {error}")
    if errors and keys.HEALING_TAG not in context.run.tags:
        told = "\n".join(dict.fromkeys(map(str, errors)))
        message = f"{told}\nWhat ran before runs on, by the last good form of the file."
        raise dg.Failure(message, allow_retries=False)


def fail_if_any(verdicts: Sequence[Verdict]) -> None:
    """Raise Failure that names every route which is not as asked for."""
    failed = {verdict.route: verdict.message for verdict in verdicts if not verdict.ok}
    if failed:
        raise dg.Failure(description="\n".join(failed.values()), metadata=failed, allow_retries=False)


def deployment_metadata(deployment: Deployment, flink: str) -> dict[str, Any]:
    """Return a deployment as metadata of an asset event; `flink` is the base URL of the cluster's UI, or empty."""
    job_url = {keys.JOB_URL: dg.MetadataValue.url(f"{flink}/#/job/running/{deployment.job_id}/overview")}
    return {
        keys.EPOCH: deployment.epoch,
        keys.CAUSE: deployment.cause.value,
        keys.JOB_ID: deployment.job_id,
        **(job_url if flink else {}),
        keys.RESTORED_FROM: deployment.restore_from or "earliest offsets",
        keys.PLAN_DIGEST: deployment.plan.digest,
    }


def status_metadata(status: RouteStatus, flink: str) -> dict[str, Any]:
    """Return a route's status as metadata of an asset event."""
    known = deployment_metadata(status.last, flink) if status.last else {}
    return {keys.STATE: status.state.value, **known}


def running_check(route: str) -> dg.AssetCheckSpec:
    """Return the check that the router runs; the health sensor and each reconcile evaluate it."""
    return dg.AssetCheckSpec(
        keys.RUNNING_CHECK,
        asset=keys.router_key(route),
        description="Every subtask of the router's job runs, or it was stopped on purpose.",
    )


def _spec(route: LoadedRoute, plan: RouterPlan) -> dg.AssetSpec:
    destination = _destination(plan)
    return dg.AssetSpec(
        keys.router_key(plan.route),
        deps=[keys.topic_key(plan.stream)],
        group_name=plan.stream,
        owners=[route.stream.owner],
        kinds={"flink", "iceberg" if plan.target.kind == "warehouse" else plan.target.kind},
        code_version=plan.digest,
        description=f"Router of {plan.stream} to {destination}.",
        metadata={
            keys.PLAN: dg.MetadataValue.json(plan.model_dump(mode="json", exclude_none=True)),
            keys.FILTER: plan.filter.text if plan.filter else "none: every event is kept",
            keys.DESTINATION: destination,
            keys.WANTED: route.route.state,
            **code_reference(route.file, route.line),
        },
    )


def _destination(plan: RouterPlan) -> str:
    match plan.target:
        case WarehouseTarget(table=table):
            return f"table {table}"
        case KafkaTarget(topic=topic):
            return f"topic {topic}"
        case SearchTarget(index=index):
            return f"index {index}"


def _result(verdict: Verdict, flink: str) -> dg.MaterializeResult[Any]:
    """Return what a reconcile that went well means for the asset: it runs, or is suspended."""
    last = verdict.deployment
    metadata: Mapping[str, Any] = deployment_metadata(last, flink) if last else {}
    state = Lifecycle.ABSENT if last is None else Lifecycle.RUNNING if last.is_open else Lifecycle.STOPPED
    return dg.MaterializeResult(
        asset_key=keys.router_key(verdict.route),
        metadata={keys.ACTION: verdict.message, keys.STATE: state.value, **metadata},
        check_results=[
            dg.AssetCheckResult(
                check_name=keys.RUNNING_CHECK,
                asset_key=keys.router_key(verdict.route),
                passed=True,
                description="every subtask runs" if state is Lifecycle.RUNNING else verdict.action.why,
            )
        ],
    )
