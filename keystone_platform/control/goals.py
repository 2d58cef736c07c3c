"""From a folder of stream files, or from the ledger, to goals."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goal import Goal
from keystone_platform.control.selection import Candidate, Selection
from keystone_platform.control.strays import find_strays
from keystone_platform.errors import InvalidSpec, InvalidSpecs
from keystone_platform.gateways.ledger import Ledger
from keystone_platform.plan.plan_router import PlannedRoute, plan_loaded
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.spec.fleet import Fleet, LoadedRoute
from keystone_platform.spec.loader import load_streams_leniently


@dataclass(frozen=True)
class Wanted:
    """What is to be reconciled.

    Attributes:
        goals: in declared order.
        unsupported: errors of the routes that this version can't run, and of files that a selection by anything but
            names could not look into; they keep no other route from running.
        refused: routes that are declared and can't run.
    """

    goals: tuple[Goal, ...]
    unsupported: tuple[InvalidSpec, ...] = ()
    refused: frozenset[str] = frozenset()


def wanted(folder: Path, selection: Sequence[str] | Selection) -> Wanted:
    """Return the goals of the selected routes, or of all.

    Raises:
        InvalidSpec: see `planned_routes`.
    """
    selection = _selection(selection)
    fleet = _fleet(folder, selection)
    planned = _planned(fleet, selection)
    return Wanted(
        goals=tuple(goal_of(each.plan, each.loaded) for each in planned if each.plan),
        unsupported=(
            *(() if selection.names_only else fleet.errors),
            *(each.error for each in planned if each.error),
        ),
        refused=frozenset(each.loaded.id for each in planned if each.error),
    )


def redeclared(folder: Path, goals: Sequence[Goal]) -> tuple[Goal, ...]:
    """Return the goals as the files declare them now; one that they declare no more, or wrongly, stays as it is."""
    wished = {goal.route for goal in goals}
    planned = (plan_loaded(route) for route in load_streams_leniently(folder).routes if route.id in wished)
    now = {each.loaded.id: goal_of(each.plan, each.loaded) for each in planned if each.plan}
    return tuple(now.get(goal.route, goal) for goal in goals)


def goal_of(plan: RouterPlan, declared: LoadedRoute) -> Goal:
    """Return the goal of a route that is declared and planned."""
    route = declared.route
    suspended = route.state == "suspended"
    return Goal(
        plan,
        declared.stream.partitions,
        route.dead_letters,
        suspended=suspended,
        health=route.health,
        autoscale=route.autoscale,
        declared=declared,
    )


def planned_routes(folder: Path, selection: Sequence[str] | Selection) -> list[PlannedRoute]:
    """Plan the selected routes, or all. Who selects is not kept from his routes by what is wrong in others' files.

    Raises:
        InvalidSpec: a named route is not declared, or its file is wrong; without a selection: anything in the folder
            is wrong, or there is no stream file.
    """
    selection = _selection(selection)
    return _planned(_fleet(folder, selection), selection)


def _selection(selection: Sequence[str] | Selection) -> Selection:
    return selection if isinstance(selection, Selection) else Selection(tuple(selection))


def _fleet(folder: Path, selection: Selection) -> Fleet:
    fleet = load_streams_leniently(folder)
    if selection.takes_all:
        fleet.checked()
    if not fleet.streams and not fleet.errors:
        mend = "Write one (docs/streams.md), or name another folder: --streams DIR or KEYSTONE_STREAMS."
        message = "no stream file (*.yaml, *.yml) in this folder"
        raise InvalidSpec(message, file=str(folder), mend=mend)
    return fleet


def _planned(fleet: Fleet, selection: Selection) -> list[PlannedRoute]:
    candidates = [Candidate(each.id, each.stream.stream, each.stream.owner) for each in fleet.routes]
    try:
        selected = frozenset(selection.of(candidates))
    except InvalidSpec as error:
        raise InvalidSpecs((*fleet.errors, error)) if fleet.errors else error from None
    return [plan_loaded(route) for route in fleet.routes if route.id in selected]


def deployed(ledger: Ledger, selection: Sequence[str] | Selection, fleet: Fleet | None = None) -> tuple[Goal, ...]:
    """Return what was deployed of the selected routes as goals, for a stop.

    Args:
        ledger: what was deployed.
        selection: at least one condition: nobody stops everything by leaving something out.
        fleet: whose declarations say who owns a stream; needed for a selection by owner only.

    Raises:
        InvalidSpec: a named route was never deployed, or nothing is selected.
    """
    selection = _selection(selection)
    if selection.takes_all:
        message = "no route is named"
        raise InvalidSpec(message, mend="Name routes; '*' takes all that were deployed.")
    latest = ledger.latest()
    owners = {stream.spec.stream: stream.spec.owner for stream in fleet.streams} if fleet else {}
    streams = {route: latest[route].plan.stream for route in sorted(latest)}
    candidates = [Candidate(route, stream, owners.get(stream, "")) for route, stream in streams.items()]
    return tuple(Goal(latest[route].plan, partitions=1) for route in selection.of(candidates, "deployed"))


def undeclared(gateways: Gateways, declared: Collection[str]) -> tuple[Goal, ...]:
    """Return what runs, or has a copy that runs, of routes that nobody declares any more, as goals for a stop.

    Raises:
        Transient: the cluster or the ledger does not answer.
    """
    latest = gateways.ledger.latest()
    copies = find_strays(gateways, gateways.flink.jobs(), latest)
    running = {route for route, last in latest.items() if last.is_open}
    running |= {each.route for each in copies if each.is_ours}
    return tuple(Goal(latest[route].plan, partitions=1) for route in sorted(running - set(declared)))
