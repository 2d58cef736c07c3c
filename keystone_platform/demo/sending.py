"""Sends synthetic events of declared streams at a steady rate."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from keystone_platform.audit.expectation import Expectation, Fate, create_expected
from keystone_platform.audit.records import Record
from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.kafka_clusters import connect_kafka, sending_properties
from keystone_platform.plan.producing import plan_producers
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.producer import KeystoneProducer, Terms
from keystone_platform.settings import Settings
from keystone_platform.spec.models import StreamSpec
from keystone_platform.synthetic.events import Mix, SyntheticEvent, synthetic_events

APP = "keystone-demo"
"""The service that the events say they come from."""

_PIECE = 200
"""Events between two looks at the clock."""

_MAX_PENDING = 100_000
"""Events on their way to Kafka at once: a demonstration waits where a service would drop."""

_CANDIDATES = 10_000


@dataclass(frozen=True)
class Share:
    """How many events of a stream to send."""

    stream: StreamSpec
    events: int


def shares(streams: Sequence[StreamSpec], events: int) -> tuple[Share, ...]:
    """Divide the events among the streams; the first ones take what does not divide."""
    each, rest = divmod(events, len(streams))
    return tuple(Share(stream, each + (number < rest)) for number, stream in enumerate(streams))


def new_producer(settings: Settings, streams: Sequence[StreamSpec]) -> KeystoneProducer:
    """Return a producer of the streams on their declared terms, so that what it counted closes their sums."""
    clusters = connect_kafka(settings).clusters
    terms = Terms.of(plan_producers(streams, clusters).model_dump(mode="json"))
    return KeystoneProducer(sending_properties(clusters), APP, terms=terms)


class Sending:
    """Sends shares in a thread of its own; the streams take turns.

    Args:
        rate: events a second, all streams together; None for as fast as it goes.
    """

    def __init__(
        self, producer: KeystoneProducer, todo: Sequence[Share], clock: Clock, *, rate: float | None, mix: Mix
    ) -> None:
        self._producer = producer
        self._clock = clock
        self._rate = rate
        self._pieces = _pieces([(share, synthetic_events(share.stream, mix)) for share in todo])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sending", daemon=True)

    def __enter__(self) -> Sending:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def is_done(self) -> bool:
        """Whether every event was handed to the producer."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        started = self._clock.now().timestamp()
        sent = 0
        for stream, events in self._pieces:
            now = self._clock.now()
            for event in events:
                self._producer.send(stream, event.payload, time=event.time(now))
                sent += 1
            while not self._stop.is_set() and self._producer.counts().pending > _MAX_PENDING:
                self._clock.sleep(0.01)
            if self._stop.is_set():
                return
            if self._rate and (ahead := sent / self._rate - (self._clock.now().timestamp() - started)) > 0:
                self._clock.sleep(ahead)


def _pieces(
    sources: Sequence[tuple[Share, Iterator[SyntheticEvent]]],
) -> Iterator[tuple[str, list[SyntheticEvent]]]:
    """Yield small pieces of each share in turn until all are used up."""
    left = [share.events for share, _ in sources]
    while any(left):
        for number, (share, events) in enumerate(sources):
            size = min(_PIECE, left[number])
            left[number] -= size
            if size:
                yield share.stream.stream, list(islice(events, size))


def passing_event(plan: RouterPlan, stream: StreamSpec, clock: Clock) -> SyntheticEvent:
    """Return an event of now that the route keeps; Terminal if none of some thousand is of that kind."""
    import duckdb

    events = list(islice(synthetic_events(stream, Mix(seed=1, broken=0, late=0, around=clock.now())), _CANDIDATES))
    with duckdb.connect() as session:
        create_expected(session)
        Expectation(session, plan).add(
            plan.source.topic, [Record(0, number, event.payload, {}) for number, event in enumerate(events)]
        )
        kept = session.execute('SELECT "offset" FROM expected WHERE fate = ? LIMIT 1', [Fate.KEPT]).fetchone()
    if kept is None:
        message = f"no synthetic event passes the filter of {plan.route}"
        raise Terminal(message, mend="The demonstration needs a filter that its events can pass.")
    return events[int(kept[0])]
