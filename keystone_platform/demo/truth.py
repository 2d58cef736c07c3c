"""The demonstration's last line: what became of the events of this run, each number read back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from keystone_platform.audit.truth import RouteTruth


@dataclass(frozen=True)
class DemoTruth:
    """The routes' truths added up; the names are the keys of the JSON object.

    Attributes:
        produced: events of this run in the topics.
        files_before: data files, before compaction, of the hours into which rows landed in this run.
        files_after: data files of the same hours after it.
        seconds: from the start of the command to the last number.
    """

    produced: int
    landed: int
    filtered: int
    dead: int
    lost: int
    duplicated: int
    files_before: int
    files_after: int
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether nothing is lost or duplicated."""
        return not (self.lost or self.duplicated)

    def as_json(self) -> str:
        """Return one JSON object on one line."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        counts = {
            "produced": self.produced,
            "landed": self.landed,
            "filtered out": self.filtered,
            "dead": self.dead,
            "lost": self.lost,
            "duplicated": self.duplicated,
        }
        told = " · ".join(f"{name} {count:,}" for name, count in counts.items())
        return f"{told} · files {self.files_before:,} → {self.files_after:,} · {self.seconds:.0f} s"


def add_up(routes: Sequence[RouteTruth], *, files_before: int, files_after: int, seconds: float) -> DemoTruth:
    """Add up routes of different streams: with one route a stream, produced is landed + filtered + dead + lost."""
    return DemoTruth(
        produced=sum(route.produced for route in routes),
        landed=sum(route.landed for route in routes),
        filtered=sum(route.filtered for route in routes),
        dead=sum(route.dead for route in routes),
        lost=sum(route.lost for route in routes),
        duplicated=sum(route.duplicated for route in routes),
        files_before=files_before,
        files_after=files_after,
        seconds=round(seconds, 1),
    )
