"""One librdkafka client: a cluster and one `acks`, since that is a setting of a whole (idempotent) client."""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable, Mapping
from typing import Literal

from confluent_kafka import KafkaError, KafkaException, Producer

from keystone_platform.producer.accounting import DropReason
from keystone_platform.producer.problems import CLIENT_LOGGER, Reporter
from keystone_platform.producer.roster import Cluster
from keystone_platform.producer.terms import Acks

MAX_EVENT_BYTES = 10 * 1024 * 1024
"""Largest payload that is sent."""

EVENT_BYTES = 800
"""What an event in the buffer takes beside payload, key and extensions: librdkafka's record and five headers, measured
as resident memory (docs/producer.md)."""

RESENDABLE_BYTES = 700
"""What an event takes beside that if it may have to be sent again: its headers are kept."""

FOLLOWED_BYTES = 250
"""What an event takes beside that if somebody follows it, or if it has extensions; the caller's own future is not in
it."""

TUNING: Mapping[str, str | int] = {
    "compression.type": "lz4",
    "linger.ms": 20,
    "batch.size": 1_000_000,
    "batch.num.messages": 10_000,
    "delivery.timeout.ms": 120_000,
    "statistics.interval.ms": 30_000,
    "partitioner": "murmur2_random",  # as Java clients do: one key, one partition, whoever sends
}
"""Defaults that the caller's properties may override."""

_PROMISES: Mapping[Acks, Mapping[str, str | int | bool]] = {
    "all": {"enable.idempotence": True, "acks": "all"},
    "1": {"enable.idempotence": False, "acks": 1},
}
"""What the accounting relies on; not to be overridden."""

REASONS: Mapping[int, DropReason] = {
    KafkaError._MSG_TIMED_OUT: DropReason.TIMED_OUT,
    KafkaError._TIMED_OUT: DropReason.TIMED_OUT,
    KafkaError._PURGE_QUEUE: DropReason.CLOSED,
    KafkaError._PURGE_INFLIGHT: DropReason.CLOSED,
    KafkaError.MSG_SIZE_TOO_LARGE: DropReason.TOO_LARGE,
    KafkaError.INVALID_MSG_SIZE: DropReason.TOO_LARGE,
    KafkaError._QUEUE_FULL: DropReason.QUEUE_FULL,
}

NOT_ANSWERED = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError._PURGE_QUEUE})
"""Failures after which an event is in no request any more, and no broker has refused it."""

Trouble = Literal["dns", "tls", "sasl", "unreachable", "kafka"]

_TROUBLES: Mapping[int, Trouble] = {
    KafkaError._RESOLVE: "dns",
    KafkaError._SSL: "tls",
    KafkaError._AUTHENTICATION: "sasl",
    KafkaError.SASL_AUTHENTICATION_FAILED: "sasl",
    KafkaError._TRANSPORT: "unreachable",
    KafkaError._ALL_BROKERS_DOWN: "unreachable",
    KafkaError._TIMED_OUT: "unreachable",
}
"""Kinds of problems, by the code that librdkafka tells them with."""

_TLS = re.compile(r"\bSSL (connection|handshake)")
"""What librdkafka says of a connection that TLS ended, though its code is that of any lost one."""

INLINE_TURNS = 64
"""Delivery reports that one call of `send` may serve: some 50 µs, whatever came."""

_POLLER_TURNS = 1_000
_POLL_S = 0.05
_BUSY_S = 0.02
_LAST_POLLS_S = 1.0


class Enough(Exception):
    """Raised by a delivery report to end a poll; librdkafka keeps the reports that are left for the next one."""


ENOUGH = Enough()


class Buffer:
    """What events on their way to one cluster take.

    Two sums that only grow, each added to in one statement; see accounting.py on why that needs no lock.
    """

    __slots__ = ("freed", "limit", "taken", "turns")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self.freed = 0
        self.turns = 0  # reports that may still be served in this poll; a hint that threads may overwrite

    @property
    def used(self) -> int:
        """Bytes that are taken now."""
        return self.taken - self.freed


class Client:
    """A librdkafka client and the thread that serves its reports when nobody sends.

    The interpreter's lock is taken for each report, which a thread waits for up to 5 ms when another one computes. So
    whoever sends serves reports too, a few at a time, and the thread keeps out of the way meanwhile.

    Raises:
        ValueError: librdkafka does not know a property or its value.
    """

    def __init__(
        self, cluster: Cluster, acks: Acks, buffer: Buffer, reporter: Reporter, bounds: Mapping[str, str | int]
    ) -> None:
        self.cluster = cluster
        self.acks = acks
        self.is_broken = False
        self.statistics = ""
        self._buffer = buffer
        self._reporter = reporter
        self._served = 0
        self._serving: set[int] = set()
        self._closed = threading.Event()
        callbacks = {"error_cb": self._tell, "stats_cb": self._take_statistics}
        properties = {**TUNING, **bounds, **cluster.kafka, **_PROMISES[acks], **callbacks}
        try:
            self._producer = Producer(properties, logger=CLIENT_LOGGER)
        except KafkaException as error:
            raise ValueError(str(error.args[0])) from error
        self.produce = self._producer.produce
        self._poller = threading.Thread(target=self._poll, name=f"keystone-producer-{cluster.name}", daemon=True)
        self._poller.start()

    def serve(self) -> None:
        """Serve the next INLINE_TURNS reports without waiting."""
        self._served += 1
        self._serve(INLINE_TURNS, 0)

    def wait(self, seconds: float) -> bool:
        """Wait for reports, and serve some; False, at once, within a report: there nothing can be waited for."""
        self._served += 1
        return self._serve(INLINE_TURNS, seconds)

    def flush(self, seconds: float) -> bool:
        """Send what lingers at once, and serve reports until none is left or the time has passed; False as `wait`."""
        return self._serve(1 << 60, seconds, self._producer.flush)

    @property
    def outstanding(self) -> int:
        """Events, audit events and reports that are on their way."""
        return len(self._producer)

    @property
    def is_serving(self) -> bool:
        """Whether the caller is within a report of this client."""
        return threading.get_ident() in self._serving

    def leaders(self, topic: str, seconds: float) -> list[bool]:
        """Ask the cluster for a topic; return for each partition whether it has a leader, none if it is not there.

        Blocks until it is answered, at most `seconds`.

        Raises:
            KafkaException: no broker answered.
        """
        found = self._producer.list_topics(topic, seconds).topics.get(topic)
        return [] if found is None else [partition.leader >= 0 for partition in found.partitions.values()]

    def release(self) -> None:
        """Give up what waits and is in no request; what is in one is left to its time-out."""
        self._producer.purge(in_queue=True, in_flight=False, blocking=False)

    def give_up(self) -> None:
        """Take what is still on its way for lost, and serve the reports that say so."""
        self._producer.purge()
        self.flush(_LAST_POLLS_S)

    def close(self) -> None:
        """Give up what is still open and end the thread. Harmless to repeat."""
        if not self._closed.is_set():
            self._closed.set()
            self.give_up()
            self._poller.join()

    def abandon(self) -> None:
        """Never touch the client again: it is a parent process's, and none of its threads is in this one.

        Taking it apart would wait for them, so it is kept for as long as the process lives.
        """
        self._closed.set()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))

    def reason(self, error: KafkaError) -> DropReason:
        """Return why an event was given up."""
        return DropReason.REFUSED if self.is_broken else REASONS.get(error.code(), DropReason.REFUSED)

    def _serve(self, turns: int, seconds: float, call: Callable[[float], object] | None = None) -> bool:
        """Poll, or flush; False within a report: librdkafka's Python client must not be polled there."""
        me = threading.get_ident()
        if me in self._serving:
            return False
        self._buffer.turns = turns
        try:
            self._serving.add(me)  # in here, as a signal handler may raise anywhere
            (call or self._producer.poll)(seconds)
        except Enough:
            pass
        except KafkaException as error:
            self._broke(error.args[0])
        finally:
            self._serving.discard(me)
        return True

    def _poll(self) -> None:
        seen = -1
        while not self._closed.is_set():
            if seen == self._served:
                self._serve(_POLLER_TURNS, _POLL_S)
            else:
                seen = self._served
                self._closed.wait(_BUSY_S)

    def _broke(self, error: KafkaError) -> None:
        """Note that the client takes nothing any more: librdkafka ends an idempotent producer that lost its order."""
        if not self.is_broken:
            self.is_broken = True
            self._reporter.tell("kafka", f"client ended: {error.str()}", cluster=self.cluster.name)

    def _tell(self, error: KafkaError) -> None:
        kind = _TROUBLES.get(error.code(), "kafka")
        if kind == "unreachable" and _TLS.search(error.str()):
            kind = "tls"
        self._reporter.tell(kind, error.str(), cluster=self.cluster.name)

    def _take_statistics(self, text: str) -> None:
        self.statistics = text  # read by whoever wants them, not in the turn of a caller
