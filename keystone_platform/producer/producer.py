"""KeystoneProducer: a thin wrapper over the Kafka client that a service can call on its hot path."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from time import time_ns
from types import TracebackType

from confluent_kafka import KafkaException

from keystone_platform import envelope
from keystone_platform.envelope import CE_ID
from keystone_platform.producer.accounting import Counts, Place
from keystone_platform.producer.client import EVENT_BYTES, MAX_EVENT_BYTES
from keystone_platform.producer.delivery import Delivery, OnDelivery
from keystone_platform.producer.engine import Engine
from keystone_platform.producer.health import Condition
from keystone_platform.producer.origin import Origin
from keystone_platform.producer.problems import Hook
from keystone_platform.producer.roster import Cluster, Properties, Roster
from keystone_platform.producer.sender import SIGNALLED, Draft, Sender, Validate
from keystone_platform.producer.settings import ProducerSettings, Source, Streams
from keystone_platform.producer.terms import Terms

_SPECVERSION = (envelope.CE_SPECVERSION, envelope.SPECVERSION)

_SERVE_EVERY = 32
"""Events of a stream after which reports are served: half of what one turn serves."""


class KeystoneProducer:
    """Sends events to Kafka with a CloudEvents envelope and accounts for each of them.

    Thread-safe; in a child process after a fork it begins anew with clients and counts of its own, and what the parent
    had not sent yet the parent sends. Every argument is described in docs/producer.md.

    Args:
        kafka: properties as a Kafka client takes them; at least `bootstrap.servers`. Or several clusters' properties by
            their names, the preferred one first: then streams fail over (docs/failover.md).
        app: the service's name, without a slash: host and app are one header, `host/app`.
        host: default: this machine's name.
        terms: the declared streams, or the file of them that `keystone producers` wrote; without it every stream is
            known, and goes to the topic of its name.
        topics: topic of each stream, over what the terms say.
        cluster: name of a single cluster, by which events are counted; default: that of the terms, else `primary`.
        orders: file of orders that say which cluster streams use; `keystone failover` writes it.
        settings: bounds and times.
        strict: `send` raises EventDropped where it knows at once that it can't take the event.
        validate: looks at each payload; an event that it objects to is dropped as INVALID.
        on_problem: is told what goes wrong, each kind once a minute.

    Raises:
        ValueError: librdkafka does not know a property or its value, app or host has a slash, or the clusters' names
            are none.
        InvalidSpec: the file of terms can't be read.
    """

    def __init__(
        self,
        kafka: Properties | Mapping[str, Properties],
        app: str,
        *,
        host: str | None = None,
        terms: Terms | Path | str | None = None,
        topics: Mapping[str, str] | None = None,
        cluster: str | None = None,
        orders: Path | str | None = None,
        settings: ProducerSettings | None = None,
        strict: bool = False,
        validate: Validate | None = None,
        on_problem: Hook | None = None,
    ) -> None:
        source = Source.of(host, app)
        known = terms if isinstance(terms, Terms | None) else Terms.load(terms)
        self._is_long = validate is not None or (settings is not None and settings.resend)
        self._source = (envelope.CE_SOURCE, str(source))
        self._engine = Engine(
            Roster.of(kafka, cluster, known),
            source,
            Streams(known, topics or {}),
            settings or ProducerSettings(),
            on_problem,
            Path(orders) if orders else None,
        )
        self._sender = Sender(self._engine, self._source, validate, strict=strict)

    def send(
        self,
        stream: str,
        payload: bytes,
        key: bytes | None = None,
        time: datetime | None = None,
        *,
        on_delivery: OnDelivery | None = None,
        **extensions: str,
    ) -> str:
        """Hand an event over and return its guid at once; what becomes of it is in `counts`.

        Never waits for Kafka, unless the stream's terms grant a time for that: an event that does not fit into the
        buffer is dropped. Whatever is wrong with an event, it is counted with its reason and told (`on_problem`, log),
        and nothing is raised. The payload is sent byte for byte; `time` (default: now) is when the event happened, and
        the record's Kafka timestamp. An event from before OLDEST or after NEWEST gets the present as its timestamp; its
        header `ce_time` is right all the same. `on_delivery` is called once, with what became of the event.

        Raises:
            EventDropped: of a strict producer only.
        """
        if time is not None or extensions or on_delivery is not None or self._is_long or type(payload) is not bytes:
            return self._sender.send(Draft(stream, payload, key, time, extensions), on_delivery)
        engine = self._engine
        millis = time_ns() // 1_000_000
        stamp = engine.stamp
        if stamp.millis != millis:
            stamp = engine.stamp_at(millis)
        try:
            lane = stamp.lanes[stream]
            digits = next(stamp.counters)
        except (KeyError, TypeError, StopIteration):  # the hour's first of the stream; no name; the 4,097th of a ms
            return self._sender.send(Draft(stream, payload, key, time, extensions), on_delivery)
        if key is None:
            size, report = len(payload) + EVENT_BYTES, lane.report
        elif type(key) is bytes:
            size, report = len(payload) + len(key) + EVENT_BYTES, lane.report_keyed
        else:
            return self._sender.send(Draft(stream, payload, key, time, extensions), on_delivery)
        tally, buffer = lane.tally, lane.buffer
        if size > MAX_EVENT_BYTES or buffer.taken - buffer.freed + size > buffer.limit:
            return self._sender.send(Draft(stream, payload, key, time, extensions), on_delivery)
        guid = f"{stamp.head}{digits}{stamp.tail}"
        # what routers read comes last, as they look from the end
        headers = [_SPECVERSION, lane.type, stamp.time, (CE_ID, guid), self._source]
        attempted = tally.attempted = tally.attempted + 1
        buffer.taken += size
        try:
            lane.produce(lane.topic, payload, key, -1, report, None, millis, headers)
        except TypeError as error:
            tally.attempted -= 1
            buffer.taken -= size
            error.add_note(SIGNALLED)
            raise
        except (BufferError, KafkaException, RuntimeError):
            tally.attempted -= 1
            buffer.taken -= size
            return self._sender.send(Draft(stream, payload, key, time, extensions), on_delivery)
        if not attempted % _SERVE_EVERY:
            lane.client.serve()
        return guid

    def send_as(
        self,
        origin: Origin,
        stream: str,
        payload: bytes,
        key: bytes | None = None,
        time: datetime | None = None,
        *,
        on_delivery: OnDelivery | None = None,
        extensions: Mapping[str, str] | None = None,
    ) -> str:
        """Hand over an event that another sender made, like `send`, under the id, source and type that it has there.

        Costs what an event with extensions costs. Returns `origin.id`.
        """
        return self._sender.send(Draft(stream, payload, key, time, extensions or {}, origin), on_delivery)

    def submit(
        self, stream: str, payload: bytes, key: bytes | None = None, time: datetime | None = None, **extensions: str
    ) -> Future[Delivery]:
        """Hand an event over like `send`; the future holds what became of it, also when it was dropped."""
        future: Future[Delivery] = Future()
        self.send(stream, payload, key, time, on_delivery=future.set_result, **extensions)
        return future

    async def asend(
        self, stream: str, payload: bytes, key: bytes | None = None, time: datetime | None = None, **extensions: str
    ) -> Delivery:
        """Hand an event over and wait, in the running asyncio loop, for what becomes of it.

        Where the stream's terms grant a time to wait for room, the loop is not blocked meanwhile.
        """
        await self._sender.room(stream, payload)
        future, on_delivery = self._sender.mail(asyncio.get_running_loop()).future()
        self._sender.send(Draft(stream, payload, key, time, extensions), on_delivery, may_block=False)
        return await future

    def counts(self) -> Counts:
        """Return what became of the events so far, all streams and clusters together."""
        return self._engine.account.counts()

    def counts_by_place(self) -> dict[Place, Counts]:
        """Return what became of the events so far, by stream and cluster."""
        return self._engine.by_place()

    @property
    def buffer_bytes(self) -> int:
        """What events on their way take in memory."""
        return self._engine.clients.used_bytes

    def conditions(self) -> Mapping[str, Condition]:
        """Return how each cluster is; empty where there is only one."""
        return dict(self._engine.failover.conditions) if self._engine.failover else {}

    def using(self) -> Mapping[str, str]:
        """Return the cluster of each stream that was sent and that could use another one."""
        return {stream: cluster for stream, cluster, _ in self._engine.using()}

    def point_at(self, cluster: Cluster) -> None:
        """Send all streams to that cluster from now on, without failover, under the topics' plain names.

        What is on its way to another one stays on its way there.

        Raises:
            ValueError: one of its properties is wrong; nothing has changed then.
        """
        self._engine.point_at(cluster)

    def flush(self, deadline_s: float) -> int:
        """Block until each event's outcome is known or `deadline_s` have passed; return how many are still open."""
        return self._engine.flush(deadline_s)

    async def aflush(self, deadline_s: float) -> int:
        """Like `flush`, in a thread, so that the running asyncio loop goes on."""
        return await asyncio.to_thread(self._engine.flush, deadline_s)

    def close(self, deadline_s: float = 30.0) -> Counts:
        """Flush, give up what is still open (counted as CLOSED), and return the final counts. Harmless to repeat."""
        self._engine.close(deadline_s)
        return self.counts()

    def __enter__(self) -> KeystoneProducer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> KeystoneProducer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)
