"""A lane is how the events of one stream go in one hour: topic, client, tally, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError, Message

from keystone_platform import envelope
from keystone_platform.producer.accounting import DropReason, Tally
from keystone_platform.producer.client import ENOUGH, EVENT_BYTES, Buffer, Client
from keystone_platform.producer.delivery import Delivery, OnDelivery
from keystone_platform.producer.problems import Reporter, call_hook

Header = tuple[str, str | bytes]


class Lane:
    """One stream in one hour on one client; its methods are what librdkafka's reports call."""

    __slots__ = (
        "_reporter",
        "buffer",
        "client",
        "max_block_s",
        "produce",
        "report",
        "report_keyed",
        "stream",
        "tally",
        "topic",
        "type",
    )

    def __init__(
        self,
        stream: str,
        topic: str,
        max_block_s: float,
        tally: Tally,
        client: Client,
        buffer: Buffer,
        reporter: Reporter,
    ) -> None:
        self.stream = stream
        self.topic = topic
        self.max_block_s = max_block_s
        self.tally = tally
        self.client = client
        self.produce = client.produce
        self.buffer = buffer
        self.type: Header = (envelope.CE_TYPE, stream)
        self._reporter = reporter
        # bound once: `send` hands one of them over with each event
        self.report = self.delivered
        self.report_keyed = self.delivered_keyed

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Take a report of an event without key, extensions and callback."""
        buffer, size = self.buffer, len(message) + EVENT_BYTES
        buffer.freed += size  # without a call in it: see accounting.py
        if error is None:
            self.tally.acknowledged += 1
        else:
            self.fail(error)
        buffer.turns -= 1
        if buffer.turns < 0:
            raise ENOUGH

    def delivered_keyed(self, error: KafkaError | None, message: Message) -> None:
        """Take a report of an event with a key; written out, since a call costs as much as half of it."""
        buffer, size = self.buffer, len(message) + len(message.key() or b"") + EVENT_BYTES
        buffer.freed += size
        if error is None:
            self.tally.acknowledged += 1
        else:
            self.fail(error)
        buffer.turns -= 1
        if buffer.turns < 0:
            raise ENOUGH

    def fail(self, error: KafkaError) -> DropReason:
        """Count an event that Kafka did not take, and tell it."""
        reason = self.client.reason(error)
        self.drop(reason, error.str())
        return reason

    def drop(self, reason: DropReason, text: str) -> None:
        """Count an event that was given up, and tell it."""
        self.tally.drop(reason)
        self._reporter.tell(reason.value, text, self.tally.stream, self.tally.cluster)


Again = Callable[[KafkaError, Message], bool]
"""Takes a failed event over, if it can."""


class Followed:
    """One event that somebody follows, or that takes more of the buffer than its payload and key tell.

    Args:
        more: what it takes beside its payload and EVENT_BYTES.
        again: sends it elsewhere if it fails; it counts it then.
    """

    __slots__ = ("_again", "_callback", "_guid", "_lane", "_more", "_reporter")

    def __init__(
        self,
        lane: Lane,
        guid: str,
        more: int,
        callback: OnDelivery | None,
        reporter: Reporter,
        again: Again | None = None,
    ) -> None:
        self._again = again
        self._lane = lane
        self._guid = guid
        self._more = more
        self._callback = callback
        self._reporter = reporter

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Take its report."""
        lane = self._lane
        buffer, size = lane.buffer, len(message) + EVENT_BYTES + self._more
        buffer.freed += size
        if error is None:
            lane.tally.acknowledged += 1
            offset = message.offset()
            place = (message.partition(), offset) if offset is not None and offset >= 0 else (None, None)
            self.call(Delivery(self._guid, lane.stream, lane.tally.cluster, None, "", *place))
        elif self._again is None or not self._again(error, message):
            self.dropped(lane.fail(error), error.str())
        buffer.turns -= 1
        if buffer.turns < 0:
            raise ENOUGH

    def dropped(self, reason: DropReason, text: str) -> None:
        """Tell whoever follows it that it was given up."""
        self.call(Delivery(self._guid, self._lane.stream, self._lane.tally.cluster, reason, text))

    def call(self, delivery: Delivery) -> None:
        """Call back; what the callback raises is told and goes no further."""
        if self._callback is None:
            return
        tell, stream = self._reporter.tell, self._lane.stream
        call_hook(self._callback, delivery, lambda text: tell("hook_failed", f"on_delivery {text}", stream))


Lanes = dict[str, Lane]
"""The lanes of an hour by stream; filled as streams are first sent to."""
