"""The sums of a drill: each event that was handed to the producer is somewhere, and counted there once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from keystone_platform.audit.truth import RouteTruth
from keystone_platform.drill.course import Figures
from keystone_platform.producer import Counts, DropReason


@dataclass(frozen=True)
class ClusterSums:
    """One cluster: what the producer counted, and what was found behind it.

    Attributes:
        dropped: given up, for any reason.
        timed_out: of these, given up without an answer: they may be in the topic all the same.
        in_topic: events that the topic holds.
        landed: of these, in the table, each counted once; `filtered`, `dead`, `lost`: see RouteTruth.
        duplicated: rows of the table that repeat another one's identity.
    """

    cluster: str
    topic: str
    attempted: int
    acknowledged: int
    dropped: int
    pending: int
    timed_out: int
    in_topic: int
    landed: int
    filtered: int
    dead: int
    lost: int
    duplicated: int

    @classmethod
    def of(cls, cluster: str, topic: str, counts: Counts, truth: RouteTruth) -> ClusterSums:
        """Return the sums of what the producer counted and what the audit found."""
        given_up = sum(counts.dropped.get(reason, 0) for reason in (DropReason.TIMED_OUT, DropReason.CLOSED))
        return cls(
            cluster,
            topic,
            counts.attempted,
            counts.acknowledged,
            counts.dropped_total,
            counts.pending,
            given_up,
            truth.produced,
            truth.landed,
            truth.filtered,
            truth.dead,
            truth.lost + truth.unexpected,
            truth.duplicated,
        )

    @property
    def arrived_all_the_same(self) -> int:
        """Events that were given up and are in the topic."""
        return self.in_topic - self.acknowledged

    @property
    def wrong(self) -> tuple[str, ...]:
        """What does not add up; empty if all does."""
        found = (
            (self.attempted != self.acknowledged + self.dropped, "attempted is not acknowledged + dropped"),
            (self.landed + self.filtered + self.dead != self.in_topic, "landed + filtered + dead is not in the topic"),
            (not 0 <= self.arrived_all_the_same <= self.timed_out, "the topic does not hold what was acknowledged"),
            (bool(self.lost), "events are lost"),
            (bool(self.duplicated), "rows are doubled"),
        )
        return tuple(f"{self.cluster}: {text}" for is_wrong, text in found if is_wrong)


@dataclass(frozen=True)
class Outcome:
    """What a drill came to.

    Attributes:
        guids_twice: rows of the table whose guid another row has too, over both clusters.
        switch_most_s: what `switch_s` has to stay below.
    """

    figures: Figures
    clusters: Sequence[ClusterSums]
    guids_twice: int
    seconds: float
    switch_most_s: float = 10.0

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is not as it should be; empty for a drill that was passed."""
        switch, back = self.figures.switch_s, self.figures.return_s
        found = [each for cluster in self.clusters for each in cluster.wrong]
        if switch is None or switch >= self.switch_most_s:
            found.append(f"no switch within {self.switch_most_s:.0f} s")
        if back is None:
            found.append("the stream did not return")
        if self.guids_twice:
            found.append(f"{self.guids_twice} events are there twice")
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        sums = [{**asdict(each), "arrived_all_the_same": each.arrived_all_the_same} for each in self.clusters]
        told = {"guids_twice": self.guids_twice, "seconds": round(self.seconds, 1), "wrong": list(self.wrong)}
        return {"drill": "kong", "figures": asdict(self.figures), "clusters": sums, **told}
