"""Which of its clusters a stream goes to: a pure choice by how they are, and by what an order says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from keystone_platform.producer.health import Condition, FailoverLimits, Health

Conditions = Mapping[str, Condition]
"""By cluster."""


def choose(current: str, names: Sequence[str], conditions: Conditions, now: float, limits: FailoverLimits) -> str:
    """Return the cluster that the producer itself would use.

    Stays where it is unless that is sick, or a preferred cluster is well (which, after a sickness, takes a hold: see
    `judge`). Never goes to a cluster that is not known to be well; if all are sick it stays too.

    `current` is what is used now, `names` are the clusters to choose from, the preferred one first.
    """
    for name in names:
        if name == current:
            if conditions[name].health is not Health.SICK:
                return current
        elif conditions[name].health is Health.HEALTHY:
            return name
    on_trial = (name for name in names if name != current and conditions[name].is_on_trial(now, limits))
    return next(on_trial, current)


def shares(names: Sequence[str], in_use: Collection[str], used: Callable[[str], int], limit: int) -> Mapping[str, int]:
    """Return how many bytes of the one bound each cluster's events may take.

    A cluster that is in use has all that the others leave, at least half of an equal share; one that is not has that
    half: what waits for a dead cluster must not take the room of what is sent elsewhere meanwhile.
    """
    least = limit // (2 * len(names))
    busy = [name for name in names if name in in_use] or list(names)
    spare = limit - least * (len(names) - len(busy))
    kept = {name: max(used(name), spare // len(busy) if name in busy else least) for name in names}
    return {name: max(least, limit - sum(kept.values()) + kept[name]) if name in busy else least for name in names}
