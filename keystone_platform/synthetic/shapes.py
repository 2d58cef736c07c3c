"""How many events of a load are due by when: pure functions of time, so that a run can be repeated and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

DAY_S = 86_400.0


@dataclass(frozen=True)
class Steady:
    """The same rate all the time.

    Attributes:
        rate: events a second.
    """

    rate: float

    def due(self, seconds: float) -> float:
        """Return how many events are due in the first `seconds`."""
        return self.rate * seconds


@dataclass(frozen=True)
class Wave:
    """A day of an audience: little at its beginning and end, most in its middle.

    Attributes:
        rate: events a second, on average over a day.
        day_s: how long the day takes; shorter to see one while one looks.
        swing: the rate goes from `rate * (1 - swing)` to `rate * (1 + swing)`; 0 to 1.
    """

    rate: float
    day_s: float = DAY_S
    swing: float = 0.8

    def due(self, seconds: float) -> float:
        """Return the integral of `rate * (1 - swing * cos(2 pi t / day_s))`."""
        turn = 2 * math.pi / self.day_s
        return self.rate * (seconds - self.swing * math.sin(turn * seconds) / turn)


@dataclass(frozen=True)
class Spike:
    """A steady rate that jumps at the end of each period.

    Attributes:
        rate: events a second between the spikes.
        every_s: the period.
        for_s: how long a spike takes, at most the period.
        times: the rate in a spike, as a multiple.
    """

    rate: float
    every_s: float = 60.0
    for_s: float = 5.0
    times: float = 10.0

    def due(self, seconds: float) -> float:
        """Return how many events are due in the first `seconds`."""
        periods, rest = divmod(seconds, self.every_s)
        spiked = periods * self.for_s + max(0.0, rest - (self.every_s - self.for_s))
        return self.rate * (seconds + (self.times - 1) * spiked)
