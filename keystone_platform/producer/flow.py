"""Whether events of a cluster are acknowledged, from sums alone, so that sending one costs nothing for it.

How long the oldest event waits is not known exactly: n events were sent by some moment, fewer are done by now, so
at least one of these is open since then. Where a part of a cluster is stuck and the rest goes on, that says less than
the truth.
"""

from __future__ import annotations

import math
from collections import deque

from keystone_platform.producer.accounting import Sums

FAILING_S = 10.0
"""How long an event that was given up counts against a cluster."""

_KEPT_S = 120.0


class Flow:
    """The sums of one cluster over time."""

    def __init__(self) -> None:
        self._seen = Sums(0, 0, 0, 0)
        self._waiting_since: float | None = None
        self._acknowledged_at = -math.inf
        self._failed_at = -math.inf
        self._sent: deque[tuple[float, int]] = deque()

    def look(self, sums: Sums, now: float) -> None:
        """Take the sums of a moment; moments ascend."""
        before, self._seen = self._seen, sums
        if sums.acknowledged > before.acknowledged:
            self._acknowledged_at = self._waiting_since = now
        if sums.timed_out > before.timed_out:
            self._failed_at = now
        if sums.sent <= sums.done:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = now
        if sums.sent > before.sent:
            self._sent.append((now, sums.sent))
        while self._sent and (self._sent[0][1] <= sums.done or now - self._sent[0][0] > _KEPT_S):
            self._sent.popleft()

    def stalled_s(self, now: float) -> float:
        """Return for how long nothing was acknowledged although events wait."""
        return 0.0 if self._waiting_since is None else now - self._waiting_since

    def oldest_s(self, now: float) -> float:
        """Return for how long the oldest event waits, at least; of one that waits longer than two minutes these."""
        return now - self._sent[0][0] if self._sent else 0.0

    def acknowledged_ago_s(self, now: float) -> float:
        """Return since when nothing was acknowledged."""
        return now - self._acknowledged_at

    def is_failing(self, now: float) -> bool:
        """Whether events were given up lately, and none was acknowledged since."""
        return self._failed_at > self._acknowledged_at and now - self._failed_at < FAILING_S
