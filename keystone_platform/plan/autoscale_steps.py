"""Which parallelisms are worth having for a topic of so many partitions.

A partition is read by one subtask, so a router is as fast as its subtask with the most partitions: 12 partitions on 5
subtasks go as fast as on 4. Divisors of the partitions share them evenly and come first, as in the Flink Kubernetes
Operator's autoscaler (scaling to the partitions' divisors).
"""

from __future__ import annotations

import math

DIVISOR_EXCESS = 1.5
"""A divisor is taken instead of the smallest step that suffices unless it has more than so many times its subtasks."""


def speed(parallelism: int, partitions: int) -> float:
    """Return how many times the rate of one subtask that reads alone the router reaches."""
    return partitions / math.ceil(partitions / parallelism)


def steps(partitions: int, least: int, most: int) -> tuple[int, ...]:
    """Return the parallelisms from `least` to `most`, ascending, that are faster than any smaller one.

    The bounds themselves hold above all: if no step lies between them, `least` is the only one.
    """
    useful = {math.ceil(partitions / share) for share in range(1, partitions + 1)}
    return tuple(sorted({least, *(step for step in useful if least <= step <= most)}))


def step_for(subtasks: float, partitions: int, least: int, most: int) -> int:
    """Return the step whose speed is that of so many subtasks at least; the fastest one where none is."""
    allowed = steps(partitions, least, most)
    enough = [step for step in allowed if speed(step, partitions) >= subtasks]
    if not enough:
        return allowed[-1]
    divisors = (step for step in enough if partitions % step == 0 and step <= enough[0] * DIVISOR_EXCESS)
    return next(divisors, enough[0])
