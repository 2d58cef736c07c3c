"""A router's metrics in Flink's words: which of a vertex are asked for, and what they say.

Metrics of operators are named after them and a vertex names its operators, so no list of metrics has to be asked for:
but of Iceberg's committer, whose metrics hold the table's name. What the operators are called follows from flink_jobs'
tables, and from the route for Iceberg's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keystone_platform.plan.progress import Committing, Reading

_SOURCE = re.compile(r"Source: .*?(?= -> |$)")
_DEAD_LETTERS = re.compile(r"_(?:standby_)?dead_letters\[\d+\]: Writer")
_TABLE_WRITER = re.compile(r"(?<![^ (])[a-z]\w*\.\w+: Writer")
_TABLE_COMMITTER = re.compile(r"[a-z]\w*\.\w+: Committer")

_OPERATOR_NAME = 80
"""Flink cuts an operator's name in its metrics after so many signs."""

_REPLACED = re.compile(r"[ .:,]")
"""Flink puts an underscore for each of these."""

_IDLE, _BACKPRESSURED = "idleTimeMsPerSecond", "backPressuredTimeMsPerSecond"
_READ, _READ_PER_S, _PENDING = "numRecordsIn", "numRecordsInPerSecond", "pendingRecords"
_COMMITTED, _SINCE_COMMIT = "committedDataFilesRecordCount", "elapsedSecondsSinceLastSuccessfulCommit"


@dataclass(frozen=True)
class Vertex:
    """A vertex of the job's graph: operators that run in the same tasks."""

    vertex_id: str
    name: str
    parallelism: int

    @property
    def is_committer(self) -> bool:
        """Whether it commits to the warehouse's table."""
        return bool(_TABLE_COMMITTER.fullmatch(self.name))

    def wanted(self) -> tuple[str, ...]:
        """Return the metrics to ask for; those of the committer are not among them."""
        names: list[str] = []
        if source := _SOURCE.match(self.name):
            names += [_IDLE, _BACKPRESSURED]
            names += [_metric(source[0], name) for name in (_READ, _READ_PER_S, _PENDING)]
        names += [_metric(found, _READ) for found in _DEAD_LETTERS.findall(self.name)]
        return (*names, *(_metric(found, _READ) for found in _TABLE_WRITER.findall(self.name)))


def wanted_of_committer(listed: Iterable[str]) -> tuple[str, ...]:
    """Return the metrics to ask a committer for, of those that it lists."""
    return tuple(name for name in listed if name.endswith((f".{_COMMITTED}", f".{_SINCE_COMMIT}")))


Answers = Mapping[str, Mapping[str, float]]
"""By metric: its `sum`, `min` and `max` over the subtasks."""


def answers(body: Sequence[Mapping[str, Any]]) -> Answers:
    """Return what Flink answered for one vertex; what it does not know is left out."""
    return {metric["id"]: {name: metric[name] for name in ("sum", "min", "max")} for metric in body}


def reading(vertex: Vertex, found: Answers) -> Reading | None:
    """Return what the subtasks that read do; None for another vertex, or while they do not tell."""
    source = _SOURCE.match(vertex.name)
    if source is None or _IDLE not in found or _metric(source[0], _READ) not in found:
        return None
    read, per_s, pending = (found.get(_metric(source[0], name)) for name in (_READ, _READ_PER_S, _PENDING))
    return Reading(
        parallelism=vertex.parallelism,
        events=int(read["sum"]) if read else 0,
        per_s=per_s["sum"] if per_s else 0.0,
        lag=int(pending["sum"]) if pending else None,
        busy=_share(1000 - found[_IDLE]["min"]),
        backpressured=_share(found[_BACKPRESSURED]["max"]) if _BACKPRESSURED in found else 0.0,
    )


def together(sources: Sequence[Reading]) -> Reading | None:
    """Return what the sources of a job do, one a Kafka cluster, as if they were one; None where there is none.

    Subtasks of two sources work beside each other: what the two are busy with adds up, and a lag that one does not know
    (its cluster was away since it was started) is left out.
    """
    if len(sources) < 2:
        return sources[0] if sources else None
    lags = [each.lag for each in sources if each.lag is not None]
    return Reading(
        parallelism=max(each.parallelism for each in sources),
        events=sum(each.events for each in sources),
        per_s=sum(each.per_s for each in sources),
        lag=sum(lags) if lags else None,
        busy=min(1.0, sum(each.busy for each in sources)),
        backpressured=max(each.backpressured for each in sources),
    )


def dead_letters(vertex: Vertex, found: Answers) -> int | None:
    """Return the events written to the dead letters; None for another vertex, or while it does not tell."""
    return _total(found, [_metric(name, _READ) for name in _DEAD_LETTERS.findall(vertex.name)])


def written(vertex: Vertex, found: Answers) -> int | None:
    """Return the rows that came to the writers of the table; None for another vertex, or while it does not tell."""
    return _total(found, [_metric(name, _READ) for name in _TABLE_WRITER.findall(vertex.name)])


def committing(rows_written: int | None, found: Answers) -> Committing | None:
    """Return what the committer says; one of its subtasks commits, the others count nothing."""
    committed = next((value for name, value in found.items() if name.endswith(_COMMITTED)), None)
    since = next((value for name, value in found.items() if name.endswith(_SINCE_COMMIT)), None)
    if rows_written is None or committed is None or since is None:
        return None
    return Committing(written=rows_written, committed=int(committed["sum"]), age_s=since["min"])


def _metric(operator: str, name: str) -> str:
    return f"{_REPLACED.sub('_', operator[:_OPERATOR_NAME])}.{name}"


def _total(found: Answers, names: Sequence[str]) -> int | None:
    known = [found[name]["sum"] for name in names if name in found]
    return int(sum(known)) if known else None


def _share(milliseconds: float) -> float:
    return min(1.0, max(0.0, milliseconds / 1000))
