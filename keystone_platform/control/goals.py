"""From a folder of YAMLs to goals, and what reaching them would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keystone_platform.control.reconcile import Goal
from keystone_platform.control.sweep import RouteStatus, sweep
from keystone_platform.errors import InvalidSpec, KeystoneError
from keystone_platform.plan.change import diff_plans
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.plan_router import PlannedRoute, plan_loaded
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.settings import load_settings
from keystone_platform.spec.fleet import LoadedRoute
from keystone_platform.spec.loader import load_streams


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
        InvalidSpec: something in the folder is wrong, or a named route is not declared.
    """
    planned = [plan_loaded(route) for route in _declared(folder, routes)]
    return Wanted(
        goals=tuple(Goal(each.plan, each.loaded.stream.partitions) for each in planned if each.plan),
        unsupported=tuple(each.error for each in planned if each.error),
    )


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
    declared = _declared(folder, routes)
    try:
        statuses = _statuses([route.id for route in declared], env)
        note = ""
    except KeystoneError as error:
        statuses, note = {}, f"What runs is unknown, every route counts as new: {error}"
    return [_preview(plan_loaded(route), statuses.get(route.id)) for route in declared], note


def _declared(folder: Path, routes: Sequence[str]) -> tuple[LoadedRoute, ...]:
    fleet = load_streams(folder)
    if not fleet.streams:
        mend = "Write one (docs/streams.md), or name another folder: --streams DIR or KEYSTONE_STREAMS."
        message = "no stream file (*.yaml, *.yml) in this folder"
        raise InvalidSpec(message, file=str(folder), mend=mend)
    return fleet.select(routes)


def _statuses(routes: Sequence[str], env: Mapping[str, str]) -> dict[str, RouteStatus]:
    from keystone_platform.wiring import connect

    return {status.route: status for status in sweep(connect(load_settings(env)), routes)}


def _preview(planned: PlannedRoute, status: RouteStatus | None) -> RoutePreview:
    route = planned.loaded
    state = status.state.value if status else "unknown"
    plan, error = planned.plan, planned.error
    if plan is None:
        return RoutePreview(route.id, state, "error", "", "", None, str(error))
    running = status.last.plan if status and status.last and not _is_down(status) else None
    change = diff_plans(running, plan)
    why = "; ".join(map(str, change.differences))
    return RoutePreview(route.id, state, change.kind.value, why, plan.digest, plan)


def _is_down(status: RouteStatus) -> bool:
    return status.state.needs_redeploy or status.state in (Lifecycle.ABSENT, Lifecycle.STOPPED)
