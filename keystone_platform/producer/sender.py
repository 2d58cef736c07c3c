"""The long way of an event: whatever is not the ordinary case is checked, waited for, refused and told here."""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from time import time_ns

from confluent_kafka import KafkaError, KafkaException, Message

from keystone_platform import envelope
from keystone_platform.producer.accounting import DropReason, Tally
from keystone_platform.producer.attributes import Refused, check_bytes, event_time, extension_headers
from keystone_platform.producer.client import (
    EVENT_BYTES,
    FOLLOWED_BYTES,
    MAX_EVENT_BYTES,
    NOT_ANSWERED,
    REASONS,
    RESENDABLE_BYTES,
)
from keystone_platform.producer.delivery import Delivery, EventDropped, LoopMail, OnDelivery
from keystone_platform.producer.engine import Engine
from keystone_platform.producer.lanes import Again, Followed, Header, Lane
from keystone_platform.producer.origin import Origin
from keystone_platform.producer.problems import call_hook
from keystone_platform.producer.stamps import HOUR_MS, time_text

_WAIT_STEP_S = 0.005

SIGNALLED = "The event was not sent: a signal handler raised something while it was handed over."
"""Said of a TypeError: confluent-kafka's client replaces by it what a handler raises while headers are read; nothing
else of an event gets so far with a wrong type.
"""

Validate = Callable[[str, bytes], str | None]
"""Is given stream and payload; returns what is wrong with it, else None."""


@dataclass(frozen=True)
class Draft:
    """An event as a caller handed it over; anything may be wrong with it."""

    stream: str
    payload: bytes
    key: bytes | None
    time: datetime | None
    extensions: Mapping[str, str]
    origin: Origin | None = None


@dataclass(frozen=True)
class _Event:
    """An event that may go.

    Attributes:
        more: bytes that it takes beside payload, key and EVENT_BYTES.
    """

    payload: bytes
    key: bytes | None
    millis: int
    headers: list[Header]
    more: int

    @property
    def size(self) -> int:
        """What it takes in the buffer."""
        return len(self.payload) + len(self.key or b"") + EVENT_BYTES + self.more


class Sender:
    """Sends events the long way. Thread-safe."""

    def __init__(self, engine: Engine, source: Header, validate: Validate | None, *, strict: bool) -> None:
        self._engine = engine
        self._source = source
        self._validate = validate
        self._strict = strict
        self._mail: LoopMail | None = None

    def send(self, draft: Draft, on_delivery: OnDelivery | None, *, may_block: bool = True) -> str:
        """Hand the event over, count it, and return its guid; see KeystoneProducer.send.

        Raises:
            EventDropped: strict, and the event can't be taken.
        """
        engine, now = self._engine, time_ns() // 1_000_000
        guid = draft.origin.id if draft.origin else engine.guid(now)
        hour = now // HOUR_MS
        try:
            timing = event_time(draft.time, now) if draft.time is not None else (now, _now_header(now))
            hour = timing[0] // HOUR_MS
            event = self._event(draft, guid, timing)
            lane = engine.lane(draft.stream, hour)
        except Refused as error:
            tally = engine.stray(draft.stream, hour, error.reason)
            tally.attempted += 1
            self._give_up(tally, draft, guid, error, on_delivery)
            return guid
        lane.tally.attempted += 1
        until = clock.monotonic() + (lane.max_block_s if may_block else 0.0)
        try:
            while not self._hand_over(lane, event, guid, on_delivery, until):
                fresh = engine.lane(draft.stream, hour)
                fresh.tally.attempted += 1
                lane.tally.attempted -= 1  # another cluster is used by now: there it is attempted
                lane = fresh
        except Refused as error:
            self._give_up(lane.tally, draft, guid, error, on_delivery)
        except TypeError:  # see SIGNALLED
            lane.tally.attempted -= 1
            raise
        return guid

    async def room(self, stream: str, payload: bytes) -> None:
        """Wait until the buffer has room for the payload, at most as long as the stream's terms grant."""
        engine = self._engine
        try:
            lane = engine.lane(stream, time_ns() // 1_000_000 // HOUR_MS)
            size = len(payload) + EVENT_BYTES
        except (Refused, TypeError):  # `send` tells
            return
        end = clock.monotonic() + lane.max_block_s
        while lane.buffer.used + size > lane.buffer.limit and clock.monotonic() < end:
            lane.client.serve()
            await asyncio.sleep(_WAIT_STEP_S)

    def mail(self, loop: asyncio.AbstractEventLoop) -> LoopMail:
        """Return what brings outcomes into the loop."""
        if self._mail is None or self._mail.loop is not loop:
            self._mail = LoopMail(loop)
        return self._mail

    def _event(self, draft: Draft, guid: str, timing: tuple[int, Header]) -> _Event:
        check_bytes(draft.payload, draft.key)
        if len(draft.payload) > MAX_EVENT_BYTES:
            text = f"payload of {len(draft.payload)} bytes, {MAX_EVENT_BYTES} at most"
            raise Refused(DropReason.TOO_LARGE, text)
        extensions, more = extension_headers(draft.extensions) if draft.extensions else ([], 0)
        if self._validate and (wrong := self._objection(self._validate, draft)):
            raise Refused(DropReason.INVALID, wrong)
        kind, source = draft.stream, self._source
        if origin := draft.origin:
            kind, more = origin.type or kind, more + origin.size
            source = (envelope.CE_SOURCE, origin.source) if origin.source else source
        headers: list[Header] = [
            (envelope.CE_SPECVERSION, envelope.SPECVERSION),
            (envelope.CE_TYPE, kind),
            timing[1],
            *extensions,
            (envelope.CE_ID, guid),
            source,
        ]
        return _Event(draft.payload, draft.key, timing[0], headers, more)

    def _objection(self, validate: Validate, draft: Draft) -> str | None:
        try:
            return validate(draft.stream, draft.payload)
        except Exception as error:  # not the event's fault: it goes as it is
            self._engine.reporter.tell("hook_failed", f"validate raised {type(error).__name__}: {error}", draft.stream)
            return None

    def _hand_over(self, lane: Lane, event: _Event, guid: str, on_delivery: OnDelivery | None, until: float) -> bool:
        """Give the event to librdkafka as soon as there is room; Refused if it does not take it.

        False if the stream uses another cluster by now.
        """
        buffer, size, most = lane.buffer, event.size, self._engine.settings.max_buffer_bytes
        if size > most:
            raise Refused(DropReason.TOO_LARGE, f"{size} bytes in a buffer of {most}")
        switches = self._engine.switches
        last_look = False
        while True:
            if buffer.used + size <= buffer.limit and self._produce(lane, event, guid, on_delivery):
                return True
            if self._engine.switches != switches:
                return False
            if last_look:
                raise Refused(DropReason.QUEUE_FULL, "the buffer is full: Kafka is slower than this service, or away")
            left = until - clock.monotonic()
            is_waiting = lane.client.wait(max(0.0, min(left, _WAIT_STEP_S)))
            last_look = left <= 0 or not is_waiting  # reports that wait to be served may make room at once

    def _produce(self, lane: Lane, event: _Event, guid: str, on_delivery: OnDelivery | None) -> bool:
        """Give the event to librdkafka; False if its queue is full."""
        buffer, size = lane.buffer, event.size
        report = lane.delivered if event.key is None else lane.delivered_keyed
        again = self._again(lane, event, guid, on_delivery) if self._engine.settings.resend else None
        if on_delivery is not None or event.more or again:
            size += FOLLOWED_BYTES + (RESENDABLE_BYTES if again else 0)
            more = size - len(event.payload) - EVENT_BYTES
            report = Followed(lane, guid, more, on_delivery, self._engine.reporter, again).delivered
        buffer.taken += size
        try:
            lane.produce(lane.topic, event.payload, event.key, -1, report, None, event.millis, event.headers)
        except BufferError:
            buffer.freed += size
            return False
        except TypeError as error:
            buffer.freed += size
            error.add_note(SIGNALLED)
            raise
        except (KafkaException, RuntimeError, ValueError) as error:
            buffer.freed += size
            raise _refused(error) from error
        return True

    def _again(self, lane: Lane, event: _Event, guid: str, on_delivery: OnDelivery | None) -> Again:
        """Return what sends the event to the cluster that is used by then, if that is another one."""
        rest = replace(event, payload=b"", key=None)  # the report has both
        follow = on_delivery and _resent(on_delivery)

        def send(error: KafkaError, message: Message) -> bool:
            try:
                fresh = self._engine.lane(lane.stream, rest.millis // HOUR_MS, again=True)
            except Refused:
                return False
            if error.code() not in NOT_ANSWERED or fresh.tally.cluster == lane.tally.cluster:
                return False
            fresh.tally.attempted += 1
            lane.tally.attempted -= 1  # there it is attempted: in this order, or a flush would find nothing pending
            whole = replace(rest, payload=message.value() or b"", key=message.key())
            try:
                has_room = fresh.buffer.used + whole.size <= fresh.buffer.limit
                if not (has_room and self._produce(fresh, whole, guid, follow)):
                    fresh.drop(DropReason.QUEUE_FULL, "no room to send it again")
                    Followed(fresh, guid, 0, follow, self._engine.reporter).dropped(DropReason.QUEUE_FULL, "")
            except Refused as refused:
                fresh.drop(refused.reason, refused.text)
                Followed(fresh, guid, 0, follow, self._engine.reporter).dropped(refused.reason, refused.text)
            return True

        return send

    def _give_up(self, tally: Tally, draft: Draft, guid: str, error: Refused, on_delivery: OnDelivery | None) -> None:
        tally.drop(error.reason)
        self._engine.reporter.tell(error.reason.value, error.text, tally.stream, tally.cluster)
        if on_delivery:
            told = Delivery(guid, draft.stream, tally.cluster, error.reason, error.text)
            tell = self._engine.reporter.tell
            call_hook(on_delivery, told, lambda text: tell("hook_failed", f"on_delivery {text}", tally.stream))
        if self._strict:
            raise EventDropped(draft.stream, error.reason, error.text) from error


def _resent(on_delivery: OnDelivery) -> OnDelivery:
    return lambda delivery: on_delivery(replace(delivery, is_resent=True))


def _now_header(millis: int) -> Header:
    return envelope.CE_TIME, time_text(millis)


def _refused(error: Exception) -> Refused:
    """Return why librdkafka, or what hands events to it, did not take one."""
    if isinstance(error, KafkaException):
        return Refused(REASONS.get(error.args[0].code(), DropReason.REFUSED), error.args[0].str())
    if isinstance(error, RuntimeError):  # closed by another thread meanwhile
        return Refused(DropReason.CLOSED, str(error))
    return Refused(DropReason.BAD_ATTRIBUTE, str(error))  # text that is no UTF-8
