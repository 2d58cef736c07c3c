"""The declared fleet as the definitions need it: each route that can be planned, with its goal."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from keystone_platform.control.goal import Goal
from keystone_platform.control.goals import goal_of
from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.spec.fleet import Fleet, LoadedRoute

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedFleet:
    """What is defined in Dagster.

    Attributes:
        fleet: the valid streams.
        goals: by route, in declared order; a route that can't be planned is left out and its error logged.
    """

    fleet: Fleet
    goals: Mapping[str, Goal]

    def errors_of(self, route: str) -> tuple[InvalidSpec, ...]:
        """Return what is wrong now with the file that declares the route; it is defined as it was before that."""
        file = self.fleet.route(route).file.name
        return tuple(error for error in self.fleet.errors if PurePath(error.file).name == file)

    def planned(self) -> list[tuple[LoadedRoute, Goal]]:
        """Return each declared route that has a goal, with it."""
        return [(route, self.goals[route.id]) for route in self.fleet.routes if route.id in self.goals]


def plan_declared(fleet: Fleet) -> PlannedFleet:
    """Plan every route; what is wrong is logged where the location is loaded and hides nothing else."""
    planned = plan_fleet(fleet)
    for error in (*fleet.errors, *planned.errors):
        _LOG.warning("not loaded: %s", error)
    goals = {each.loaded.id: goal_of(each.plan, each.loaded) for each in planned.routes if each.plan}
    return PlannedFleet(fleet, goals)
