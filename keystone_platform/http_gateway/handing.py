"""Hands a request's events to the producer and waits, in the loop, for what becomes of each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from keystone_platform.cloudevents.event import CloudEvent
from keystone_platform.producer import Delivery, KeystoneProducer, Origin
from keystone_platform.producer.delivery import LoopMail


class Handing:
    """For one event loop.

    Args:
        producer: one that never waits for room: `max_block_s` 0, or the loop would stand still.
    """

    def __init__(self, producer: KeystoneProducer) -> None:
        self._producer = producer
        self._mail: LoopMail | None = None

    async def send(self, stream: str | None, events: Sequence[CloudEvent]) -> list[Delivery]:
        """Send each event to the stream, or without one to the stream that its type names; return their outcomes."""
        loop = asyncio.get_running_loop()
        if self._mail is None or self._mail.loop is not loop:
            self._mail = LoopMail(loop)
        futures = [self._handed_over(self._mail, stream or event.type, event) for event in events]
        return [await future for future in futures]

    def _handed_over(self, mail: LoopMail, stream: str, event: CloudEvent) -> asyncio.Future[Delivery]:
        future, on_delivery = mail.future()
        self._producer.send_as(
            Origin(event.id, event.source, event.type),
            stream,
            event.payload,
            event.key,
            event.time,
            on_delivery=on_delivery,
            extensions=event.extensions,
        )
        return future
