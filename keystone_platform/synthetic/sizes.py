"""How large payloads are: mostly near their average, a few up to the largest that may be sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

DRAWS = 4096
"""Usual sizes are drawn once, so that their average is the one that was asked for."""

LARGE_SHARE = 1 / 20_000
"""Of events that are large, where large ones are wanted at all."""

LARGE_BYTES = 64 * 1024
"""Where large begins."""

_SIGMA = 0.6


@dataclass(frozen=True)
class Sizes:
    """Bytes of payloads.

    Attributes:
        mean: on average over many events.
        most: of any event; no more than `mean`: every event has the average.
    """

    mean: int
    most: int

    @property
    def is_constant(self) -> bool:
        """Whether every event has the same size."""
        return self.most <= self.mean

    @property
    def has_large(self) -> bool:
        """Whether some events are large."""
        return self.most > LARGE_BYTES

    def usual(self, random: Random) -> list[int]:
        """Return DRAWS sizes, log-normal, whose average with the large ones' share is `mean`."""
        if self.is_constant:
            return [self.mean]
        large = LARGE_SHARE * (self.most - LARGE_BYTES) / math.log(self.most / LARGE_BYTES) if self.has_large else 0.0
        drawn = [random.lognormvariate(0.0, _SIGMA) for _ in range(DRAWS)]
        scale = max(1.0, self.mean - large) * DRAWS / sum(drawn)
        ceiling = min(self.most, LARGE_BYTES) if self.has_large else self.most
        return [min(ceiling, round(scale * each)) for each in drawn]

    def large(self, share: float) -> int:
        """Return a size between LARGE_BYTES and `most`: each doubling as likely as another.

        Args:
            share: from 0 to below 1.
        """
        return min(self.most, round(math.exp(math.log(LARGE_BYTES) + share * math.log(self.most / LARGE_BYTES))))
