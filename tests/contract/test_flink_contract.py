"""One suite on the fake cluster, the fake behind HTTP, behind Kubernetes, and the real one.

What the control loop takes for granted.
"""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.prepare import prepare
from keystone_platform.errors import Transient
from keystone_platform.gateways.flink_rest import FlinkRest
from keystone_platform.gateways.objects import checkpoint_prefix, newest_checkpoint
from keystone_platform.plan.observation import Job, JobState
from keystone_platform.plan.progress import Committing, JobProgress
from keystone_platform.plan.recovery import METADATA_HEAD_BYTES, checkpoint_id
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.submission import Submission, SubmitOutcome
from keystone_platform.producer.producer import KeystoneProducer
from tests.control.fake_flink import FakeFlink
from tests.control.fake_flink_rest import serve
from tests.control.fakes import a_plan, make_world
from tests.e2e.platform import Platform, stream_yaml, wait_for
from tests.kubernetes.world import KUBECONFIG_VARIABLE, kubernetes_world

GOOD, BROKEN = 400, 20


@dataclass(frozen=True)
class Subject:
    """A cluster under test.

    Attributes:
        await_checkpoint: makes or waits for a complete checkpoint of the job.
        feed: gives the job GOOD events that land and BROKEN ones that become dead letters.
    """

    gateways: Gateways
    plan: RouterPlan
    await_checkpoint: Callable[[str], object]
    feed: Callable[[str], object]
    epochs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def submission(self, restore_from: str | None = None, job_id: str | None = None) -> Submission:
        job_id = job_id or uuid.uuid4().hex
        return Submission(
            plan=self.plan,
            epoch=next(self.epochs),
            job_id=job_id,
            restore_from=restore_from,
            checkpoint_directory=self.gateways.checkpoint_directory(self.plan.route),
            savepoint_directory=self.gateways.savepoint_directory(self.plan.route, job_id),
        )

    def submit(self, submission: Submission) -> SubmitOutcome:
        (outcome,) = self.gateways.submitter.submit([submission])
        return outcome

    def running(self, restore_from: str | None = None) -> str:
        """Submit a job and return its id when it runs whole."""
        submission = self.submission(restore_from)
        assert self.submit(submission).status == "submitted"
        self.wait(submission.job_id, lambda job: job.is_running)
        return submission.job_id

    def wait(self, job_id: str, condition: Callable[[Job], bool]) -> Job:
        def look() -> Job | None:
            job = self.gateways.flink.job(job_id)
            return job if job and condition(job) else None

        return wait_for(f"job {job_id} in the wanted state", look, 90)


SUBJECTS = [
    "fake",
    "fake over HTTP",
    "Kubernetes",
    *(["real API server"] if KUBECONFIG_VARIABLE in os.environ else []),
    pytest.param("real", marks=pytest.mark.stack),
]


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    if request.param == "real":
        yield _real(request)
        return
    if request.param in ("Kubernetes", "real API server"):
        folder = tmp_path_factory.mktemp("kubernetes")
        with kubernetes_world(folder, real=request.param == "real API server") as world:
            yield Subject(world.gateways, a_plan(), world.fakes.flink.checkpoint, partial(_feed, world.fakes.flink))
        return
    subject, flink = _fake(tmp_path_factory.mktemp("fake"))
    if request.param == "fake":
        yield subject
        return
    with serve(flink) as url:
        yield replace(subject, gateways=replace(subject.gateways, flink=FlinkRest(url)))


def _fake(folder: Path) -> tuple[Subject, FakeFlink]:
    world = make_world(folder)
    return Subject(world.gateways, a_plan(), world.flink.checkpoint, partial(_feed, world.flink)), world.flink


def _feed(flink: FakeFlink, job_id: str) -> None:
    flink.count(job_id, GOOD + BROKEN, BROKEN)
    flink.committing[job_id] = Committing(written=GOOD, committed=GOOD, age_s=1.0)
    flink.checkpoint(job_id)


def _real(request: pytest.FixtureRequest) -> Subject:
    platform: Platform = request.getfixturevalue("platform")
    platform.declare("contract", stream_yaml("contract", interval_s=1))
    plan = platform.plan("contract.warehouse")
    prepare(platform.gateways, plan, 2)

    def await_checkpoint(job_id: str) -> None:
        flink = platform.gateways.flink
        before = flink.checkpoints(job_id).completed
        wait_for("a checkpoint", lambda: flink.checkpoints(job_id).completed > before or None, 60)

    def feed(job_id: str) -> None:
        platform.produce("contract", range(GOOD))
        with KeystoneProducer(platform.settings.kafka, "tests") as producer:
            for _ in range(BROKEN):
                producer.send("contract", b"{broken")

    return Subject(platform.gateways, plan, await_checkpoint, feed)


def test_a_job_that_was_never_submitted_is_unknown(subject: Subject) -> None:
    assert subject.gateways.flink.job(uuid.uuid4().hex) is None


def test_a_second_job_of_the_same_id_is_a_duplicate_and_cancel_retains_the_checkpoint(subject: Subject) -> None:
    job_id = subject.running()
    assert subject.submit(subject.submission(job_id=job_id)).status == "duplicate"
    subject.await_checkpoint(job_id)
    subject.gateways.flink.cancel(job_id, 60)
    job = subject.gateways.flink.job(job_id)
    assert job is None or job.state is JobState.CANCELED
    directory = subject.gateways.checkpoint_directory(subject.plan.route)
    keys = subject.gateways.objects.keys(checkpoint_prefix(directory, job_id))
    assert newest_checkpoint(keys, directory, job_id)
    subject.gateways.flink.cancel(job_id, 60)  # harmless when it is over


def test_a_stop_leaves_a_savepoint_whose_id_can_be_read_and_from_which_a_job_starts(subject: Subject) -> None:
    job_id = subject.running()
    subject.await_checkpoint(job_id)
    directory = subject.gateways.savepoint_directory(subject.plan.route, job_id)
    savepoint = subject.gateways.flink.stop_with_savepoint(job_id, directory, 90)
    assert savepoint.startswith(directory)
    (metadata,) = [key for key in subject.gateways.objects.keys(directory) if key.endswith("/_metadata")]
    assert metadata == f"{savepoint}/_metadata"
    number = checkpoint_id(subject.gateways.objects.head(metadata, METADATA_HEAD_BYTES))
    assert number is not None
    assert number >= 2
    job = subject.gateways.flink.job(job_id)
    assert job is not None
    assert job.state is JobState.FINISHED
    successor = subject.running(restore_from=savepoint)
    assert subject.gateways.flink.checkpoints(successor).restored_from == savepoint
    subject.gateways.flink.cancel(successor, 60)


def test_a_start_from_a_savepoint_that_is_not_there_is_refused_or_fails_and_nothing_runs(subject: Subject) -> None:
    missing = f"{subject.gateways.savepoint_directory(subject.plan.route, 'none')}/savepoint-none"
    submission = subject.submission(restore_from=missing)
    status = subject.submit(submission).status
    if status == "submitted":  # a cluster that is made for the router finds it out later
        assert subject.wait(submission.job_id, lambda job: job.state.is_terminal).state is JobState.FAILED
        assert subject.gateways.flink.failure(submission.job_id)
        return
    assert status == "refused"
    job = subject.gateways.flink.job(submission.job_id)
    assert job is None or job.state.is_terminal


def test_a_job_tells_what_it_has_read_handed_over_and_how_hard_it_works(subject: Subject) -> None:
    job_id = subject.running()
    subject.feed(job_id)
    told = wait_for("the job tells of all that it was given", lambda: _told(subject.gateways, job_id), 60)
    reading, committing = told.reading, told.committing
    assert reading is not None
    assert committing is not None
    assert (reading.events, reading.lag, told.dead) == (GOOD + BROKEN, 0, BROKEN)
    assert (committing.written, committing.committed, committing.waiting) == (GOOD, GOOD, 0)
    assert committing.age_s < 60
    assert reading.parallelism == subject.plan.parallelism
    assert 0 <= reading.per_s <= GOOD + BROKEN  # of the last minute, so how much of it there is depends on the machine
    assert 0 <= reading.busy <= 1
    assert 0 <= reading.backpressured <= 1
    assert told.restarts == 0
    assert told.checkpoints.completed > 0
    assert told.checkpoints.latest_at is not None
    assert told.checkpoints.latest_at <= told.at
    assert told.checkpoints.newest is not None
    assert told.checkpoints.newest.state_bytes > 0
    assert told.checkpoints.newest.at == told.checkpoints.latest_at
    subject.gateways.flink.cancel(job_id, 60)


def _told(gateways: Gateways, job_id: str) -> JobProgress | None:
    """Return the measurement when all of it is of the same moment: metrics are some seconds old, not equally so."""
    found = gateways.flink.progress(job_id)
    reading, committing = found.reading, found.committing
    if reading is None or committing is None or reading.lag is None:
        return None
    counted = (reading.events, found.dead, committing.written, committing.committed)
    return found if counted >= (GOOD + BROKEN, BROKEN, GOOD, GOOD) else None


def test_a_job_that_is_unknown_cannot_be_measured(subject: Subject) -> None:
    with pytest.raises(Transient):
        subject.gateways.flink.progress(uuid.uuid4().hex)


def test_slots_are_taken_while_a_job_runs_and_free_afterwards(subject: Subject) -> None:
    free = subject.gateways.flink.cluster().slots_free
    job_id = subject.running()
    assert subject.gateways.flink.cluster().slots_free == free - subject.plan.parallelism
    subject.gateways.flink.cancel(job_id, 60)
    wait_for("the slots are free again", lambda: subject.gateways.flink.cluster().slots_free == free or None, 30)
