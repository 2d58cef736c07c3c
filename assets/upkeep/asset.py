"""Upkeep in Dagster: one asset over all tables of the catalog, materialised by two schedules."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from assets import keys
from assets.failures import fail_if_any
from assets.resource import WarehouseResource
from assets.upkeep.policy import Order, order
from assets.upkeep.report import TASKS, Removal, TableReport, Task, merged
from assets.upkeep.upkeep import Retention, Upkeep
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.clock import Clock, SystemClock

HOURLY: tuple[Task, ...] = ("retention", "snapshots")
"""A router adds a snapshot every few seconds to metadata that every commit writes anew: once a day is not enough."""

WORTH = 0.2
"""The hourly run leaves a table alone until a fifth of its snapshots may go: about five reads for each that goes."""

SHOWN = 100
"""Tables that a materialisation lists; those with something removed, most bytes first."""

RETRIES = dg.RetryPolicy(max_retries=2, delay=60)
"""For servers that do not answer; harmless to repeat."""


class UpkeepConfig(dg.Config):
    """What a run does.

    Attributes:
        tasks: of retention, snapshots, orphans and uploads.
        dry_run: only tell what would go.
        worth: see Order.
    """

    tasks: list[str] = Field(default_factory=lambda: [str(task) for task in TASKS])
    dry_run: bool = False
    worth: float = 0.0

    def order(self) -> Order:
        """Return the order; InvalidSpec for a task that is none."""
        if unknown := set(self.tasks) - set(TASKS):
            message = f"{', '.join(sorted(unknown))}: no task of upkeep"
            raise InvalidSpec(message, mend=f"Tasks are {', '.join(TASKS)}.")
        return order([task for task in TASKS if task in self.tasks], dry_run=self.dry_run, worth=self.worth)


def upkeep_asset(retention: Mapping[str, Retention], clock: Clock | None = None) -> dg.AssetsDefinition:
    """Return the asset.

    Args:
        retention: of each table that has one declared, by name.
        clock: the system's by default.
    """
    by = clock or SystemClock()

    @dg.asset(
        key=keys.UPKEEP,
        pool=keys.UPKEEP_POOL,
        retry_policy=RETRIES,
        kinds={"iceberg", "s3"},
        description="What upkeep removed from all tables: hours past `keep_days`, expired snapshots with their files, "
        "files that nothing refers to, unfinished uploads.",
    )
    def upkeep(
        context: dg.AssetExecutionContext, config: UpkeepConfig, warehouse: WarehouseResource
    ) -> Iterator[dg.AssetObservation | dg.MaterializeResult[Any]]:
        work = Upkeep(warehouse.lake(), warehouse.objects(), by, retention)
        reports = []
        for report in work.tables(config.order()):
            reports.append(report)
            for note in report.notes:
                context.log.info(f"{report.table}: {note}")
        told = upkeep_metadata(reports)
        if failed := [report.error for report in reports if report.error]:
            yield dg.AssetObservation(keys.UPKEEP, metadata=told)  # the others are done all the same
            fail_if_any(failed)
        yield dg.MaterializeResult(metadata=told)

    return upkeep


def upkeep_schedules() -> list[dg.ScheduleDefinition]:
    """Return what materialises it: hourly what must not wait, all of it once a day."""
    return [
        _schedule("upkeep_hourly", "20 * * * *", UpkeepConfig(tasks=list(HOURLY), worth=WORTH)),
        _schedule("upkeep_daily", "40 3 * * *", UpkeepConfig()),
    ]


def upkeep_metadata(reports: Sequence[TableReport]) -> dict[str, Any]:
    """Return what the run did as metadata: numbers, and a table of the tables with most to remove."""
    done = sorted((each for each in reports if each.removed), key=lambda each: -each.freed)
    return {
        keys.TABLES: len(reports),
        keys.FAILED_TABLES: sum(each.error is not None for each in reports),
        keys.BYTES_FREED: sum(each.freed for each in reports),
        keys.DRY_RUN: any(each.dry_run for each in reports),
        **{keys.removed_key(each.thing): each.count for each in merged(all_removed(reports))},
        "removed": dg.MetadataValue.table([_record(each) for each in done[:SHOWN]], schema=_SCHEMA),
    }


def all_removed(reports: Sequence[TableReport]) -> list[Removal]:
    """Return what went, of all tables."""
    return [removal for report in reports for removal in report.removed]


_SCHEMA = dg.TableSchema(
    columns=[dg.TableColumn("table"), dg.TableColumn("freed_bytes", type="int"), dg.TableColumn("removed")]
)


def _record(report: TableReport) -> dg.TableRecord:
    went = ", ".join(f"{each.count} {each.thing}" for each in report.removed)
    return dg.TableRecord({"table": report.table, "freed_bytes": report.freed, "removed": went})


def _schedule(name: str, cron: str, config: UpkeepConfig) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        cron_schedule=cron,
        target=dg.AssetSelection.assets(keys.UPKEEP),
        run_config=dg.RunConfig(ops={"upkeep": config}),
        description=f"Upkeep of all tables: {', '.join(config.tasks)}.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
