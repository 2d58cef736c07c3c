"""Whether Kafka answers, asked now and then, so that a balancer sends requests where they can be taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

EVERY_S = 5.0

Probe = Callable[[], str | None]
"""Asks Kafka and returns what is wrong, else None; may block for some seconds."""


class Readiness:
    """What the newest probe found.

    Attributes:
        trouble: why events are not taken now; None when they are.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.trouble: str | None = "Kafka was not asked yet"

    @property
    def kafka_answers(self) -> bool:
        """Whether it did at the last look."""
        return self.trouble is None

    async def watch(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Ask once."""
        try:
            self.trouble = await asyncio.to_thread(self._probe)
        except Exception as error:  # a probe that fails is no reason to stop probing
            self.trouble = f"{type(error).__name__}: {error}"
