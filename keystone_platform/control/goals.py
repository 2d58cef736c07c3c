"""From a folder of stream files, or from the ledger, to goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from keystone_platform.control.reconcile import Goal
from keystone_platform.errors import InvalidSpec, InvalidSpecs
from keystone_platform.gateways.ledger import Ledger
from keystone_platform.plan.plan_router import PlannedRoute, plan_loaded
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.spec.fleet import LoadedRoute
from keystone_platform.spec.loader import load_streams_leniently


@dataclass(frozen=True)
class Wanted:
    """What is to be reconciled.

    Attributes:
        goals: in declared order.
        unsupported: errors of the routes that this version can't run; they keep no other route from running.
    """

    goals: tuple[Goal, ...]
    unsupported: tuple[InvalidSpec, ...] = ()


def wanted(folder: Path, routes: Sequence[str]) -> Wanted:
    """Return the goals of the named routes, or of all.

    Raises:
        InvalidSpec: see `planned_routes`.
    """
    planned = planned_routes(folder, routes)
    return Wanted(
        goals=tuple(goal_of(each.plan, each.loaded) for each in planned if each.plan),
        unsupported=tuple(each.error for each in planned if each.error),
    )


def goal_of(plan: RouterPlan, declared: LoadedRoute) -> Goal:
    """Return the goal of a route that is declared and planned."""
    route = declared.route
    return Goal(plan, declared.stream.partitions, route.dead_letters, suspended=route.state == "suspended")


def planned_routes(folder: Path, routes: Sequence[str]) -> list[PlannedRoute]:
    """Plan the named routes, or all. Who names routes is not kept from them by what is wrong in others' files.

    Raises:
        InvalidSpec: a named route is not declared, or its file is wrong; without names: anything in the folder is
            wrong, or there is no stream file.
    """
    fleet = load_streams_leniently(folder)
    if not routes:
        fleet.checked()
    if not fleet.streams and not fleet.errors:
        mend = "Write one (docs/streams.md), or name another folder: --streams DIR or KEYSTONE_STREAMS."
        message = "no stream file (*.yaml, *.yml) in this folder"
        raise InvalidSpec(message, file=str(folder), mend=mend)
    try:
        selected = fleet.select(routes)
    except InvalidSpec as error:
        raise InvalidSpecs((*fleet.errors, error)) if fleet.errors else error from None
    return [plan_loaded(route) for route in selected]


def deployed(ledger: Ledger, routes: Sequence[str]) -> tuple[Goal, ...]:
    """Return what was deployed of the named routes as goals, for a stop: it needs no stream file.

    Raises:
        InvalidSpec: one of them was never deployed.
    """
    latest = ledger.latest()
    for route in routes:
        if route not in latest:
            message = f"route {route!r} was never deployed"
            close = get_close_matches(route, latest, n=3) or sorted(latest)
            raise InvalidSpec(message, mend=f"Deployed are: {', '.join(close) or 'none'}.")
    return tuple(Goal(latest[route].plan, partitions=1) for route in dict.fromkeys(routes))
