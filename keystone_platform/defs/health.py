"""The health sensor: one sweep of the fleet each tick. It reports and asks for runs; it never acts on Flink itself."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from keystone_platform.control.autoscaling import Scaled, autoscale
from keystone_platform.control.gate import failed_gates
from keystone_platform.control.goal import Goal
from keystone_platform.control.health import Assessment, Expected, assess
from keystone_platform.control.measure import measure
from keystone_platform.control.memory import Memory
from keystone_platform.control.report import Report
from keystone_platform.control.report_limit import limit_reports
from keystone_platform.control.sweep import sweep
from keystone_platform.defs import keys
from keystone_platform.defs.jobs import pause_config, rollback_config
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.defs.routers import status_metadata
from keystone_platform.defs.run_tags import healing_tags, healing_tags_of
from keystone_platform.defs.scaling import decisions, rescales
from keystone_platform.errors import KeystoneError

INTERVAL_S = 10
"""Seconds between two sweeps."""

PAUSE_AGAIN = timedelta(minutes=5)
"""A pause that failed is asked for again after so long."""

_CURSOR = TypeAdapter(dict[str, Memory])
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def health_sensor(
    goals: Mapping[str, Goal], pause: dg.JobDefinition, rollback: dg.JobDefinition, rescale: dg.JobDefinition
) -> dg.SensorDefinition:
    """Return the sensor over these routes.

    Args:
        goals: by route.
        pause: the job that it asks for where too many events die.
        rollback: the job that it asks for where a changed plan fails.
        rescale: the job that it asks for where a route needs another number of subtasks.
    """
    routes = list(goals)
    expected = {
        route: Expected(goal.limit, goal.health.max_lag_s, goal.plan, goal.autoscale) for route, goal in goals.items()
    }
    selection = dg.AssetSelection.assets(*(keys.router_key(route) for route in routes)).without_checks()
    selection |= dg.AssetSelection.checks(*(_running(route) for route in routes))
    redeploy = dg.define_asset_job(keys.REDEPLOY_JOB, selection, description="Reconciles routers: starts what is down.")

    @dg.sensor(
        name="router_health",
        description="Reports each router's health and asks for a redeploy of what is down.",
        jobs=[redeploy, pause, rollback, rescale],
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def router_health(context: dg.SensorEvaluationContext, keystone: KeystoneResource) -> dg.SensorResult:
        memories = _memories(context)
        try:
            gateways = keystone.gateways()
            statuses = sweep(gateways, routes)
        except KeystoneError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        now = gateways.clock.now()
        found = measure(gateways, statuses, memories)
        failures = failed_gates(statuses, memories, found, now)
        busy = _busy(context.instance)
        assessed = assess(statuses, memories, busy, now, found, expected, failures)
        assessments = limit_reports(assessed, memories)
        flink = keystone.settings().flink_rest
        try:
            scaled = autoscale(gateways, goals, assessments, found, memories, busy, now)
        except KeystoneError as error:  # health is told all the same
            context.log.warning(f"nothing is scaled: {error}")
            scaled = {}
        remembered = {item.status.route: _remembered(item, memories, scaled) for item in assessments}
        asked = (_redeploys(assessments), _pauses(assessments, now), _rollbacks(assessments), rescales(scaled, now))
        return dg.SensorResult(
            run_requests=[request for requests in asked for request in requests],
            asset_events=[*(event for item in assessments for event in _events(item, flink)), *decisions(scaled)],
            cursor=_CURSOR.dump_json(remembered).decode(),
        )

    return router_health


def _remembered(item: Assessment, memories: Mapping[str, Memory], scaled: Mapping[str, Scaled]) -> Memory:
    """Return the route's memory with the autoscaler's, which stays as it was where nothing was decided."""
    route, before = item.status.route, memories.get(item.status.route)
    scaling = scaled[route].memory if route in scaled else before.scaling if before else None
    return item.memory.model_copy(update={"scaling": scaling})


def _running(route: str) -> dg.AssetCheckKey:
    """Return the check that a redeploy evaluates; progress is measured when the router had time to make some."""
    return dg.AssetCheckKey(keys.router_key(route), keys.RUNNING_CHECK)


def _memories(context: dg.SensorEvaluationContext) -> dict[str, Memory]:
    if not context.cursor:
        return {}
    try:
        return _CURSOR.validate_json(context.cursor)
    except ValidationError:  # of an older version: what it remembers is only attempts and what was told
        context.log.warning("the cursor is of another form; starting anew")
        return {}


def _busy(instance: dg.DagsterInstance) -> frozenset[str]:
    """Return the routes that an unfinished run of this sensor is redeploying or pausing."""
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED, tags={keys.HEALING_TAG: "true"}))
    selected = (key for run in runs for key in run.asset_selection or ())
    paused = (run.tags[keys.ROUTE_TAG] for run in runs if keys.ROUTE_TAG in run.tags)
    return frozenset((*(".".join(key.path[1:]) for key in selected), *paused))


def _redeploys(assessments: Sequence[Assessment]) -> list[dg.RunRequest]:
    """Ask for one run for all that is down now or has a stray copy to end, since one JVM submits many routers."""
    due = [item for item in assessments if item.attempt or any(stray.is_ours for stray in item.status.strays)]
    if not due:
        return []
    parts = [
        f"{item.status.route}:{item.status.last.plan.digest}:{item.attempt.epoch}:{item.attempt.attempts}"
        for item in due
        if item.attempt and item.status.last
    ]
    parts += [stray.job.job_id for item in due for stray in item.status.strays]
    return [
        dg.RunRequest(
            run_key=hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest(),
            job_name=keys.REDEPLOY_JOB,
            asset_selection=[keys.router_key(item.status.route) for item in due],
            asset_check_keys=[_running(item.status.route) for item in due],
            tags=healing_tags(len(due)),
        )
    ]


def _pauses(assessments: Sequence[Assessment], now: datetime) -> list[dg.RunRequest]:
    """Ask for a run a route; one that failed is asked for again in the next span of time."""
    span = int(now.timestamp() // PAUSE_AGAIN.total_seconds())
    return [
        dg.RunRequest(
            run_key=f"pause/{item.status.route}/{item.status.last.epoch}/{span}",
            job_name=keys.PAUSE_JOB,
            run_config=pause_config(item.status.route, item.status.last.epoch, item.pause),
            tags=healing_tags_of(item.status.route),
        )
        for item in assessments
        if item.pause and item.status.last
    ]


def _rollbacks(assessments: Sequence[Assessment]) -> list[dg.RunRequest]:
    """Ask for a run a route whose changed plan failed its gate."""
    return [
        dg.RunRequest(
            run_key=f"rollback/{item.status.route}/{item.status.last.epoch}/{item.memory.gate.asked}",
            job_name=keys.ROLLBACK_JOB,
            run_config=rollback_config(item.status.route, item.status.last.epoch, item.rollback),
            tags=healing_tags_of(item.status.route),
        )
        for item in assessments
        if item.rollback and item.status.last and item.memory.gate
    ]


def _events(item: Assessment, flink: str) -> list[dg.AssetCheckEvaluation | dg.AssetObservation]:
    """Return a check for each report, and an observation of what there is to plot."""
    reports = {keys.RUNNING_CHECK: item.report, keys.PROGRESS_CHECK: item.progress}
    told = {check: report for check, report in reports.items() if report}
    if not told:
        return []
    key, metadata = keys.router_key(item.status.route), _metadata(item, flink)
    text = "; ".join(report.text for report in told.values())
    checks = [_check(key, check, report, metadata) for check, report in told.items()]
    return [*checks, dg.AssetObservation(key, description=text, metadata=metadata)]


def _check(key: dg.AssetKey, name: str, report: Report, metadata: Mapping[str, Any]) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=name,
        passed=report.passed,
        severity=keys.severity(report),
        description=report.text,
        metadata=metadata,
    )


def _metadata(item: Assessment, flink: str) -> dict[str, Any]:
    metadata = status_metadata(item.status, flink)
    if item.memory.incident:
        metadata[keys.ATTEMPTS] = item.memory.incident.attempts
    if item.memory.restarts:
        metadata[keys.RESTARTS] = item.memory.restarts.recent
    if item.share:
        counted = {keys.EVENTS: item.share.events, keys.DEAD_LETTERS: item.share.dead}
        metadata |= {**counted, keys.DEAD_LETTER_RATIO: item.share.ratio}
    if item.figures:
        metadata |= keys.figures_metadata(item.figures)
    return metadata
