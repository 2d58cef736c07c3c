"""Starts routers: intents first, one submission for all, then a look whether each really runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goal import Progress
from keystone_platform.control.prepare import prepare
from keystone_platform.control.recovery import recovery_point
from keystone_platform.control.standby import standby_start
from keystone_platform.errors import Conflict, KeystoneError, Terminal, Transient, UnknownOutcome
from keystone_platform.plan.deployment import Cause, Deployment, End, Outcome
from keystone_platform.plan.lifecycle import ACT_TIMEOUT
from keystone_platform.plan.observation import JobState
from keystone_platform.plan.recovery import positions_of
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.submission import Submission, SubmitOutcome

_POLL_S = 0.5

INTERRUPTED = (
    f"interrupted while it was submitted: it may come up by itself or not; `keystone apply` waits until that is known "
    f"({ACT_TIMEOUT.seconds} s at most) and goes on from there"
)
"""Told where somebody interrupts between the stop of a router and its start."""


@dataclass(frozen=True)
class Launch:
    """A plan to start after `last`, which has ended."""

    plan: RouterPlan
    cause: Cause
    last: Deployment | None


@dataclass(frozen=True)
class Launched:
    """How a launch ended; `error` is None when every subtask runs."""

    route: str
    deployment: Deployment | None
    error: KeystoneError | None = None


def launch(gateways: Gateways, launches: Sequence[Launch], progress: Progress) -> list[Launched]:
    """Start all, from one JVM, and wait until each runs; an upgrade that does not come up is rolled back."""
    if not launches:
        return []
    ended = _submit_and_wait(gateways, launches, progress)
    failed = [
        item
        for item, result in zip(launches, ended, strict=True)
        if result.error and item.cause.is_change and not isinstance(result.error, (UnknownOutcome, Conflict))
    ]
    return _roll_back(gateways, ended, failed, progress) if failed else ended


def _submit_and_wait(gateways: Gateways, launches: Sequence[Launch], progress: Progress) -> list[Launched]:
    intents = [_intend(gateways, item, progress) for item in launches]
    wanted = [intent.deployment for intent in intents if intent.error is None and intent.deployment]
    for deployment in wanted:
        origin = "the table's end" if positions_of(deployment.restore_from) else deployment.restore_from
        progress(deployment.route, f"submitting epoch {deployment.epoch} from {origin or 'the earliest offsets'}")
    try:
        by_job = {outcome.job_id: outcome for outcome in _submit(gateways, wanted)}
    except KeyboardInterrupt:  # what was sent may still arrive, so nobody may start another one yet
        for deployment in wanted:
            progress(deployment.route, INTERRUPTED)
        raise
    recorded = [_record(gateways, intent, by_job) for intent in intents]
    return [_await_running(gateways, item, progress) for item in recorded]


def _submit(gateways: Gateways, deployments: Sequence[Deployment]) -> Sequence[SubmitOutcome]:
    if not deployments:
        return ()
    try:
        return gateways.submitter.submit([_submission(gateways, deployment) for deployment in deployments])
    except Transient as error:  # no JVM, so nothing was sent: that is known, and must not look like an act under way
        reason = str(error)
        return [SubmitOutcome(job_id=each.job_id, status="refused", reason=reason) for each in deployments]


def _intend(gateways: Gateways, item: Launch, progress: Progress) -> Launched:
    route = item.plan.route
    try:
        origin = recovery_point(gateways, item.plan, gateways.ledger.history(route), partial(progress, route))
        after = item.last.epoch if item.last else 0
        deployment = gateways.ledger.intend(
            item.plan, after=after, cause=item.cause, restore_from=origin, now=gateways.clock.now()
        )
    except KeystoneError as error:
        return Launched(route, item.last, error)
    return Launched(route, deployment)


def _submission(gateways: Gateways, deployment: Deployment) -> Submission:
    plan, positions = deployment.plan, positions_of(deployment.restore_from)
    earlier = [each for each in gateways.ledger.history(deployment.route) if each.epoch < deployment.epoch]
    known = {each.plan.source.standby for each in earlier} - {None, plan.source.standby}
    return Submission(
        plan=plan,
        epoch=deployment.epoch,
        job_id=deployment.job_id,
        restore_from=None if positions else deployment.restore_from,
        start_at=positions or (standby_start(gateways, plan) if deployment.restore_from else None),
        leaves_state=bool(known),
        checkpoint_directory=gateways.checkpoint_directory(deployment.route),
        savepoint_directory=gateways.savepoint_directory(deployment.route, deployment.job_id),
    )


def _record(gateways: Gateways, intent: Launched, outcomes: dict[str, SubmitOutcome]) -> Launched:
    """Write down what came of the submission; an unknown outcome is resolved by looking the job id up."""
    if intent.error or intent.deployment is None:
        return intent
    deployment = intent.deployment
    outcome = outcomes[deployment.job_id]
    try:
        taken = outcome.status in ("submitted", "duplicate") or (
            outcome.status == "unknown" and gateways.flink.job(deployment.job_id) is not None
        )
        if outcome.status == "unknown" and not taken:
            message = f"{intent.route}: it is not known whether the cluster took it: {outcome.reason}"
            return Launched(intent.route, deployment, UnknownOutcome(message, mend="The next reconcile finds out."))
        verdict = Outcome.SUBMITTED if taken else Outcome.REFUSED
        recorded = gateways.ledger.record_outcome(deployment, verdict, note=outcome.reason, now=gateways.clock.now())
    except KeystoneError as error:
        return Launched(intent.route, deployment, error)
    if taken:
        return Launched(intent.route, recorded)
    message = f"{intent.route}: Flink refused it: {outcome.reason}"
    return Launched(intent.route, recorded, Terminal(message, mend="Mend what the reason names, then apply again."))


def _await_running(gateways: Gateways, item: Launched, progress: Progress) -> Launched:
    if item.error or item.deployment is None:
        return item
    job_id = item.deployment.job_id
    progress(item.route, "waiting until every subtask runs")
    deadline = gateways.clock.now().timestamp() + gateways.running_timeout_s
    state: JobState | None = None
    while gateways.clock.now().timestamp() < deadline:
        try:
            job = gateways.flink.job(job_id)
        except Transient:  # it answered a moment ago; the deadline bounds this
            job = None
        if job and job.is_running:
            return item
        state = job.state if job else state
        if state and state.is_terminal:
            break
        gateways.clock.sleep(_POLL_S)
    return Launched(item.route, item.deployment, _not_running(gateways, item.route, job_id, state))


def _not_running(gateways: Gateways, route: str, job_id: str, state: JobState | None) -> KeystoneError:
    try:
        reason = gateways.flink.failure(job_id) or "no exception reported; are there free slots?"
    except KeystoneError as error:
        reason = str(error)
    message = f"{route}: job {job_id} does not run ({state or 'unknown'}): {reason}"
    return Terminal(message, mend="Look at the job's exceptions in Flink's UI.")


def _roll_back(
    gateways: Gateways, ended: Sequence[Launched], failed: Sequence[Launch], progress: Progress
) -> list[Launched]:
    """Start the plans that ran before again, where they ended; the verdict stays the upgrade's error."""
    broken = {result.route: result for result in ended if result.error}
    back: list[Launch] = []
    restored: dict[str, Launched] = {}
    for item in failed:
        route, newest = item.plan.route, broken[item.plan.route].deployment
        if item.last is None or newest is None:
            continue
        progress(route, "the upgrade did not come up: going back to the plan before")
        try:
            given_up = _give_up(gateways, newest)
            # the table has the columns of the plan that did not come up
            prepare(gateways, item.last.plan, partitions=1, is_rollback=True)
            back.append(Launch(item.last.plan, Cause.ROLLBACK, given_up))
        except KeystoneError as error:  # such as a Conflict: the health sensor's rollback was first
            restored[route] = Launched(route, newest, error)
    restored |= {result.route: result for result in _submit_and_wait(gateways, back, progress)}
    return [_rolled_back(result, restored.get(result.route)) for result in ended]


def _give_up(gateways: Gateways, deployment: Deployment) -> Deployment:
    if not deployment.is_open:
        return deployment
    gateways.flink.cancel(deployment.job_id, gateways.running_timeout_s)
    return gateways.ledger.record_end(deployment, End.LOST, note="it did not come up", now=gateways.clock.now())


def _rolled_back(result: Launched, restored: Launched | None) -> Launched:
    if restored is None:
        return result
    if restored.error:
        message = f"{result.error} Going back failed too: {restored.error}"
        return Launched(result.route, restored.deployment, Terminal(message, mend="A person is needed."))
    message = f"{result.error} The plan before runs again (epoch {restored.deployment and restored.deployment.epoch})."
    return Launched(result.route, restored.deployment, Terminal(message))
