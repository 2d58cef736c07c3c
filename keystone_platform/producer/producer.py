"""KeystoneProducer: a thin wrapper over the Kafka client that a service can call on its hot path."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time as clock
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from keystone_platform import envelope
from keystone_platform.producer.accounting import Account, Counts, DropReason
from keystone_platform.producer.guid import GuidSource

MAX_EVENT_BYTES = 10 * 1024 * 1024
"""Largest payload that is sent."""

_TUNING: Mapping[str, str | int] = {
    "compression.type": "lz4",
    "linger.ms": 20,
    "batch.size": 1_000_000,
    "batch.num.messages": 10_000,
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 256 * 1024,
    "delivery.timeout.ms": 120_000,
    "partitioner": "murmur2_random",  # as Java clients do: one key, one partition, whoever sends
}
"""Defaults that the caller's properties may override."""

_PROMISES: Mapping[str, str | int | bool] = {
    "enable.idempotence": True,
    "acks": "all",
    "message.max.bytes": MAX_EVENT_BYTES + 64 * 1024,
}
"""What the accounting relies on; not to be overridden."""

_REASONS: Mapping[int, DropReason] = {
    KafkaError._MSG_TIMED_OUT: DropReason.TIMED_OUT,
    KafkaError._TIMED_OUT: DropReason.TIMED_OUT,
    KafkaError._PURGE_QUEUE: DropReason.CLOSED,
    KafkaError._PURGE_INFLIGHT: DropReason.CLOSED,
    KafkaError.MSG_SIZE_TOO_LARGE: DropReason.TOO_LARGE,
    KafkaError._QUEUE_FULL: DropReason.QUEUE_FULL,
}

_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
"""Names of extension attributes: CloudEvents 1.0.2, "Attribute naming convention"."""

_LOGGER = logging.getLogger("keystone.producer")
"""Where librdkafka's messages go; a service that sets no handler hears nothing."""
_LOGGER.addHandler(logging.NullHandler())

OLDEST = timedelta(days=4)
NEWEST = timedelta(minutes=30)
"""How long ago and how far ahead an event's time may be to become its record's timestamp.

Kafka deletes by timestamp: a record that is older than the topic's retention (7 days unless set otherwise) is gone in
minutes, before a router has read it. One that is more than an hour ahead is refused, with its whole batch.
"""

_POLL_S = 0.1
_FLUSH_STEP_S = 0.005


class KeystoneProducer:
    """Sends events to Kafka with a CloudEvents envelope and accounts for each of them. Thread-safe.

    Args:
        kafka: properties as a Kafka client takes them; at least `bootstrap.servers`.
        app: the service's name, without a slash: host and app are one header, `host/app`.
        host: default: this machine's name.
        topics: topic of each stream; a stream that is not in it has its own name as topic.

    Raises:
        ValueError: librdkafka does not know a property or its value, or app or host has a slash.
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        app: str,
        *,
        host: str | None = None,
        topics: Mapping[str, str] | None = None,
    ) -> None:
        host = host or socket.gethostname()
        if "/" in host or "/" in app:
            message = f"a slash in {host!r} or {app!r}: it parts host and app in the header {envelope.CE_SOURCE}"
            raise ValueError(message)
        self._source = f"{host}/{app}"
        self._topics = dict(topics or {})
        self._guids = GuidSource()
        self._account = Account()
        try:
            self._producer = Producer({**_TUNING, **kafka, **_PROMISES}, logger=_LOGGER)
        except KafkaException as error:
            raise ValueError(str(error.args[0])) from error
        self._closed = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="keystone-producer", daemon=True)
        self._poller.start()

    def send(
        self,
        stream: str,
        payload: bytes,
        key: bytes | None = None,
        time: datetime | None = None,
        **extensions: str,
    ) -> str:
        """Hand an event over and return its guid at once; what becomes of it is in `counts`.

        Never waits for Kafka: an event that does not fit into the buffer is dropped and counted. The payload is sent
        byte for byte; `time` (default: now) is when the event happened, and the record's Kafka timestamp. An event from
        before OLDEST or after NEWEST gets the present as its timestamp; its header `ce_time` is right all the same.

        Raises:
            ValueError: `time` has no zone, or an extension's name is not of [a-z0-9]{1,20}.
            TypeError: payload or key are not bytes.
        """
        now = datetime.now(UTC) if time is None else _utc(time)
        guid = self._guids.next()
        # what routers read comes last, as they look from the end
        headers = [
            (envelope.CE_SPECVERSION, envelope.SPECVERSION),
            (envelope.CE_TYPE, stream),
            (envelope.CE_TIME, now.isoformat()[:-6] + "Z"),
            *((_extension_header(name), value) for name, value in extensions.items()),
            (envelope.CE_ID, guid),
            (envelope.CE_SOURCE, self._source),
        ]
        self._account.attempt()
        if self._closed.is_set():
            self._account.drop(DropReason.CLOSED)
            return guid
        topic = self._topics.get(stream, stream)
        millis = round((now if time is None else _timestamp(now, datetime.now(UTC))).timestamp() * 1000)
        try:
            self._producer.produce(
                topic, value=payload, key=key, headers=headers, timestamp=millis, on_delivery=self._delivered
            )
        except BufferError:
            self._account.drop(DropReason.QUEUE_FULL)
        except KafkaException as error:
            self._account.drop(_REASONS.get(error.args[0].code(), DropReason.REFUSED))
        except BaseException:  # the caller's mistake (a payload that is no bytes) is told, and accounted for as well
            self._account.drop(DropReason.REFUSED)
            raise
        return guid

    def counts(self) -> Counts:
        """Return what became of the events so far."""
        return self._account.counts()

    def flush(self, deadline_s: float) -> int:
        """Block until each event's outcome is known or `deadline_s` have passed; return how many are still open."""
        end = clock.monotonic() + deadline_s
        while (pending := self._account.counts().pending) and clock.monotonic() < end:
            clock.sleep(_FLUSH_STEP_S)
        return pending

    def close(self, deadline_s: float = 30.0) -> Counts:
        """Flush, give up what is still open (counted as CLOSED), and return the final counts. Harmless to repeat."""
        if not self._closed.is_set():
            self.flush(deadline_s)
            self._closed.set()
            self._producer.purge()
            self._poller.join()
        return self._account.counts()

    def __enter__(self) -> KeystoneProducer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _poll(self) -> None:
        """Serve delivery reports until closed, then those that the purge made."""
        while not self._closed.is_set():
            self._producer.poll(_POLL_S)
        self._producer.flush(_POLL_S * 10)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._account.acknowledge()
        else:
            self._account.drop(_REASONS.get(error.code(), DropReason.REFUSED))


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        message = "time has no zone: pass datetime.now(UTC) or another aware value"
        raise ValueError(message)
    return time.astimezone(UTC)


def _timestamp(happened: datetime, now: datetime) -> datetime:
    return happened if -OLDEST <= happened - now <= NEWEST else now


def _extension_header(name: str) -> str:
    if not _EXTENSION.fullmatch(name):
        message = f"{name!r} is no name of a CloudEvents extension: 1 to 20 of a-z and 0-9"
        raise ValueError(message)
    return envelope.CE_PREFIX + name
