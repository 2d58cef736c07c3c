"""A job restored from before its table's newest commit: what Iceberg's sink makes of it, what Keystone does instead."""

from __future__ import annotations

import os
import signal
import uuid

import httpx
import pytest

from keystone_platform.control.checkpoints import inspect_checkpoints
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.errors import KeystoneError
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.recovery import positions_of
from keystone_platform.plan.submission import Submission
from keystone_platform.stack.embedded import EmbeddedStack
from tests.drills.fault_proxy import FaultProxy
from tests.e2e.platform import Counted, Platform, stream_yaml, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

BY_HAND, KEPT = "rewound", "kept"

BEFORE, COMMITTED, WAITING, LATER = range(1_000), range(1_000, 3_000), range(3_000, 3_500), range(3_500, 3_600)
"""Read before the older point; landed after it; sent while no job ran; sent when all seems well again."""

BATCH = 250
"""Each of these lands before the next is sent: so many commits, at least, come after the older point."""


def route_of(stream: str) -> str:
    return f"{stream}.warehouse"


def savepoint_by_hand(platform: Platform, job_id: str, directory: str) -> str:
    """Let the job write a savepoint and go on; return its URI."""
    jobs = f"{platform.settings.flink_rest}/jobs/{job_id}/savepoints"
    asked = httpx.post(jobs, json={"target-directory": directory, "cancel-job": False}).raise_for_status().json()

    def location() -> str | None:
        answer = httpx.get(f"{jobs}/{asked['request-id']}").raise_for_status().json()
        found: str | None = (answer["operation"] or {}).get("location")
        return found

    return wait_for("a savepoint", location, 60)


def lose_all_but_an_older_point(platform: Platform, stream: str) -> tuple[Deployment, str]:
    """End a job that has committed since its only savepoint, and return its deployment and that savepoint."""
    deployment = platform.latest(route_of(stream))
    platform.produce(stream, BEFORE)
    platform.wait_for_rows(stream, len(BEFORE))
    directory = platform.gateways.savepoint_directory(deployment.route, deployment.job_id)
    older = savepoint_by_hand(platform, deployment.job_id, directory)
    for first in range(COMMITTED.start, COMMITTED.stop, BATCH):
        platform.produce(stream, range(first, first + BATCH))
        platform.wait_for_rows(stream, first + BATCH)
    platform.gateways.flink.cancel(deployment.job_id, 60)
    assert platform.gateways.objects.delete_prefix(platform.gateways.checkpoint_directory(deployment.route) + "/") > 0
    platform.produce(stream, WAITING)
    return deployment, older


def forget_jobs(stack: EmbeddedStack, platform: Platform) -> None:
    """Kill the JobManager: the new one knows no job, so takes one of an id that it had before."""
    pid = stack.pid("flink-jobmanager")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    def is_new() -> bool:
        try:
            return not platform.gateways.flink.jobs() and platform.gateways.flink.cluster().slots_free > 0
        except KeystoneError:
            return False

    wait_for("a JobManager that knows no jobs", is_new, 180)


def restore_by_hand(platform: Platform, deployment: Deployment, origin: str, job_id: str) -> None:
    """Start the plan through Flink alone, as `flink run --fromSavepoint` would."""
    submission = Submission(
        plan=deployment.plan,
        epoch=1,
        job_id=job_id,
        restore_from=origin,
        checkpoint_directory=platform.gateways.checkpoint_directory(deployment.route),
        savepoint_directory=platform.gateways.savepoint_directory(deployment.route, job_id),
    )
    (outcome,) = platform.gateways.submitter.submit([submission])
    assert outcome.status == "submitted", outcome.reason


def landed(platform: Platform, stream: str) -> list[int]:
    return [int(str(n)) for (n,) in platform.rows(stream, "SELECT n FROM t ORDER BY n")]


def checkpoint_reached(platform: Platform, job_id: str, number: int) -> bool:
    path = platform.gateways.flink.checkpoints(job_id).latest_path
    return path is not None and int(path.rsplit("-", 1)[1]) > number


def test_older_than_the_newest_commit(drilled: tuple[EmbeddedStack, FaultProxy], broken_platform: Platform) -> None:
    platform, (stack, _) = broken_platform, drilled
    for stream in (BY_HAND, KEPT):
        platform.declare(stream, stream_yaml(stream, interval_s=1))
    goals = wanted(platform.streams, [route_of(BY_HAND), route_of(KEPT)]).goals
    assert [verdict.message for verdict in reconcile(platform.gateways, goals) if not verdict.ok] == []
    _, left = lose_all_but_an_older_point(platform, KEPT)
    deployment, older = lose_all_but_an_older_point(platform, BY_HAND)
    forget_jobs(stack, platform)

    through_keystone(platform, left)
    under_the_same_id(platform, deployment, older)
    under_another_id(platform, deployment, older)


def through_keystone(platform: Platform, left: str) -> None:
    """The older point is there, told of, and not used: the table says where to go on."""
    (line,) = inspect_checkpoints(platform.gateways, route_of(KEPT), 20).lines
    assert (line.uri, line.is_restart_point) == (left, False)
    assert line.remarks[0].startswith(f"older than tests.{KEPT} ({len(COMMITTED):,} offsets)")
    verdict = platform.apply(route_of(KEPT))
    assert verdict.deployment, verdict.message
    assert positions_of(verdict.deployment.restore_from), verdict.deployment.restore_from
    sent = WAITING.stop
    counted = platform.wait_for_rows(KEPT, sent)
    print(f"\nthrough Keystone: {counted}")
    assert counted == Counted(rows=sent, distinct=sent, gaps=0)


def under_the_same_id(platform: Platform, deployment: Deployment, older: str) -> None:
    """Iceberg's committer takes its checkpoints for committed, until their numbers are past those in the table."""
    job_id, table = deployment.job_id, f"tests.{BY_HAND}"
    newest = platform.gateways.lake.committed_checkpoint(table, job_id)
    assert newest is not None
    restore_by_hand(platform, deployment, older, job_id)
    wait_for("the job's checkpoints are past those", lambda: checkpoint_reached(platform, job_id, newest), 120)
    platform.produce(BY_HAND, LATER)
    wait_for("later events land", lambda: landed(platform, BY_HAND)[-len(LATER) :] == list(LATER), 120)
    job = platform.gateways.flink.job(job_id)
    assert job is not None
    assert job.is_running
    assert platform.gateways.flink.failure(job_id) is None
    there = landed(platform, BY_HAND)
    print(f"by hand, same job id: {LATER.stop} sent, {len(there)} rows, {LATER.stop - len(set(there))} lost, no error")
    assert there == [*BEFORE, *COMMITTED, *LATER], "what waited for the job is lost, silently"
    platform.gateways.flink.cancel(job_id, 60)


def under_another_id(platform: Platform, deployment: Deployment, older: str) -> None:
    """No commit of that job is in the table, so all that comes after the older point lands (again)."""
    again = [*COMMITTED, *LATER]
    job_id, before = uuid.uuid4().hex, len(landed(platform, BY_HAND))
    restore_by_hand(platform, deployment, older, job_id)
    counted = platform.wait_for_rows(BY_HAND, before + len(again) + len(WAITING))
    print(f"by hand, another job id: {LATER.stop} sent, {counted.rows} rows, {counted.rows - counted.distinct} twice")
    assert counted == Counted(rows=LATER.stop + len(again), distinct=LATER.stop, gaps=0)
    platform.gateways.flink.cancel(job_id, 60)
    twice = sorted([*BEFORE, *again, *again, *WAITING])
    assert landed(platform, BY_HAND) == twice
