"""A backfill from request to swap on real tables, with a made-up cluster and topic: what comes of each crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyiceberg.table import Table

from assets.backfill import backfill as work
from assets.backfill.backfill import BackfillReport, Servers
from assets.backfill.intent import unfinished
from assets.backfill.job import SILENCE_S, JobRunner
from assets.backfill.proof import BranchProof, Expected
from keystone_platform.errors import Conflict, InvalidSpec, Terminal, Transient, UnknownOutcome
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.backfill import Backfill, Request, Span, hours
from keystone_platform.plan.hour_proof import HourProof
from keystone_platform.plan.observation import Cluster, Job, JobState
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan
from keystone_platform.plan.submission import Submission, SubmitOutcome
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, lake_with_table, land, warehouse_plan
from tests.contract.test_backfill_swap import new, old, seen, write_branch

ALL = Request(times=hours([TEN]))


class SteppingClock:
    """Passes only the time that is slept."""

    def __init__(self) -> None:
        self._now = TEN

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass
class FakeCluster:
    """A session cluster whose jobs write what `rows` says into their branch as they are submitted.

    Attributes:
        answer: what a submission is answered; only `submitted` and `unknown` start the job.
        state: of the jobs, once they are there.
        forgets: whether it knows no job any more.
    """

    table: Callable[[], Table]
    rows: Sequence[int]
    answer: str = "submitted"
    state: JobState = JobState.FINISHED
    slots: int = 4
    forgets: bool = False
    submitted: list[Submission] = field(default_factory=list)
    jobs: dict[str, Backfill] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)

    def submit(self, submissions: Sequence[Submission]) -> tuple[SubmitOutcome, ...]:
        (one,) = submissions
        assert one.backfill is not None
        self.submitted.append(one)
        if self.answer in ("submitted", "unknown"):
            self.jobs[one.job_id] = one.backfill
            if self.rows:
                write_branch(self.table(), one.backfill, self.rows)
        return (SubmitOutcome.model_validate({"job_id": one.job_id, "status": self.answer, "reason": "so it is"}),)

    def check(self, plans: Sequence[RouterPlan]) -> tuple[str, ...]:
        return tuple("" for _ in plans)

    def cluster(self) -> Cluster:
        return Cluster(task_managers=1, slots_total=4, slots_free=self.slots)

    def job(self, job_id: str) -> Job | None:
        if self.forgets or job_id not in self.jobs:
            return None
        return Job(job_id, self.jobs[job_id].branch, self.state, TEN, 1, 1)

    def failure(self, job_id: str) -> str | None:
        return f"what went wrong in {job_id}"

    def cancel(self, job_id: str, timeout_s: float) -> None:
        assert timeout_s > 0
        self.cancelled.append(job_id)


@dataclass
class FakeTopics:
    """The topic `playback` with one partition: hour TEN begins at 0, hour ELEVEN at `eleven`."""

    begin: int = 0
    end: int = 1_000
    eleven: int = 50

    def offsets(self, topic: str) -> Offsets:
        assert topic == "playback"
        return Offsets(begin={0: self.begin}, end={0: self.end})

    def offsets_at(self, topic: str, *times: datetime) -> tuple[Mapping[int, int], ...]:
        assert topic == "playback"
        return tuple({0: 0 if time <= TEN else self.eleven if time <= ELEVEN else self.end} for time in times)


@dataclass
class World:
    lake: IcebergLake
    table: Table
    cluster: FakeCluster
    topics: FakeTopics
    servers: Servers
    proved: list[tuple[str, Sequence[datetime | None]]]

    def run(self, request: Request = ALL) -> BackfillReport:
        return work.run(self.servers, warehouse_plan(), request, lambda _: None)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Rows 0 to 39 of hour TEN have landed and those of ELEVEN up to 99; the plan keeps the even offsets of TEN."""
    lake, table = lake_with_table(tmp_path)
    land(table, range(40), files=2)
    land(table, range(50, 100), hour=ELEVEN)
    cluster = FakeCluster(lambda: lake.load(TABLE), rows=range(0, 40, 2))
    topics = FakeTopics()
    jobs = JobRunner(cluster, cluster, SteppingClock(), "s3://bucket/flink")
    proved: list[tuple[str, Sequence[datetime | None]]] = []

    def prove(plan: RouterPlan, changed: Sequence[datetime | None]) -> Sequence[HourProof]:
        proved.append((plan.route, changed))
        return ()

    servers = Servers(lake, topics, {}, jobs, prove)
    told_by(monkeypatch, lambda rows: BranchProof(Expected(20, 20, 0), rows, 20 - rows, 0, 0))
    return World(lake, table, cluster, topics, servers, proved)


def told_by(patch: pytest.MonkeyPatch, proof: Callable[[int], BranchProof]) -> None:
    """Let the proof say this of so many rows in the branch; the real one needs a broker."""

    def prove(_events: object, _plan: object, _scope: object, _table: object, files: object, *_: object) -> object:
        return proof(sum(file.record_count for file in files))  # type: ignore[attr-defined] # data files

    patch.setattr(work, "prove", prove)


AFTER = new(range(0, 40, 2)) + old(range(50, 100))
BEFORE = old(range(40)) + old(range(50, 100))


def test_the_hours_rows_are_replaced_and_the_hour_is_proven(world: World) -> None:
    report = world.run()
    assert seen(world.table) == AFTER
    assert (report.swapped.removed, report.swapped.added, report.resumed) == (40, 20, False)
    assert world.proved == [("playback.warehouse", (TEN,))]
    assert unfinished(world.table) == {}


def test_the_job_has_a_name_and_checkpoints_of_its_own_and_no_more_slots_than_are_free(world: World) -> None:
    world.cluster.slots = 1
    plan = warehouse_plan().model_copy(update={"parallelism": 8, "checkpoint_interval_s": 600})
    work.run(world.servers, plan, ALL, lambda _: None)
    (submission,) = world.cluster.submitted
    assert (submission.plan.parallelism, submission.plan.checkpoint_interval_s) == (1, 10)
    assert plan.route not in submission.checkpoint_directory


def test_what_the_router_has_not_committed_is_left_to_it(world: World) -> None:
    world.topics.eleven = world.topics.end = 120
    report = world.run()
    assert [(span.begin, span.end) for span in report.outline.scope.spans] == [(0, 100)]
    assert [(span.begin, span.end) for span in report.outline.unsettled] == [(100, 120)]


def test_late_rows_that_landed_are_replaced_however_late_they_came(world: World) -> None:
    land(world.lake.load(TABLE), range(200, 202))
    world.topics.end = 202
    report = work.outline_of(world.servers, warehouse_plan(), Request(times=hours([TEN]), late=timedelta(0)))
    assert [(span.begin, span.end) for span in report.scope.spans] == [(0, 202)]
    assert report.behind == 0
    world.topics.end = 210
    report = work.outline_of(world.servers, warehouse_plan(), Request(times=hours([TEN]), late=timedelta(0)))
    assert report.behind == 8


def test_rows_whose_events_kafka_has_deleted_stay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told_by(monkeypatch, lambda rows: BranchProof(Expected(15, 25, 0), rows, 0, 0, 0))
    world.topics.begin = 10
    world.cluster.rows = range(10, 40, 2)
    report = world.run(Request(spans=(Span(topic="playback", partition=0, begin=0, end=50),)))
    assert seen(world.table) == old(range(10)) + new(range(10, 40, 2)) + old(range(50, 100))
    assert [(span.begin, span.end) for span in report.outline.gone] == [(0, 10)]


def test_nothing_is_begun_where_nothing_can_be_replayed(world: World) -> None:
    world.topics.begin = 1_000
    with pytest.raises(Terminal, match="Kafka has deleted all of it"):
        world.run(Request(spans=(Span(topic="playback", partition=0, begin=0, end=50),)))
    with pytest.raises(Terminal, match="committed by the live router yet"):
        world.run(Request(spans=(Span(topic="playback", partition=0, begin=1_000, end=1_050),)))
    assert (seen(world.table), world.table.refs().keys()) == (BEFORE, {"main"})
    assert world.cluster.submitted == []


def test_a_route_without_a_table_is_refused(world: World) -> None:
    plan = warehouse_plan().model_copy(update={"target": KafkaTarget(topic="copy")})
    with pytest.raises(InvalidSpec, match="has no table"):
        work.run(world.servers, plan, ALL, lambda _: None)


def test_without_a_free_slot_nothing_stays_behind(world: World) -> None:
    world.cluster.slots = 0
    with pytest.raises(Terminal, match="no free slot"):
        world.run()
    assert (seen(world.table), unfinished(world.table)) == (BEFORE, {})


def test_a_lost_answer_to_the_submission_starts_no_second_job(world: World) -> None:
    world.cluster.answer, world.cluster.forgets = "unknown", True
    with pytest.raises(UnknownOutcome):
        world.run()
    assert seen(world.table) == BEFORE
    world.cluster.forgets = False
    assert world.run().resumed
    assert (len(world.cluster.submitted), seen(world.table)) == (1, AFTER)


def test_a_failed_job_changes_nothing_and_the_next_run_begins_anew(world: World) -> None:
    world.cluster.state = JobState.FAILED
    with pytest.raises(Terminal, match="what went wrong"):
        world.run()
    assert (seen(world.table), unfinished(world.table)) == (BEFORE, {})
    world.cluster.state = JobState.FINISHED
    assert not world.run().resumed
    assert seen(world.table) == AFTER


def test_a_process_that_dies_after_the_job_is_gone_on_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_: int) -> BranchProof:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        told_by(patch, die)
        with pytest.raises(KeyboardInterrupt):
            world.run()
    assert (seen(world.table), len(unfinished(world.table))) == (BEFORE, 1)
    assert world.run().resumed
    assert (len(world.cluster.submitted), seen(world.table)) == (1, AFTER)


def test_rows_that_are_not_the_expected_ones_are_never_swapped_in(world: World) -> None:
    world.cluster.rows = range(0, 38, 2)
    with pytest.raises(Terminal, match="1 missing"):
        world.run()
    assert (seen(world.table), unfinished(world.table)) == (BEFORE, {})
    assert len(world.cluster.cancelled) == 1


def test_a_cluster_that_lost_a_running_job_is_waited_for_and_its_rows_are_judged(world: World) -> None:
    world.cluster.state, world.cluster.rows = JobState.RUNNING, range(0, 20, 2)
    began = world.servers.jobs.clock.now()
    lost_after(world, 3)
    with pytest.raises(Transient, match="does not know job"):
        world.run()
    assert (world.servers.jobs.clock.now() - began).total_seconds() > SILENCE_S
    with pytest.raises(Terminal, match="10 missing"):  # half of the rows were committed before it was lost
        world.run()
    assert (seen(world.table), unfinished(world.table)) == (BEFORE, {})


def test_the_same_again_is_a_backfill_of_its_own(world: World) -> None:
    first, second = world.run(), world.run()
    assert first.branch != second.branch
    assert (second.swapped.removed, second.swapped.added) == (20, 20)
    assert seen(world.table) == AFTER


def test_another_plan_does_not_go_on_with_what_the_one_before_began(world: World) -> None:
    world.cluster.answer, world.cluster.forgets = "unknown", True
    with pytest.raises(UnknownOutcome):
        world.run()
    world.cluster.answer, world.cluster.forgets = "submitted", False
    changed = warehouse_plan().model_copy(update={"checkpoint_interval_s": 77})
    assert not work.run(world.servers, changed, ALL, lambda _: None).resumed
    world.table.refresh()
    (left,) = unfinished(world.table).values()
    work.abandon(world.servers, world.table, left)
    assert seen(world.table) == AFTER
    assert (unfinished(world.table), world.table.refs().keys()) == ({}, {"main"})


def test_a_branch_that_somebody_removed_does_not_stop_the_next_backfill(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_branch(_: int) -> BranchProof:
        (branch,) = world.lake.load(TABLE).refs().keys() - {"main"}
        world.lake.load(TABLE).manage_snapshots().remove_branch(branch).commit()
        return BranchProof(Expected(20, 20, 0), 20, 0, 0, 0)

    with monkeypatch.context() as patch:
        told_by(patch, remove_branch)
        with pytest.raises(Conflict, match="removed by somebody"):
            world.run()
    assert seen(world.table) == BEFORE
    assert not world.run().resumed
    assert seen(world.table) == AFTER


def lost_after(world: World, looks: int) -> None:
    """Let the cluster forget its jobs after so many looks."""
    look, seen_so_far = world.cluster.job, iter(range(looks))

    def job(job_id: str) -> Job | None:
        return look(job_id) if next(seen_so_far, None) is not None else None

    world.cluster.job = job  # type: ignore[method-assign] # a cluster that changes its mind
