"""Waits for what is on its way, and counts what no report will come of.

A report is a call of Python: an exception out of a signal handler can end it before it has counted its event. Nothing
tells of such an event any more; that it is one is known once nothing is on its way and the sums still don't close.
"""

from __future__ import annotations

import time

from keystone_platform.producer.accounting import Account, DropReason
from keystone_platform.producer.clients import Clients

_STEP_S = 0.05

_STILL_S = 1.0
"""Nothing on its way and no sum changed for so long: longer than any thread takes to count a report that it has."""


class Drain:
    """Waits on all clients of a producer. Thread-safe."""

    def __init__(self, clients: Clients, account: Account) -> None:
        self._clients = clients
        self._account = account

    def flush(self, deadline_s: float) -> int:
        """Wait until no event is on its way, at most that long; return how many outcomes are not known.

        Within a report it waits for nothing, as nothing moves before that returns.
        """
        end = time.monotonic() + deadline_s
        still = _Stillness()
        while (pending := self._account.counts().pending) and (left := end - time.monotonic()) > 0:
            if not all(client.flush(min(left, _STEP_S)) for client in self._clients.all()):
                break
            if self._is_idle():
                if still.lasts(pending):
                    break
                time.sleep(min(left, _STEP_S))
            else:
                still = _Stillness()
        return pending

    def settle(self) -> None:
        """Count what no report will come of as CLOSED, if there is any: it may have arrived all the same.

        For the end, when nothing is sent any more. Waits for _STILL_S where sums don't close.
        """
        if self.flush(2 * _STILL_S) and self._is_idle():
            for tally in self._account.tallies():
                if pending := tally.counts().pending:
                    tally.drop(DropReason.CLOSED, pending)

    def _is_idle(self) -> bool:
        return not any(client.outstanding for client in self._clients.all())


class _Stillness:
    """How long a number has been the same."""

    def __init__(self) -> None:
        self._seen: int | None = None
        self._since = 0.0

    def lasts(self, seen: int) -> bool:
        """Take the number of now; return whether it was the same for _STILL_S."""
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since >= _STILL_S
