"""Stateful stand-ins for the servers, with as much behaviour as the control loop depends on.

tests/contract/test_flink_contract.py holds FakeFlink and FakeSubmitter to the real cluster.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keystone_platform.control.gateways import Gateways
from keystone_platform.errors import Terminal, Transient
from keystone_platform.gateways.iceberg_files import Changes, HourTotals
from keystone_platform.gateways.kafka import MAX_MESSAGE_BYTES, Moment, Offsets
from keystone_platform.gateways.lake import Head, TableChange
from keystone_platform.gateways.ledger import SqlLedger
from keystone_platform.gateways.objects import StoredObject, Upload
from keystone_platform.plan.checkpoint_contents import Contents
from keystone_platform.plan.column_effect import ColumnEffect
from keystone_platform.plan.observation import CheckpointAttempt, Checkpoints, Cluster, Job, JobState
from keystone_platform.plan.progress import Committing, JobProgress, Reading
from keystone_platform.plan.recovery import METADATA_HEAD_BYTES, NextOffsets, offsets_of_text
from keystone_platform.plan.router_plan import OutputColumn, RouterPlan, Source, WarehouseTarget
from keystone_platform.plan.slot_quota import UNBOUNDED, SlotQuotas
from keystone_platform.plan.submission import Submission, SubmitOutcome
from keystone_platform.spec.types import Field, Scalar

CHECKPOINTS = "s3://keystone/flink"


class FakeClock:
    """Time that passes only when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class FakeObjects:
    """An object store in memory: URI to bytes."""

    stored: dict[str, bytes] = field(default_factory=dict)
    modified: dict[str, datetime] = field(default_factory=dict)
    """When objects were written, where that matters."""

    def listed(self, prefix: str) -> tuple[StoredObject, ...]:
        long_ago = datetime(2026, 11, 1, tzinfo=UTC)
        return tuple(
            StoredObject(uri, len(self.stored[uri]), self.modified.get(uri, long_ago)) for uri in self.keys(prefix)
        )

    def walk(self, prefix: str) -> Iterator[StoredObject]:
        yield from self.listed(prefix)

    def uploads(self, prefix: str) -> tuple[Upload, ...]:
        return ()

    def abort(self, upload: Upload) -> None:
        raise AssertionError(upload)

    def keys(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(uri for uri in self.stored if uri.startswith(prefix)))

    def size(self, uri: str) -> int | None:
        return len(self.stored[uri]) if uri in self.stored else None

    def head(self, uri: str, size: int) -> bytes:
        return self.stored[uri][:size]

    def delete(self, uris: Iterable[str]) -> int:
        return sum(self.stored.pop(uri, None) is not None for uri in list(uris))

    def delete_prefix(self, prefix: str) -> int:
        return self.delete(self.keys(prefix))


@dataclass
class FakeFlink:
    """A session cluster: jobs, checkpoints and savepoints as objects, slots; switched off by `reachable`."""

    objects: FakeObjects
    clock: FakeClock
    slots: int = 8
    reachable: bool = True
    savepoints_fail: bool = False
    known: dict[str, Job] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    reading: dict[str, Reading] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    committing: dict[str, Committing] = field(default_factory=dict)
    restarted: dict[str, int] = field(default_factory=dict)
    remembered: dict[str, tuple[CheckpointAttempt, ...]] = field(default_factory=dict)
    """What jobs tell of their checkpoints."""
    fails_at_start: set[str] = field(default_factory=set)
    """Digests of plans whose jobs fail as soon as they run."""
    _checkpoints: dict[str, int] = field(default_factory=dict)
    _completed: dict[str, CheckpointAttempt] = field(default_factory=dict)

    def cluster(self) -> Cluster:
        self._answer()
        active = [job for job in self.known.values() if not job.state.is_terminal]
        plans = {item.job_id: item.plan for item in self.submissions}
        return Cluster(1, self.slots, self.slots - sum(plans[job.job_id].parallelism for job in active))

    def jobs(self) -> tuple[Job, ...]:
        self._answer()
        return tuple(self.known.values())

    def job(self, job_id: str) -> Job | None:
        self._answer()
        return self.known.get(job_id)

    def checkpoints(self, job_id: str) -> Checkpoints:
        self._answer()
        made = self._completed.get(job_id)
        return Checkpoints(
            completed=self._checkpoints.get(job_id, 0),
            failed=0,
            latest_path=made.path if made else None,
            latest_at=made.at if made else None,
            restored_from=self._submission(job_id).restore_from,
            history=self.remembered.get(job_id, (made,) if made else ()),
        )

    def progress(self, job_id: str) -> JobProgress:
        self._answer()
        if job_id not in self.known:
            message = f"no job {job_id}"
            raise Transient(message)
        whole = self.known[job_id].is_running
        return JobProgress(
            at=self.clock.now(),
            restarts=self.restarted.get(job_id, 0),
            checkpoints=self.checkpoints(job_id),
            reading=self.reading.get(job_id, self._idle(job_id)) if whole else None,
            dead=self.dead.get(job_id, 0) if whole else None,
            committing=self.committing.get(job_id) if whole else None,
        )

    def count(self, job_id: str, events: int, dead: int = 0) -> None:
        """Let the job have read so many events, and have written so many of them to the dead letters."""
        self.reading[job_id] = replace(self._idle(job_id), events=events, lag=0, per_s=1.0, busy=0.1)
        self.dead[job_id] = dead

    def _idle(self, job_id: str) -> Reading:
        parallelism = self._submission(job_id).plan.parallelism
        return Reading(parallelism=parallelism, events=0, per_s=0.0, lag=None, busy=0.0, backpressured=0.0)

    def failure(self, job_id: str) -> str | None:
        fell = self.known[job_id].state is JobState.FAILED or self.restarted.get(job_id, 0) > 0
        return "java.lang.Exception: it fails" if fell else None

    def stop_with_savepoint(self, job_id: str, directory: str, timeout_s: float) -> str:
        self._answer()
        if self.savepoints_fail:
            message = "the savepoint failed, the job goes on"
            raise Terminal(message)
        uri = f"{directory}/savepoint-{job_id[:6]}"
        self.objects.stored[f"{uri}/_metadata"] = self._metadata(job_id)
        self.set_state(job_id, JobState.FINISHED)
        return uri

    def cancel(self, job_id: str, timeout_s: float) -> None:
        self._answer()
        if job_id in self.known and not self.known[job_id].state.is_terminal:
            self.set_state(job_id, JobState.CANCELED)

    def take(self, submission: Submission) -> SubmitOutcome:
        """Accept a job, as the cluster does: refuse an id that it knows and a restore point that is not there."""
        if submission.job_id in self.known:
            return SubmitOutcome(job_id=submission.job_id, status="duplicate")
        origin = submission.restore_from
        if origin and not self.objects.keys(f"{origin}/_metadata"):
            return SubmitOutcome(job_id=submission.job_id, status="refused", reason=f"no such savepoint {origin}")
        self.submissions.append(submission)
        subtasks = submission.plan.parallelism * 3
        self.known[submission.job_id] = Job(
            submission.job_id, submission.plan.route, JobState.RUNNING, self.clock.now(), subtasks, subtasks
        )
        if submission.plan.digest in self.fails_at_start:
            self.set_state(submission.job_id, JobState.FAILED)
        return SubmitOutcome(job_id=submission.job_id, status="submitted")

    def checkpoint(self, job_id: str, holds: str = "") -> str:
        """Complete one checkpoint of the job, which `holds` these positions, and return its URI."""
        submission = self._submission(job_id)
        metadata = self._metadata(job_id) + holds.encode()
        number = self._checkpoints[job_id]
        uri = f"{submission.checkpoint_directory}/{job_id}/chk-{number}"
        self.objects.stored[f"{uri}/_metadata"] = metadata
        made = CheckpointAttempt(number, "completed", False, self.clock.now(), 0.1, len(metadata), uri)
        self._completed[job_id] = made
        return uri

    def set_state(self, job_id: str, state: JobState) -> None:
        """Put the job into a state."""
        running = self.known[job_id].tasks_total if state is JobState.RUNNING else 0
        self.known[job_id] = replace(self.known[job_id], state=state, tasks_running=running)

    def forget(self) -> None:
        """Lose all jobs, as a session cluster does when its JobManager dies."""
        self.known.clear()

    def _metadata(self, job_id: str) -> bytes:
        self._checkpoints[job_id] = self._checkpoints.get(job_id, 0) + 1
        return struct.pack(">IIq", 0x4960672D, 5, self._checkpoints[job_id])

    def _submission(self, job_id: str) -> Submission:
        return next(item for item in reversed(self.submissions) if item.job_id == job_id)

    def _answer(self) -> None:
        if not self.reachable:
            message = "Flink does not answer"
            raise Transient(message)


@dataclass
class FakeSubmitter:
    """Hands plans to a FakeFlink; `uncompilable` are digests that the planner refuses."""

    flink: FakeFlink
    uncompilable: set[str] = field(default_factory=set)
    has_jvm: bool = True
    dies_before: bool = False
    dies_after: bool = False
    calls: int = 0

    def submit(self, submissions: Sequence[Submission]) -> tuple[SubmitOutcome, ...]:
        self.calls += 1
        if not self.has_jvm:
            message = "no JVM could be started"
            raise Transient(message)
        if self.dies_before:
            return tuple(SubmitOutcome(job_id=item.job_id, status="unknown", reason="it died") for item in submissions)
        outcomes = tuple(self._one(item) for item in submissions)
        if self.dies_after:
            return tuple(SubmitOutcome(job_id=item.job_id, status="unknown", reason="it died") for item in submissions)
        return outcomes

    def check(self, plans: Sequence[RouterPlan]) -> tuple[str, ...]:
        return tuple("it does not compile" if plan.digest in self.uncompilable else "" for plan in plans)

    def _one(self, submission: Submission) -> SubmitOutcome:
        if submission.plan.digest in self.uncompilable:
            return SubmitOutcome(job_id=submission.job_id, status="refused", reason="it does not compile")
        return self.flink.take(submission)


@dataclass
class FakeKafka:
    """Topics by name, with their partitions."""

    topics: dict[str, int] = field(default_factory=dict)
    reaches: dict[str, Offsets] = field(default_factory=dict)
    """How far topics reach; empty ones need not be named."""
    ended: dict[str, int] = field(default_factory=dict)
    """Sums of where topics' partitions end."""
    arrived: dict[str, dict[datetime, int]] = field(default_factory=dict)
    """How many events came into a topic at a time."""
    reachable: bool = True
    away: str = ""
    """Begins the names of topics whose cluster does not answer."""
    records: dict[str, int] = field(default_factory=dict)
    """Largest record of the topics whose own is another than Keystone's."""
    transaction_timeout_s: float = 900.0

    def ensure_topic(self, name: str, partitions: int, config: Mapping[str, str] | None = None) -> bool:
        self._answer(name)
        created = name not in self.topics
        self.topics.setdefault(name, partitions)
        return created

    def ends(self, topics: Collection[str]) -> Mapping[str, int]:
        for topic in topics:
            self._answer(topic)
        known = dict.fromkeys(self.topics, 0) | self.ended
        return {topic: known[topic] for topic in topics if topic in known}

    def reached(self, asked: Collection[Moment]) -> Mapping[Moment, int | None]:
        if not self.reachable:
            message = "Kafka does not answer"
            raise Transient(message, mend="Is it up?")
        return {(topic, time): self._reached(topic, time) for topic, time in asked}

    def _reached(self, topic: str, time: datetime) -> int | None:
        if topic not in self.arrived:
            return None
        return sum(count for at, count in self.arrived[topic].items() if at < time)

    def offsets_at(self, topic: str, *times: datetime) -> tuple[Mapping[int, int], ...]:
        return (self.offsets(topic).end,) * len(times)

    def offsets(self, topic: str) -> Offsets:
        if self.away:
            self._answer(topic)
        return self.reaches.get(topic, Offsets({}, {}))

    def _answer(self, topic: str) -> None:
        if not self.reachable or (self.away and topic.startswith(self.away)):
            message = "Kafka does not answer"
            raise Transient(message, mend="Is it up?")

    def largest_record(self, topic: str) -> int | None:
        return self.records.get(topic, MAX_MESSAGE_BYTES) if topic in self.topics else None

    def largest_transaction_timeout_s(self) -> float:
        return self.transaction_timeout_s


@dataclass
class FakeLake:
    """Tables by name, newest committed checkpoints by (table, job id), and up to where tables hold events."""

    made: set[str] = field(default_factory=set)
    commits: dict[tuple[str, str], int] = field(default_factory=dict)
    landed: dict[str, NextOffsets] = field(default_factory=dict)

    def ensure_table(self, plan: RouterPlan) -> TableChange:
        assert isinstance(plan.target, WarehouseTarget)
        created = plan.target.table not in self.made
        self.made.add(plan.target.table)
        return TableChange(plan.target.table, created)

    def column_effects(self, plan: RouterPlan) -> tuple[ColumnEffect, ...]:
        return ()

    def tables(self) -> tuple[str, ...]:
        return tuple(sorted(self.made))

    def head(self, table: str) -> Head | None:
        return None

    def hours(self, table: str, only: Collection[datetime | None] | None = None) -> tuple[HourTotals, ...]:
        return ()

    def committed_checkpoint(self, table: str, job_id: str) -> int | None:
        return self.commits.get((table, job_id))

    def next_offsets(self, table: str, topics: Collection[str]) -> NextOffsets:
        return {topic: ends for topic, ends in self.landed.get(table, {}).items() if topic in topics}

    def changes_since(self, table: str, snapshot_id: int | None) -> Changes:
        raise NotImplementedError


@dataclass
class FakeSearch:
    """Templates by route."""

    templates: dict[str, RouterPlan] = field(default_factory=dict)

    def ensure_template(self, plan: RouterPlan) -> None:
        self.templates[plan.route] = plan


class FakeCheckpointReader:
    """Reads what FakeFlink writes: positions as text, behind the header."""

    def read(self, metadata: Sequence[bytes]) -> tuple[Contents, ...]:
        return tuple(self._one(each) for each in metadata)

    def _one(self, metadata: bytes) -> Contents:
        held = metadata[METADATA_HEAD_BYTES:].decode()
        return Contents(offsets_of_text(held)) if held else Contents(unreadable="no source has left its state in it")


@dataclass
class World:
    """All servers of one test."""

    clock: FakeClock
    objects: FakeObjects
    flink: FakeFlink
    submitter: FakeSubmitter
    kafka: FakeKafka
    lake: FakeLake
    search: FakeSearch
    ledger: SqlLedger
    slot_quotas: SlotQuotas = UNBOUNDED

    @property
    def gateways(self) -> Gateways:
        return Gateways(
            self.flink,
            self.submitter,
            self.kafka,
            self.lake,
            self.search,
            self.objects,
            self.ledger,
            self.clock,
            CHECKPOINTS,
            FakeCheckpointReader(),
            self.slot_quotas,
        )


def make_world(folder: Path) -> World:
    """Return servers with nothing on them; the ledger is the real one, on SQLite."""
    clock, objects = FakeClock(), FakeObjects()
    flink = FakeFlink(objects, clock)
    ledger = SqlLedger(f"sqlite:///{folder}/ledger.db")
    return World(clock, objects, flink, FakeSubmitter(flink), FakeKafka(), FakeLake(), FakeSearch(), ledger)


def a_plan(route: str = "playback.warehouse", parallelism: int = 1, table: str = "events.playback") -> RouterPlan:
    """Return a small valid plan; another parallelism or table gives another digest."""
    stream = route.split(".")[0]
    return RouterPlan(
        route=route,
        stream=stream,
        source=Source(topic=stream, columns=(Field("country", Scalar.STRING),)),
        columns=(OutputColumn(name="country", path=("country",), type=Scalar.STRING),),
        target=WarehouseTarget(table=table),
        dead_letter_topic=f"{stream}.dlq",
        parallelism=parallelism,
        checkpoint_interval_s=10,
    )
