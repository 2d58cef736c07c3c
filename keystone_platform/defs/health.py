"""The health sensor: one sweep of the fleet each tick. It reports and asks for runs; it never acts on Flink itself."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

import hashlib
from collections.abc import Sequence

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from keystone_platform.control.health import Assessment, Memory, assess
from keystone_platform.control.sweep import sweep
from keystone_platform.defs import keys
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.defs.routers import status_metadata
from keystone_platform.errors import KeystoneError

INTERVAL_S = 10
"""Seconds between two sweeps."""

_CURSOR = TypeAdapter(dict[str, Memory])
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def health_sensor(routes: Sequence[str]) -> dg.SensorDefinition:
    """Return the sensor over these routes."""

    @dg.sensor(
        name="router_health",
        description="Reports each router's health and asks for a redeploy of what is down.",
        target=dg.AssetSelection.assets(*(keys.router_key(route) for route in routes)),
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def router_health(context: dg.SensorEvaluationContext, keystone: KeystoneResource) -> dg.SensorResult:
        memories = _memories(context)
        gateways = keystone.gateways()
        now = gateways.clock.now()
        try:
            statuses = sweep(gateways, routes)
        except KeystoneError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        assessments = assess(statuses, memories, _busy(context.instance), now)
        flink = keystone.settings().flink_rest
        cursor = _CURSOR.dump_json({item.status.route: item.memory for item in assessments}).decode()
        return dg.SensorResult(
            run_requests=_requests(assessments),
            asset_events=[event for item in assessments for event in _events(item, flink)],
            cursor=cursor,
        )

    return router_health


def _memories(context: dg.SensorEvaluationContext) -> dict[str, Memory]:
    if not context.cursor:
        return {}
    try:
        return _CURSOR.validate_json(context.cursor)
    except ValidationError:  # of an older version: what it remembers is only attempts and what was told
        context.log.warning("the cursor is of another form; starting anew")
        return {}


def _busy(instance: dg.DagsterInstance) -> frozenset[str]:
    """Return the routes that an unfinished run of this sensor is redeploying."""
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED, tags={keys.HEALING_TAG: "true"}))
    selected = (key for run in runs for key in run.asset_selection or ())
    return frozenset(".".join(key.path[1:]) for key in selected)


def _requests(assessments: Sequence[Assessment]) -> list[dg.RunRequest]:
    """Ask for one run for all that is down now, since one JVM submits many routers."""
    due = [item for item in assessments if item.attempt]
    if not due:
        return []
    parts = [
        f"{item.status.route}:{item.status.last.plan.digest}:{item.attempt.epoch}:{item.attempt.attempts}"
        for item in due
        if item.attempt and item.status.last
    ]
    return [
        dg.RunRequest(
            run_key=hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest(),
            asset_selection=[keys.router_key(item.status.route) for item in due],
            tags={keys.HEALING_TAG: "true"},
        )
    ]


def _events(item: Assessment, flink: str) -> list[dg.AssetCheckEvaluation | dg.AssetObservation]:
    if item.report is None:
        return []
    key = keys.router_key(item.status.route)
    metadata = status_metadata(item.status, flink)
    if item.memory.incident:
        metadata[keys.ATTEMPTS] = item.memory.incident.attempts
    return [
        dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=keys.RUNNING_CHECK,
            passed=item.report.passed,
            severity=dg.AssetCheckSeverity.ERROR if item.report.given_up else dg.AssetCheckSeverity.WARN,
            description=item.report.text,
            metadata=metadata,
        ),
        dg.AssetObservation(key, description=item.report.text, metadata=metadata),
    ]
