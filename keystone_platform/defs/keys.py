"""Names in the asset graph and keys of its metadata: each declared once, with its meaning."""

from __future__ import annotations

from dataclasses import asdict

from dagster import AssetCheckSeverity, AssetKey

from keystone_platform.control.report import Report
from keystone_platform.plan.figures import Figures

HEALING_TAG = "keystone/healing"
"""Tag of a run that the health sensor asked for."""

RUNNING_CHECK = "running"
"""Asset check of a router: every subtask of its job runs, by its own plan."""

PROGRESS_CHECK = "progress"
"""Asset check of a router: what it reads gets through, and soon enough."""

ROUTE_TAG = "keystone/route"
"""Tag of a run that the health sensor asked for and that selects no asset: the route that it acts on."""

REDEPLOY_JOB = "redeploy_routers"
PAUSE_JOB = "pause_routers"
ROLLBACK_JOB = "rollback_router"
RESCALE_JOB = "rescale_router"
END_STRAYS_JOB = "end_strays"
CHECKPOINTS_JOB = "inspect_checkpoints"

FLINK_POOL = "flink"
"""Pool of the runs that act on the Flink cluster, since each starts a JVM to submit from."""

# Metadata of a router's materializations and observations.
STATE = "keystone/state"
ACTION = "keystone/action"
CAUSE = "keystone/cause"
EPOCH = "keystone/epoch"
"""Counts a route's deployments; the UI plots it, so redeploys are steps."""
JOB_ID = "keystone/job_id"
JOB_URL = "keystone/flink_job"
RESTORED_FROM = "keystone/restored_from"
PLAN_DIGEST = "keystone/plan_digest"
PLAN = "keystone/plan"
FILTER = "keystone/filter"
DESTINATION = "keystone/destination"
WANTED = "keystone/wanted_state"
"""`running` or `suspended`, as declared."""
ATTEMPTS = "keystone/attempts"
"""Redeploys asked for in the incident that is open."""
RESTARTS = "keystone/restarts"
"""Restarts of the job by Flink in the last minutes."""

CHECKPOINTS = "keystone/checkpoints"
"""Table of a router's checkpoints and savepoints."""
NEXT_START = "keystone/next_start"
"""What the router's next start would begin from."""
CHECKPOINT_NOTES = "keystone/checkpoint_notes"
"""What could not be asked of its checkpoints."""
CHECKPOINT_AGE = "keystone/checkpoint_age_s"
"""Seconds since the newest one that is retained was completed."""
CHECKPOINT_BYTES = "keystone/checkpoint_bytes"
CHECKPOINT_LAG = "keystone/checkpoint_lag"
"""Offsets from it to the topics' ends."""
WANTED_PARALLELISM = "keystone/parallelism_wanted"
"""Subtasks that the autoscaler would give the router, whether somebody acts on it or not."""
CAPACITY = "keystone/capacity_per_s"
"""Events/s that the router could read with the subtasks that it has."""
SCALING = "keystone/autoscale"
"""The autoscaler's decision with its numbers."""
EVENTS = "keystone/events"
DEAD_LETTERS = "keystone/dead_letters"
DEAD_LETTER_RATIO = "keystone/dead_letter_ratio"
"""Of the last minutes, as the job counted them."""


def topic_key(stream: str) -> AssetKey:
    """Return the asset of the stream's topic."""
    return AssetKey(["topic", stream])


def router_key(route: str) -> AssetKey:
    """Return the asset of the route `<stream>.<route name>`."""
    stream, name = route.split(".", 1)
    return AssetKey(["router", stream, name])


def figures_metadata(figures: Figures) -> dict[str, int | float]:
    """Return the figures that are known as `keystone/<name>`: `Figures` says what each means."""
    return {f"keystone/{name}": value for name, value in asdict(figures).items() if value is not None}


def severity(report: Report) -> AssetCheckSeverity:
    """Return how bad it is where the report is no pass: an error needs a person."""
    return AssetCheckSeverity.ERROR if report.given_up else AssetCheckSeverity.WARN
