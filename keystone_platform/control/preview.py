"""What an apply would do, route by route. Touches nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goals import goal_of
from keystone_platform.control.prepare import check_dropped, check_topic
from keystone_platform.control.progress_now import ProgressNow, progress_now
from keystone_platform.control.reconcile import held_text
from keystone_platform.control.schemas import SchemaGate
from keystone_platform.control.slots import SlotBudget
from keystone_platform.control.standby import check_gained, check_left, missing_topics
from keystone_platform.control.sweep import RouteStatus, sweep
from keystone_platform.errors import InvalidSpec, Terminal
from keystone_platform.plan.change import Change, ChangeKind, diff_plans
from keystone_platform.plan.column_effect import ColumnEffect, Effect
from keystone_platform.plan.decide import Act, Action, Request, decide
from keystone_platform.plan.deployment import newest_taken
from keystone_platform.plan.plan_router import PlannedRoute
from keystone_platform.plan.rollback import held_back
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.scale import at_its_scale


@dataclass(frozen=True)
class RoutePreview:
    """What an apply would do with one route.

    Attributes:
        state: the route's lifecycle now; `unknown` when no server was asked.
        change: nothing, new, resume (it is down and goes on where it ended), rescale, restart, suspend (it runs and
            is declared suspended), held (this plan was rolled back and is not tried again), wait, undeclared (it runs
            and no file declares it), or refused.
        why: the differences, for people.
        error: why it would be refused; empty when it would not.
        progress: how what runs now gets on; None where nothing runs or its job did not answer in time.
        table: what becomes of the columns of the table that is there.
    """

    route: str
    state: str
    change: str
    why: str
    plan: RouterPlan | None
    error: str = ""
    progress: ProgressNow | None = None
    table: tuple[ColumnEffect, ...] = ()

    @property
    def now(self) -> str:
        """The state and how it gets on, for people."""
        return ": ".join(filter(None, (self.state, str(self.progress or ""))))

    @property
    def digest(self) -> str:
        """The plan's digest; empty without a plan."""
        return self.plan.digest if self.plan else ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "route": self.route,
            "state": self.state,
            "change": self.change,
            "why": self.why,
            "error": self.error or None,
            "table": [each.as_json() for each in self.table],
            "progress": self.progress.as_json() if self.progress else None,
            "plan_digest": self.digest or None,
            "plan": self.plan.model_dump(mode="json", exclude_none=True) if self.plan else None,
        }


_SUSPENSIONS = {Act.STOP: "suspend", Act.FORGET: "suspend"}


def preview_blind(planned: Sequence[PlannedRoute]) -> list[RoutePreview]:
    """Return a preview per route without asking any server: every route counts as new."""
    return [_unsupported(each, "unknown") or _new(each, "unknown") for each in planned]


def preview(gateways: Gateways, planned: Sequence[PlannedRoute]) -> list[RoutePreview]:
    """Return a preview per route; raises Transient if cluster, ledger or catalog do not answer.

    Blocks for `progress_now.PATIENCE` at most while routers are measured.
    """
    statuses = sweep(gateways, [each.loaded.id for each in planned])
    limits = {each.loaded.id: each.loaded.route.health.max_lag_s for each in planned}
    found, budget, gate = progress_now(gateways, statuses, limits), SlotBudget(gateways), SchemaGate.of(gateways)
    plans = [(each.plan, each.loaded.stream.partitions) for each in planned if each.plan]
    missing, away = missing_topics(gateways, plans)
    previews = [
        replace(_preview(gateways, each, status, budget, gate), progress=found.get(status.route))
        for each, status in zip(planned, statuses, strict=True)
    ]
    return [_with_topics(each, missing.get(each.route, ()), away) for each in previews]


def _with_topics(preview: RoutePreview, missing: Sequence[str], away: str) -> RoutePreview:
    """Tell which topics on a standby cluster would be made, or that it does not answer."""
    if preview.plan is None or preview.plan.source.standby is None:
        return preview
    made = f"topics on {preview.plan.source.standby}: {', '.join(missing)}" if missing else ""
    return replace(preview, why="; ".join(filter(None, (preview.why, made, away))))


def preview_undeclared(gateways: Gateways, declared: Collection[str]) -> list[RoutePreview]:
    """Return a row for each route that runs, as far as the ledger knows, and that no file declares."""
    others = [name for name, last in gateways.ledger.latest().items() if last.is_open and name not in declared]
    return [
        RoutePreview(
            status.route, status.state.value, "undeclared", f"no file declares it: keystone stop {status.route}", None
        )
        for status in sweep(gateways, sorted(others))
    ]


def _preview(
    gateways: Gateways, planned: PlannedRoute, status: RouteStatus, budget: SlotBudget, gate: SchemaGate
) -> RoutePreview:
    unsupported = _unsupported(planned, status.state.value)
    if unsupported:
        return unsupported
    assert planned.plan is not None  # a planned route has a plan or an error
    plan = at_its_scale(planned.plan, planned.loaded.route.autoscale, status.last)
    state, goal = status.state.value, goal_of(plan, planned.loaded)
    action = decide(plan, goal.asked(Request.CONVERGE), status.last, status.job, gateways.clock.now())
    if goal.suspended:
        return RoutePreview(status.route, state, _SUSPENSIONS.get(action.act, action.act.value), action.why, plan)
    history = gateways.ledger.history(status.route)
    given_up = held_back(plan, history, any_scale=goal.autoscale is not None)
    if given_up:
        return RoutePreview(status.route, state, "held", held_text(given_up), plan)
    before = newest_taken(history)
    change = diff_plans(before.plan if before else None, plan)
    why, sized = "; ".join(map(str, change.differences)), _sized(planned, plan)
    if before and change.kind is ChangeKind.NEW:
        error = "that is another router: declare it under another `name:` and stop this one"
        return RoutePreview(status.route, state, "refused", why, plan, f"{why}: {error}")
    table: tuple[ColumnEffect, ...] = ()
    try:
        table = _effects(gateways, plan, before.plan if before else None)
        check_dropped(gateways, plan)
        check_topic(gateways, plan)
        check_gained(plan, history)
        if action.act is Act.REPLACE:
            check_left(gateways, plan, history)
        gate.check(planned.loaded)
        if action.cause:
            budget.take(plan, action, status.last)
    except (InvalidSpec, Terminal) as error:
        return RoutePreview(status.route, state, "refused", why, plan, str(error), table=table)
    if refused := [str(each) for each in table if not each.is_safe]:
        return RoutePreview(status.route, state, "refused", why, plan, f"table: {'; '.join(refused)}", table=table)
    told = "; ".join(filter(None, [why, sized, *(f"table: {each}" for each in table)]))
    return RoutePreview(status.route, state, _word(action, change), told, plan, table=table)


def _effects(gateways: Gateways, plan: RouterPlan, before: RouterPlan | None) -> tuple[ColumnEffect, ...]:
    """Return what becomes of the table's columns; of those that are kept the ones that this change leaves unwritten."""
    written = {column.name for column in before.columns} if before else set()
    effects = gateways.lake.column_effects(plan)
    return tuple(each for each in effects if each.effect is not Effect.KEPT or each.column in written)


def _sized(planned: PlannedRoute, plan: RouterPlan) -> str:
    """Say that the parallelism is not the declared one where the autoscaler chose it."""
    bounds, declared = planned.loaded.route.autoscale, planned.loaded.route.parallelism
    if bounds is None or plan.parallelism == declared:
        return ""
    return f"parallelism {plan.parallelism}, not {declared}: autoscale chooses it, from {bounds.min} to {bounds.max}"


def _word(action: Action, change: Change) -> str:
    match action.act:
        case Act.START:
            return "new" if change.kind is ChangeKind.NEW else "resume"
        case Act.REPLACE:
            return change.kind.value
        case _:
            return action.act.value


def _unsupported(planned: PlannedRoute, state: str) -> RoutePreview | None:
    if planned.error is None:
        return None
    return RoutePreview(planned.loaded.id, state, "refused", "", None, str(planned.error))


def _new(planned: PlannedRoute, state: str) -> RoutePreview:
    return RoutePreview(planned.loaded.id, state, ChangeKind.NEW.value, "", planned.plan)
