"""How far a router's job has come and how hard it works, as measured at one moment: a job that runs may stand still."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keystone_platform.plan.observation import Checkpoints

HELD_UP = 0.9
"""Share of its time from which a reading subtask that does not wait for events may be held up by what comes after."""


@dataclass(frozen=True)
class Reading:
    """The subtasks that read the topics, over the last minute as Flink smooths it.

    Attributes:
        parallelism: of these subtasks.
        events: read since the tasks were started; a count that fell was a restart.
        per_s: events/s, of all subtasks together.
        lag: events in the topics that were not fetched yet, as of the last fetch: a source that is held up fetches
            nothing, and then this stands still. None before the first fetch.
        busy: share of the time, 0 to 1, that the busiest of them did not wait for events.
        backpressured: share of the time, 0 to 1, that the worst of them waited for what comes after it.
    """

    parallelism: int
    events: int
    per_s: float
    lag: int | None
    busy: float
    backpressured: float

    @property
    def per_s_of_one(self) -> float:
        """Events/s of a subtask, on average."""
        return self.per_s / self.parallelism

    @property
    def is_held_up(self) -> bool:
        """Whether a subtask may fetch nothing, so that `lag` may be old."""
        return self.busy >= HELD_UP


@dataclass(frozen=True)
class Committing:
    """What a warehouse router has handed over to its table since the tasks were started.

    Attributes:
        written: rows that came to its writers.
        committed: rows of its commits; also of files from before the start that were committed after it.
        age_s: seconds since the committer was through with a checkpoint, whether there was something to commit or not,
            or since the start.
    """

    written: int
    committed: int
    age_s: float

    @property
    def waiting(self) -> int:
        """Rows that no commit holds yet."""
        return max(0, self.written - self.committed)


@dataclass(frozen=True)
class JobProgress:
    """A job as measured.

    Attributes:
        at: when, UTC. Flink's metrics are up to some 15 s older.
        restarts: of the job by Flink since it was submitted.
        checkpoints: its checkpoints in this run.
        reading: None while its tasks do not (yet) tell.
        dead: events written to the dead letters since the tasks were started; None while they do not tell.
        committing: None where there is no table, or while its tasks do not tell.
    """

    at: datetime
    restarts: int
    checkpoints: Checkpoints
    reading: Reading | None = None
    dead: int | None = None
    committing: Committing | None = None


@dataclass(frozen=True)
class Measurement:
    """All that was asked for of a router's job at one tick.

    Attributes:
        failure: the first lines of the job's last exception; empty when it never restarted.
        ends: sum of where its topics' partitions end; asked for only where nothing was read, else None.
    """

    progress: JobProgress
    failure: str = ""
    ends: int | None = None
