"""The routes that the demonstration deploys and counts, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keystone_platform.audit.truth import RouteAudit, Start
from keystone_platform.errors import Terminal
from keystone_platform.gateways.kafka import KafkaGateway
from keystone_platform.gateways.lake import Lake
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.plan.router_plan import RouterPlan, WarehouseTarget
from keystone_platform.settings import Settings
from keystone_platform.spec.loader import load_streams
from keystone_platform.spec.models import StreamSpec


@dataclass(frozen=True)
class DemoRoute:
    """A stream's route into a table."""

    stream: StreamSpec
    plan: RouterPlan
    table: str


@dataclass(frozen=True)
class Mark:
    """Where topic and table stood before the run, so that data of earlier runs is not counted.

    Attributes:
        offsets: by topic that the route reads, end of each partition.
        snapshot_id: the table's newest snapshot; None before the first.
    """

    offsets: Start
    snapshot_id: int | None


def warehouse_routes(folder: Path) -> tuple[DemoRoute, ...]:
    """Return the first warehouse route of each stream; Terminal if there is none, InvalidSpec if a YAML is wrong."""
    fleet = load_streams(folder)
    found: dict[str, DemoRoute] = {}
    for planned in plan_fleet(fleet).routes:
        stream = planned.loaded.stream
        if planned.plan and isinstance(planned.plan.target, WarehouseTarget):
            found.setdefault(stream.stream, DemoRoute(stream, planned.plan, planned.plan.target.table))
    if not found:
        message = f"no stream in {folder} has a warehouse route"
        raise Terminal(message, mend="Name a folder that has one: KEYSTONE_STREAMS=streams.")
    return tuple(found.values())


def mark(route: DemoRoute, kafka: KafkaGateway, lake: Lake) -> Mark:
    """Return where the route stands now."""
    head = lake.head(route.table)
    ends = {topic: kafka.offsets(topic).end for topic in route.plan.source.topics}
    return Mark(ends, head.snapshot_id if head else None)


def touched_hours(route: DemoRoute, since: Mark, lake: Lake) -> tuple[datetime, ...]:
    """Return the hours into which rows landed since the mark."""
    changes = lake.changes_since(route.table, since.snapshot_id)
    return tuple(change.hour for change in changes.hours if change.hour and change.new_data)


def count_files(hours: Mapping[DemoRoute, tuple[datetime, ...]], lake: Lake) -> int:
    """Return how many data files those hours have now."""
    return sum(
        totals.files for route, touched in hours.items() if touched for totals in lake.hours(route.table, set(touched))
    )


@dataclass
class RouteWatch:
    """What is known of a route while events come: asked for again and again.

    Attributes:
        landed: rows of this run in the table, at the last look.
        dead: dead letters of this run.
    """

    audit: RouteAudit
    landed: int = 0
    dead: int = 0

    def look(self) -> None:
        """Read the topic on, and count rows and dead letters."""
        self.audit.catch_up()
        self.landed = self.audit.landed_rows()
        if self.dead < self.audit.expected_dead():
            self.dead = self.audit.dead_letters()

    @property
    def behind(self) -> int:
        """Events that should have arrived and have not."""
        rows = self.audit.expected_rows() - self.landed
        return max(rows, 0) + max(self.audit.expected_dead() - self.dead, 0)


def watch(settings: Settings, route: DemoRoute, since: Mark) -> RouteWatch:
    """Return a watch over the events after the mark."""
    return RouteWatch(RouteAudit(settings, route.plan, since.offsets))
