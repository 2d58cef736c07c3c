"""From a folder of YAMLs to goals, and what reaching them would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keystone_platform.control.reconcile import Goal
from keystone_platform.control.sweep import RouteStatus, sweep
from keystone_platform.errors import InvalidSpec, InvalidSpecs, KeystoneError
from keystone_platform.plan.change import diff_plans
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.plan_router import plan_router
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.settings import load_settings
from keystone_platform.spec.fleet import LoadedRoute
from keystone_platform.spec.loader import load_streams


def goals(folder: Path, routes: Sequence[str]) -> list[Goal]:
    """Return the goals of the named routes, or of all.

    Raises:
        InvalidSpec: something in the folder is wrong, or a named route is not declared or can't be planned.
    """
    declared = load_streams(folder).select(routes)
    planned = [_planned(route) for route in declared]
    wrong = tuple(error for error in planned if isinstance(error, InvalidSpec))
    if wrong:
        raise InvalidSpecs(wrong)
    return [goal for goal in planned if isinstance(goal, Goal)]


@dataclass(frozen=True)
class RoutePreview:
    """What `apply` would do with one route.

    Attributes:
        state: the route's lifecycle now; `unknown` when no server was asked.
        change: its kind: nothing, new, rescale, restart; `error` when the route can't be planned.
        why: the differences, for people.
        error: why the route can't be planned; empty when it can.
    """

    route: str
    state: str
    change: str
    why: str
    digest: str
    plan: RouterPlan | None
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        plan = self.plan.model_dump(mode="json", exclude_none=True) if self.plan else None
        return {
            "route": self.route,
            "state": self.state,
            "change": self.change,
            "why": self.why,
            "error": self.error or None,
            "plan_digest": self.digest or None,
            "plan": plan,
        }


def preview(folder: Path, routes: Sequence[str], env: Mapping[str, str]) -> tuple[list[RoutePreview], str]:
    """Return a preview per route, and a note when the servers could not be asked.

    Raises:
        InvalidSpec: something in the folder is wrong.
    """
    declared = load_streams(folder).select(routes)
    try:
        statuses = _statuses([route.id for route in declared], env)
        note = ""
    except KeystoneError as error:
        statuses, note = {}, f"What runs is unknown, every route counts as new: {error}"
    return [_preview(route, statuses.get(route.id)) for route in declared], note


def _statuses(routes: Sequence[str], env: Mapping[str, str]) -> dict[str, RouteStatus]:
    from keystone_platform.wiring import connect

    return {status.route: status for status in sweep(connect(load_settings(env)), routes)}


def _planned(route: LoadedRoute) -> Goal | InvalidSpec:
    try:
        return Goal(plan_router(route.stream, route.route), route.stream.partitions)
    except InvalidSpec as error:
        return error


def _preview(route: LoadedRoute, status: RouteStatus | None) -> RoutePreview:
    state = status.state.value if status else "unknown"
    goal = _planned(route)
    if isinstance(goal, InvalidSpec):
        return RoutePreview(route.id, state, "error", "", "", None, str(goal))
    running = status.last.plan if status and status.last and not _is_down(status) else None
    change = diff_plans(running, goal.plan)
    why = "; ".join(map(str, change.differences))
    return RoutePreview(route.id, state, change.kind.value, why, goal.plan.digest, goal.plan)


def _is_down(status: RouteStatus) -> bool:
    return status.state.needs_redeploy or status.state in (Lifecycle.ABSENT, Lifecycle.STOPPED)
