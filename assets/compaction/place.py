"""Where an hour is compacted: on this machine, or on the Flink cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from assets.compaction.compact import Choices, CompactionReport, Progress, compact_hour
from assets.compaction.on_flink import compact_hour_on_flink
from assets.compaction.plan import HourPlan, plan_hour
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.compaction_place import Place
from keystone_platform.settings import Settings

GIGABYTE = 1_000_000_000


def chosen(plan: HourPlan, place: Place, settings: Settings) -> Place:
    """Return HERE or FLINK: what is asked for, else FLINK above the settings' `compact_on_flink_above_gb`."""
    if place is not Place.AUTO:
        return place
    above = settings.compact_on_flink_above_gb
    limit = math.inf if above is None else above * GIGABYTE
    return Place.FLINK if plan.hour and settings.flink_rest and plan.rewritten_bytes > limit else Place.HERE


def compact_hour_at(
    settings: Settings,
    environment: Mapping[str, str],
    lake: IcebergLake,
    table: str,
    hour: datetime | None,
    place: Place,
    choices: Choices,
) -> CompactionReport:
    """Compact the hour here or on the cluster; see compact_hour and compact_hour_on_flink for what each guarantees."""
    with lake.translated():
        plan = plan_hour(lake.load(table), hour, choices.policy)
    if chosen(plan, place, settings) is Place.FLINK:
        choices.tell(Progress(hour, 1, 1, plan.rewritten_files, plan.rewritten_bytes))
        return compact_hour_on_flink(settings, environment, lake, table, hour, choices.policy)
    return compact_hour(lake, table, hour, choices=choices)
