"""The course of a drill: what a producer had counted at each moment, and what follows from that."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keystone_platform.producer import KeystoneProducer, Place

EVERY_S = 0.1


@dataclass(frozen=True)
class Moment:
    """One look.

    Attributes:
        at: seconds since the course began.
        acknowledged: events so far, by cluster.
        pending: events whose outcome is not known yet, by cluster.
        used: the cluster that the stream goes to; empty before the first event.
    """

    at: float
    acknowledged: Mapping[str, int]
    pending: Mapping[str, int]
    used: str


@dataclass(frozen=True)
class Figures:
    """What the death of the primary meant.

    Attributes:
        switch_s: from the kill to the first event that the standby acknowledged; None: never.
        stuck: events that waited for the dead cluster when the stream left it.
        late: of these, how many were acknowledged when it was back.
        latest_s: how long after the kill the last of them was.
        return_s: from the moment that the broker answered again to the stream's return; None: never.
    """

    switch_s: float | None
    stuck: int
    late: int
    latest_s: float | None
    return_s: float | None


@dataclass
class Marks:
    """When something was done, in seconds of the course; None: not yet."""

    killed: float | None = None
    back: float | None = None


@dataclass
class Course:
    """Looks at a producer's stream ten times a second while it is entered."""

    producer: KeystoneProducer
    stream: str
    clusters: Sequence[str]
    moments: list[Moment] = field(default_factory=list)
    marks: Marks = field(default_factory=Marks)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="course", daemon=True)

    def __enter__(self) -> Course:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def now(self) -> float:
        """Seconds since the course began."""
        return time.monotonic() - self._began

    @property
    def last(self) -> Moment:
        """The newest look."""
        return self.moments[-1] if self.moments else self._look()

    def figures(self) -> Figures:
        """Return what the looks tell."""
        return figures(self.moments, self.marks, *self.clusters)

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            self.moments.append(self._look())

    def _look(self) -> Moment:
        at, found = self.now, self.producer.counts_by_place()
        counts = {name: found.get(Place(self.stream, name)) for name in self.clusters}
        acknowledged = {name: each.acknowledged if each else 0 for name, each in counts.items()}
        pending = {name: each.pending if each else 0 for name, each in counts.items()}
        return Moment(at, acknowledged, pending, self.producer.using().get(self.stream, ""))


def figures(moments: Sequence[Moment], marks: Marks, primary: str, standby: str) -> Figures:
    """Return what the moments tell of a primary that was killed and came back at those marks."""
    if marks.killed is None:
        return Figures(None, 0, 0, None, None)
    after = [each for each in moments if each.at >= marks.killed]
    switched = next((each for each in after if each.used == standby), None)
    arrived = next((each for each in after if each.acknowledged[standby]), None)
    if switched is None or arrived is None:
        return Figures(None, 0, 0, None, None)
    back = next((each for each in after if each.at > switched.at and each.used == primary), None)
    away = [each for each in after if each.at >= switched.at and (back is None or each.at < back.at)]
    late = away[-1].acknowledged[primary] - switched.acknowledged[primary]
    last = next((each.at for each in away if each.acknowledged[primary] == away[-1].acknowledged[primary]), None)
    return Figures(
        switch_s=arrived.at - marks.killed,
        stuck=switched.pending[primary],
        late=late,
        latest_s=last - marks.killed if late and last is not None else None,
        return_s=back.at - marks.back if back and marks.back is not None else None,
    )
