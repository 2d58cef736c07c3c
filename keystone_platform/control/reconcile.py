"""Brings routes to what is asked for: observe, decide, record the intent, act, record the outcome.

The same code serves Dagster, the command line and the demo. It is safe to run again at any moment, also after it died
half-way: the ledger holds each intent, and the cluster tells by the job id what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goal import Goal, Progress, Refresh, Verdict
from keystone_platform.control.prepare import prepare
from keystone_platform.control.schemas import SchemaGate
from keystone_platform.control.slots import SlotBudget, wait_for_slots
from keystone_platform.control.standby import make_missing, standby_error
from keystone_platform.control.start import Launch, launch
from keystone_platform.control.stop import stop
from keystone_platform.control.strays import end_strays, find_strays
from keystone_platform.errors import Conflict, InvalidSpec, KeystoneError, Terminal
from keystone_platform.plan.change import ChangeKind, diff_plans
from keystone_platform.plan.decide import Act, Action, Request, decide
from keystone_platform.plan.deployment import Cause, Deployment, End, Outcome, newest_taken
from keystone_platform.plan.lifecycle import ACT_TIMEOUT
from keystone_platform.plan.observation import Job
from keystone_platform.plan.rollback import held_back
from keystone_platform.plan.scale import at_its_scale
from keystone_platform.plan.stray import Stray

PATIENCE = ACT_TIMEOUT + timedelta(seconds=30)
"""How long to wait for somebody else who acts on the same route: until he has ended or counts as dead."""

_LOOK_AGAIN_S = 3.0

_RUNS = (Act.NOTHING, Act.START, Act.REPLACE)

_ENDS = {Act.STOP: End.STOPPED, Act.REPLACE: End.REPLACED, Act.PAUSE: End.PAUSED}


def reconcile(
    gateways: Gateways,
    goals: Sequence[Goal],
    request: Request = Request.CONVERGE,
    progress: Progress = lambda _route, _doing: None,
    refresh: Refresh = lambda goals: goals,
) -> tuple[Verdict, ...]:
    """Bring the routes to what is asked for and return a verdict each, in the goals' order.

    What goes wrong with one route never touches another. Blocks until each started router runs with all its subtasks,
    or has failed to: about 20 s for one router on the embedded stack. Of several who reconcile a route at once one
    acts; the others wait for him and look again, with what `refresh` says is declared then.

    Raises:
        Transient: the cluster or the ledger does not answer, so nothing was observed and nothing was done.
    """
    deadline = gateways.clock.now() + PATIENCE
    verdicts = {verdict.route: verdict for verdict in _reconcile(gateways, goals, request, progress, refresh)}
    while gateways.clock.now() < deadline and (lost := _overtaken(gateways, goals, request, verdicts)):
        for goal in lost:
            progress(goal.route, "somebody else was first: looking again")
        again = _reconcile(gateways, refresh(lost), request, progress, refresh)
        verdicts |= {verdict.route: verdict for verdict in again}
    return tuple(verdicts[goal.route] for goal in goals)


def _overtaken(
    gateways: Gateways, goals: Sequence[Goal], request: Request, verdicts: Mapping[str, Verdict]
) -> list[Goal]:
    """Return the goals that somebody else acted on first, but for what he meant to stop."""
    lost = [goal for goal in goals if isinstance(verdicts[goal.route].error, Conflict)]
    if not lost or request not in (Request.CONVERGE, Request.STOP):
        return []
    latest = gateways.ledger.latest()
    return [goal for goal in lost if latest[goal.route].end not in (End.STOPPED, End.PAUSED)]


def _reconcile(
    gateways: Gateways, goals: Sequence[Goal], request: Request, progress: Progress, refresh: Refresh
) -> list[Verdict]:
    steps = _observe(gateways, goals, request, progress, refresh)
    gate = SchemaGate.of(gateways)
    steps = [_check_schema(gate, step) for step in steps]
    steps = _compile_upgrades(gateways, steps, progress)
    steps = [_end_strays(gateways, step, progress) for step in steps]
    ready = [_make_way(gateways, step, progress) for step in steps if not step.starts]
    make_missing(gateways, [(step.goal.plan, step.goal.partitions) for step in steps if step.stays], progress)
    down = [step for step in steps if step.starts and step.action.cause is Cause.REDEPLOY]
    wanted = sum(step.goal.plan.parallelism for step in down)
    wait_for_slots(gateways, wanted, partial(progress, ", ".join(step.goal.route for step in down)))
    budget = SlotBudget(gateways)
    ready += [_make_way(gateways, _take_slots(step, budget), progress) for step in steps if step.starts]
    verdicts = {step.goal.route: step.verdict() for step in ready if step.launch is None}
    for verdict in launch(gateways, [step.launch for step in ready if step.launch], progress):
        step = next(step for step in ready if step.goal.route == verdict.route)
        verdicts[verdict.route] = replace(step.verdict(), deployment=verdict.deployment, error=verdict.error)
    for step in steps:
        if step.goal.declared and step.runs_as_declared and verdicts[step.goal.route].ok:
            gate.publish_quietly(step.goal.declared)
    return list(verdicts.values())


@dataclass(frozen=True)
class _Step:
    """What is known of one route while it is reconciled; `error` ends its way."""

    goal: Goal
    action: Action
    last: Deployment | None
    launch: Launch | None = None
    error: KeystoneError | None = None
    held: str = ""
    strays: tuple[Stray, ...] = ()

    @property
    def starts(self) -> bool:
        """Whether a router is to be started, so far."""
        return self.error is None and self.action.act in (Act.START, Act.REPLACE)

    @property
    def stays(self) -> bool:
        """Whether it runs as declared already."""
        return self.error is None and self.action.act is Act.NOTHING and self.goal.declared is not None

    @property
    def runs_as_declared(self) -> bool:
        """Whether the goal's plan is what runs at the end, if nothing goes wrong."""
        return not self.held and self.action.act in _RUNS

    def verdict(self) -> Verdict:
        return Verdict(self.goal.route, self.action, self.last, self.error, self.held)


def _observe(
    gateways: Gateways, goals: Sequence[Goal], request: Request, progress: Progress, refresh: Refresh
) -> list[_Step]:
    """Observe and decide; as long as somebody else acts on one of the routes, wait and look again."""
    deadline = gateways.clock.now() + PATIENCE
    told: set[str] = set()
    while True:
        jobs = {job.job_id: job for job in gateways.flink.jobs()}
        latest = gateways.ledger.latest()
        steps = [_step(gateways, goal, request, latest.get(goal.route), jobs) for goal in goals]
        waiting = [step for step in steps if step.action.act is Act.WAIT]
        if not waiting or gateways.clock.now() >= deadline:
            if told:  # what is declared may have changed meanwhile, and what he deployed may be newer than this goal
                goals = refresh(goals)
                steps = [_step(gateways, goal, request, latest.get(goal.route), jobs) for goal in goals]
            strays = find_strays(gateways, jobs.values(), latest, {goal.route for goal in goals})
            mine = {step.goal.route: tuple(each for each in strays if each.route == step.goal.route) for step in steps}
            return [replace(step, strays=mine[step.goal.route]) for step in steps]
        for step in waiting:
            if step.goal.route not in told:
                progress(step.goal.route, f"waiting for at most {PATIENCE.seconds} s: {step.action.why}")
        told |= {step.goal.route for step in waiting}
        gateways.clock.sleep(_LOOK_AGAIN_S)


def _step(gateways: Gateways, goal: Goal, request: Request, last: Deployment | None, jobs: Mapping[str, Job]) -> _Step:
    job = jobs.get(last.job_id) if last else None
    if last and job and last.outcome is None:  # its submitter died before it could write down that it went through
        last = gateways.ledger.record_outcome(last, Outcome.SUBMITTED, note="adopted", now=gateways.clock.now())
    goal = replace(goal, plan=at_its_scale(goal.plan, goal.autoscale, last))
    goal, held = _without_rolled_back(gateways, goal, request, last)
    action = decide(goal.plan, goal.asked(request), last, job, gateways.clock.now())
    if action.act is Act.PAUSE or action.cause is Cause.ROLLBACK:
        action = replace(action, why=goal.why or action.why)
    elif action.cause is Cause.RESCALE and goal.why:
        action = replace(action, why=f"{action.why}: {goal.why}")
    step = _Step(goal, action, last, held=held)
    if action.act is Act.WAIT:
        return replace(step, error=Terminal(f"{goal.route}: {action.why}", mend="Try again in a few minutes."))
    return _refuse_other_data(gateways, step) if step.starts and last else step


def _without_rolled_back(gateways: Gateways, goal: Goal, request: Request, last: Deployment | None) -> tuple[Goal, str]:
    """Return the goal with the plan that shall run now, and why that is not the declared one if it is not."""
    asks_for_the_plan = request in (Request.CONVERGE, Request.RESTART) and not goal.suspended
    if last is None or last.plan.digest == goal.plan.digest or not asks_for_the_plan:
        return goal, ""
    given_up = held_back(goal.plan, gateways.ledger.history(goal.route), any_scale=goal.autoscale is not None)
    if given_up is None:
        return goal, ""
    return replace(goal, plan=last.plan), held_text(given_up)


def held_text(given_up: Deployment) -> str:
    """Say that a declared plan is not run because it was rolled back, and what to do."""
    why = given_up.note or "it did not run"
    mend = f"change the YAML, or force it: keystone rollback {given_up.route} --to {given_up.epoch}"
    return f"what is declared was given up in epoch {given_up.epoch} ({why}): {mend}"


def _refuse_other_data(gateways: Gateways, step: _Step) -> _Step:
    """Never hand a router's positions to a plan that reads or writes other data: it would lose or mix events."""
    history = gateways.ledger.history(step.goal.route)
    before = newest_taken(history)
    if before is None:
        return step
    change = diff_plans(before.plan, step.goal.plan)
    if change.kind is not ChangeKind.NEW:
        return replace(step, error=standby_error(gateways, step.goal.plan, history, step.action.cause))
    message = f"{step.goal.route}: {'; '.join(map(str, change.differences))}: that is another router, not an upgrade"
    return replace(step, error=Terminal(message, mend="Declare it under another `name:` and stop this one."))


def _end_strays(gateways: Gateways, step: _Step, progress: Progress) -> _Step:
    """End copies of the route that must not run; beside one that may be somebody else's start nothing."""
    ours = [stray for stray in step.strays if stray.is_ours]
    others = [stray for stray in step.strays if not stray.is_ours]
    if step.error or not step.strays:
        return step
    for stray in ours:
        progress(step.goal.route, f"ending {stray}")
    try:
        end_strays(gateways, ours)
    except KeystoneError as error:
        return replace(step, error=error)
    if others and step.starts:
        mend = "If it is an old copy, cancel it in Flink's UI; was the ledger replaced?"
        return replace(step, error=Terminal(f"{step.goal.route}: {others[0]}", mend=mend))
    ended = "".join(f"; ended {stray}" for stray in ours)
    return replace(step, action=replace(step.action, why=f"{step.action.why}{ended}"))


def _check_schema(gate: SchemaGate, step: _Step) -> _Step:
    """Refuse a change of the stream's schema that its rule does not allow; what ran before starts again as it was."""
    ran_before = step.last is not None and step.last.plan.digest == step.goal.plan.digest
    if step.error or not step.goal.declared or not step.runs_as_declared or (step.starts and ran_before):
        return step
    try:
        gate.check(step.goal.declared)
    except InvalidSpec as error:
        return replace(step, error=error)
    return step


def _compile_upgrades(gateways: Gateways, steps: Sequence[_Step], progress: Progress) -> list[_Step]:
    """Let the planner see each changed plan before the router that runs is stopped for it."""
    changed = [step for step in steps if step.action.cause is Cause.UPGRADE]
    if not changed:
        return list(steps)
    for step in changed:
        progress(step.goal.route, "letting Flink compile the changed plan")
    reasons = gateways.submitter.check([step.goal.plan for step in changed])
    refused = {step.goal.route: reason for step, reason in zip(changed, reasons, strict=True) if reason}
    return [_refuse(step, refused.get(step.goal.route)) for step in steps]


def _refuse(step: _Step, reason: str | None) -> _Step:
    if reason is None:
        return step
    message = f"{step.goal.route}: Flink does not take the changed plan, nothing was touched: {reason}"
    return replace(step, error=Terminal(message, mend="Mend the stream's YAML."))


def _take_slots(step: _Step, budget: SlotBudget) -> _Step:
    try:
        budget.take(step.goal.plan, step.action, step.last)
    except Terminal as error:
        return replace(step, error=error)
    return step


def _make_way(gateways: Gateways, step: _Step, progress: Progress) -> _Step:
    """Prepare topic and table, end what must end before, and say what is to be launched."""
    if step.error or step.action.act is Act.NOTHING:
        return step
    try:
        if step.starts:
            progress(step.goal.route, "preparing topics and table")
            is_rollback = step.action.cause is Cause.ROLLBACK
            tell = partial(progress, step.goal.route)
            prepare(gateways, step.goal.plan, step.goal.partitions, is_rollback=is_rollback, tell=tell)
        if step.last:
            step = replace(step, last=_end(gateways, step, step.last, progress))
    except KeystoneError as error:
        return replace(step, error=error)
    if not step.starts or step.action.cause is None:
        return step
    return replace(step, launch=Launch(step.goal.plan, step.action.cause, step.last))


def _end(gateways: Gateways, step: _Step, last: Deployment, progress: Progress) -> Deployment:
    """Bring the newest deployment to its end, as the action wants it, and return it as the ledger has it then."""
    match step.action.act:
        case Act.STOP | Act.REPLACE | Act.PAUSE:
            progress(step.goal.route, "stopping with a savepoint")
            end, why = _ENDS[step.action.act], step.action.why
            return stop(gateways, last, end, why, or_cancel=step.action.cause is Cause.ROLLBACK)
        case Act.FORGET if last.end is None and last.outcome is not None:
            return gateways.ledger.record_end(last, End.STOPPED, note=step.action.why, now=gateways.clock.now())
        case Act.START if last.is_open:
            return gateways.ledger.record_end(last, End.LOST, note=step.action.why, now=gateways.clock.now())
        case _:
            return last
