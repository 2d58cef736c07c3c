"""What became of a single event, for those who ask."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from keystone_platform.errors import KeystoneError
from keystone_platform.producer.accounting import DropReason


@dataclass(frozen=True)
class Delivery:
    """The outcome of an event.

    Attributes:
        guid: of the event; the envelope's `ce_id`.
        dropped: why it was given up; None when it was acknowledged.
        text: the same for people.
        partition: where it is; None when it was dropped, or Kafka did not say.
        offset: its place there.
        is_resent: whether another cluster was sent it before and may have it too, under the same guid.
    """

    guid: str
    stream: str
    cluster: str
    dropped: DropReason | None = None
    text: str = ""
    partition: int | None = None
    offset: int | None = None
    is_resent: bool = False

    @property
    def acknowledged(self) -> bool:
        """Whether Kafka has it."""
        return self.dropped is None


OnDelivery = Callable[[Delivery], None]
"""Called once for each event, in a thread that serves Kafka's reports or in `send` itself: it has to be quick."""


class EventDropped(KeystoneError):
    """`send` of a strict producer could not take the event. It is counted all the same.

    Attributes:
        stream: as it was given.
        reason: why.
    """

    def __init__(self, stream: str, reason: DropReason, text: str) -> None:
        super().__init__(f"event of {stream} dropped: {text}")
        self.stream = stream
        self.reason = reason


class LoopMail:
    """Brings outcomes into an asyncio loop: one wake-up for as many as came since the last one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._mail: deque[tuple[asyncio.Future[Delivery], Delivery]] = deque()
        self._is_called = False

    def future(self) -> tuple[asyncio.Future[Delivery], OnDelivery]:
        """Return a future of the loop, and what resolves it from any thread."""
        future: asyncio.Future[Delivery] = self.loop.create_future()
        return future, lambda delivery: self._post(future, delivery)

    def _post(self, future: asyncio.Future[Delivery], delivery: Delivery) -> None:
        self._mail.append((future, delivery))
        if not self._is_called:
            self._is_called = True
            try:
                self.loop.call_soon_threadsafe(self._hand_out)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._mail.clear()

    def _hand_out(self) -> None:
        self._is_called = False  # before the first is taken: one that comes now calls again
        while self._mail:
            future, delivery = self._mail.popleft()
            if not future.done():
                future.set_result(delivery)
