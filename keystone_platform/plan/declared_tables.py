"""Which declared route lands in which table: what audits, compaction and upkeep know of a table beyond its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keystone_platform.errors import InvalidSpec, InvalidSpecs
from keystone_platform.plan.plan_router import FleetPlan, plan_fleet
from keystone_platform.plan.router_plan import RouterPlan, WarehouseTarget
from keystone_platform.spec.fleet import LoadedRoute
from keystone_platform.spec.loader import load_streams_leniently
from keystone_platform.spec.sinks import WarehouseSink


@dataclass(frozen=True)
class DeclaredTable:
    """A table with the route that lands in it.

    Attributes:
        name: `namespace.table`.
        loaded: the route as declared, with its place.
        plan: what its router does.
    """

    name: str
    loaded: LoadedRoute
    plan: RouterPlan

    @property
    def sink(self) -> WarehouseSink:
        """What is declared of the table itself."""
        sink = self.loaded.route.sink.warehouse
        assert sink is not None  # see declared_tables
        return sink


def declared_tables(planned: FleetPlan) -> Mapping[str, DeclaredTable]:
    """Return the tables that planned routes land in, by name, in the fleet's order."""
    return {
        route.plan.target.table: DeclaredTable(route.plan.target.table, route.loaded, route.plan)
        for route in planned.routes
        if route.plan and isinstance(route.plan.target, WarehouseTarget)
    }


def load_declared_tables(streams: Path) -> Mapping[str, DeclaredTable]:
    """Return the tables that the valid files of a folder declare; a file that is wrong hides its own only."""
    return declared_tables(plan_fleet(load_streams_leniently(streams)))


def declared_table(streams: Path, target: str) -> DeclaredTable:
    """Return one declared table, named by itself or by its route.

    Raises:
        InvalidSpec: no file of the folder declares it.
        InvalidSpecs: no valid file does, and others are wrong: theirs may be the declaration.
    """
    fleet = load_streams_leniently(streams)
    known = declared_tables(plan_fleet(fleet))
    routes = {each.plan.route: each for each in known.values()}
    if found := known.get(target) or routes.get(target):
        return found
    message = f"{target} is neither a declared table nor a warehouse route of {streams}"
    mend = f"Declared are: {', '.join(known) or 'none'}. Another folder: --streams DIR or KEYSTONE_STREAMS."
    error = InvalidSpec(message, mend=mend)
    raise InvalidSpecs((*fleet.errors, error)) if fleet.errors else error
