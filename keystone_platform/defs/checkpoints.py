"""The job that shows routers' checkpoints: a table on each router's page, and figures that the UI plots."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from keystone_platform.control.checkpoints import inspect_checkpoints
from keystone_platform.control.goals import deployed
from keystone_platform.defs import keys
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.errors import KeystoneError
from keystone_platform.plan.checkpoint_report import CheckpointLine, CheckpointReport

_COLUMNS = (
    ("begin", "bool", "The router's next start begins here."),
    ("kind", "string", "Checkpoint or savepoint."),
    ("id", "int", "Counts the job's checkpoints and savepoints together."),
    ("epoch", "int", "The deployment that made it."),
    ("state", "string", "Only what is retained can be started from."),
    ("age_s", "float", "Seconds since it was completed."),
    ("took_s", "float", "Seconds from its beginning to its end."),
    ("bytes", "int", "Size."),
    ("lag", "int", "Offsets from it to the topics' ends."),
    ("offsets", "string", "topic:partition:offset to go on with / the topic's end / the table's end."),
    ("what to know", "string", "What would go wrong if a job were started from it."),
)


class InspectedRoutes(dg.Config):
    """Whose checkpoints to look at."""

    routes: list[str] = Field(description="Names, `<stream>.<route>`, or globs such as `playback.*`.")
    last: int = Field(default=20, ge=1, description="So many of each, the newest.")


def checkpoints_job() -> dg.JobDefinition:
    """Return the job; it reports an observation of each router and touches nothing."""
    description = "Show routers' checkpoints and savepoints, and their Kafka offsets, on the routers' pages."

    @dg.op(name=f"{keys.CHECKPOINTS_JOB}_op", description=description)
    def look(context: dg.OpExecutionContext, config: InspectedRoutes, keystone: KeystoneResource) -> None:
        gateways = keystone.gateways()
        failed: dict[str, str] = {}
        for goal in deployed(gateways.ledger, config.routes):
            try:
                report = inspect_checkpoints(gateways, goal.route, config.last)
            except KeystoneError as error:
                failed[goal.route] = str(error)
                continue
            context.log_event(observation(report))
        if failed:
            raise dg.Failure("\n".join(failed.values()), metadata=failed, allow_retries=False)

    @dg.job(name=keys.CHECKPOINTS_JOB, description=description)
    def job() -> None:
        look()

    return job


def observation(report: CheckpointReport) -> dg.AssetObservation:
    """Return the report as an observation of the router's asset."""
    metadata: dict[str, Any] = {
        keys.CHECKPOINTS: dg.MetadataValue.table(
            records=[dg.TableRecord(dict(_cells(report, line))) for line in report.lines],
            schema=dg.TableSchema([dg.TableColumn(*column) for column in _COLUMNS]),
        ),
        keys.NEXT_START: report.restart,
    }
    if report.notes:
        metadata[keys.CHECKPOINT_NOTES] = "\n".join(report.notes)
    if report.newest:
        metadata |= {keys.CHECKPOINT_AGE: report.age_s(report.newest), keys.CHECKPOINT_BYTES: report.newest.bytes}
        if report.newest.lag is not None:
            metadata[keys.CHECKPOINT_LAG] = report.newest.lag
    description = f"{len(report.lines)} checkpoints and savepoints; the next start begins from {report.restart}"
    return dg.AssetObservation(keys.router_key(report.route), description=description, metadata=metadata)


def _cells(report: CheckpointReport, line: CheckpointLine) -> Iterator[tuple[str, str | int | float | bool | None]]:
    offsets = (
        f"{each.topic}:{each.partition}:{_known(each.offset)} / {_known(each.end)} / {_known(each.landed)}"
        for each in line.held
    )
    values = (
        line.is_restart_point,
        line.kind,
        line.checkpoint_id,
        line.epoch,
        line.status,
        round(report.age_s(line), 1),
        line.took_s,
        line.bytes,
        line.lag,
        f"not readable: {line.unreadable}" if line.unreadable else "\n".join(offsets),
        "; ".join(line.remarks),
    )
    yield from zip((name for name, _, _ in _COLUMNS), values, strict=True)


def _known(offset: int | None) -> str:
    return "-" if offset is None else str(offset)
