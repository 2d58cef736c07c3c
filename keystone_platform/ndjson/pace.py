"""When the next event may go: not before it is due, and not before there is room for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from keystone_platform.gateways.clock import Clock
from keystone_platform.ndjson.stop import Stop
from keystone_platform.producer import KeystoneProducer

BUFFER_BYTES = 256 * 1024 * 1024
"""Of the producer: half of it is used, so that an event of 10 MB always finds room and none is dropped for it."""

_STEP_S = 0.005


class Shape(Protocol):
    """How many events are due by when."""

    def due(self, seconds: float) -> float:
        """Return how many events are due in the first `seconds`; never less than a moment before."""
        ...


class Pace:
    """Holds a sender back.

    Args:
        shape: None: as fast as it goes.
        stop: ends every wait.
        look: called now and then, at least while it waits.
    """

    def __init__(
        self, producer: KeystoneProducer, clock: Clock, shape: Shape | None, stop: Stop, look: Callable[[], None]
    ) -> None:
        self._producer = producer
        self._clock = clock
        self._shape = shape
        self._stop = stop
        self._look = look
        self._began = clock.now().timestamp()
        self._sent = 0
        self._due = 0.0

    def turn(self) -> bool:
        """Wait for the next event's turn; False when the run is to end."""
        if not self._sent % 256:
            self._look()
        self._sent += 1
        while not self._stop.asked and (self._producer.buffer_bytes > BUFFER_BYTES // 2 or not self._is_due()):
            self.wait()
        return not self._stop.asked

    def wait(self) -> None:
        """Let some milliseconds pass."""
        self._look()
        self._clock.sleep(_STEP_S)

    def _is_due(self) -> bool:
        if self._shape is None or self._sent <= self._due:
            return True
        self._due = self._shape.due(self._clock.now().timestamp() - self._began)
        return self._sent <= self._due
