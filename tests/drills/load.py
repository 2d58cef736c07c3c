"""A stream under load with its routes, and what each of them has at every moment, while servers are broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition

from keystone_platform.audit.truth import RouteTruth, audit_route
from keystone_platform.control.goal import Verdict
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.envelope import CE_ID
from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.search import OpenSearch
from keystone_platform.plan.decide import Request
from keystone_platform.plan.index_template import index_pattern
from keystone_platform.plan.router_plan import KafkaTarget, SearchTarget, WarehouseTarget
from keystone_platform.producer import KeystoneProducer
from keystone_platform.settings import Settings
from tests.e2e.platform import Platform, event, wait_for

EVENTS_PER_S = 500
QUIET_S = 10.0
"""Load without a fault before each drill."""

WATCHED_S = 150.0
"""How long a drill watches the routes catch up before it stops sending."""

SETTLE_S = 300.0
"""How long a drill waits for what a fault held up; each prints how long it took."""


@dataclass(frozen=True)
class Drilled:
    """A stream of the payloads of `tests.e2e.platform.event`, and its routes, none of which drops anything."""

    stream: str
    text: str
    routes: Sequence[str]


@dataclass(frozen=True)
class Sample:
    """What was there at one moment.

    Attributes:
        at: seconds since the watch began.
        sent: acknowledged by Kafka.
        there: records or rows of each route's sink; None where the sink did not tell.
    """

    at: float
    sent: int
    there: Mapping[str, int | None]


@dataclass
class Watch:
    """Samples of a drill, when its fault began and ended, and at its end the truth of each route.

    Attributes:
        repeated: how many records or rows each route wrote again since the drill before.
    """

    routes: Sequence[str]
    truths: Mapping[str, RouteTruth] = field(default_factory=dict)
    repeated: Mapping[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0

    def during(self, route: str) -> int:
        """Return how many records came into the route's sink while the fault lasted."""
        counts = [sample.there[route] for sample in self.samples if self.began <= sample.at <= self.ended]
        known = [count for count in counts if count is not None]
        return known[-1] - known[0] if known else 0

    def recovered(self, route: str) -> float | None:
        """Return seconds from the fault's end until the route had all that was sent before it ended."""
        behind = max((sample.sent for sample in self.samples if sample.at <= self.ended), default=0)
        for sample in self.samples:
            if sample.at > self.ended and (sample.there[route] or 0) >= behind:
                return sample.at - self.ended
        return None

    def table(self, title: str, every_s: float = 5.0) -> str:
        """Return the course: per route how many records a second came, and how many it is behind."""
        lines = [
            title,
            f"{'s':>6} {'fault':>5} {'sent/s':>7}" + "".join(f" {r:>22} {'behind':>7}" for r in self.routes),
        ]
        last = self.samples[0]
        for sample in self.samples[1:]:
            seconds = sample.at - last.at
            if seconds < every_s and sample is not self.samples[-1]:
                continue
            fault = "yes" if self.began <= sample.at and last.at < self.ended else ""
            cells = [f"{sample.at:6.0f} {fault:>5} {(sample.sent - last.sent) / seconds:7.0f}"]
            for route in self.routes:
                now, before = sample.there[route], last.there[route]
                rate = "?" if now is None or before is None else f"{(now - before) / seconds:.0f}/s"
                cells.append(f" {rate:>22} {'?' if now is None else max(0, sample.sent - now):>7}")
            lines.append("".join(cells))
            last = sample
        took = ", ".join(f"{route} {_seconds(self.recovered(route))}" for route in self.routes)
        again = ", ".join(f"{route} {self.repeated[route]}" for route in self.routes)
        return "\n".join([*lines, f"repeated: {again}", f"caught up after the fault's end: {took}"])


class Arrivals:
    """Counts, as a consumer of committed records, the distinct events of topics; in a thread of its own."""

    def __init__(self, kafka: Mapping[str, str], topics: Mapping[str, int]) -> None:
        settings = {"group.id": "drill", "isolation.level": "read_committed", "enable.auto.commit": False}
        self._consumer = Consumer({**kafka, **settings, "log_level": 0})
        places = [(topic, part) for topic, partitions in topics.items() for part in range(partitions)]
        self._consumer.assign([TopicPartition(topic, part, 0) for topic, part in places])
        self._guids: dict[str, set[bytes]] = {topic: set() for topic in topics}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count)
        self._thread.start()

    def of(self, topic: str) -> int:
        """Return how many distinct events have come."""
        return len(self._guids[topic])

    def close(self) -> None:
        """Stop counting."""
        self._over.set()
        self._thread.join()
        self._consumer.close()

    def _count(self) -> None:
        while not self._over.is_set():
            for message in self._consumer.consume(1_000, timeout=0.2):
                if message.error() is None:
                    self._guids[message.topic()].add(dict(message.headers() or ())[CE_ID])


class Load:
    """Sends events of rising numbers at a steady rate until it is paused; the stream's routes run.

    Args:
        direct: settings by which the sinks are looked at, past any faulty proxy.
    """

    def __init__(self, platform: Platform, direct: Settings, drilled: Drilled) -> None:
        self.platform = platform
        self.direct = direct
        self.routes = drilled.routes
        self._stream = drilled.stream
        self._producer = KeystoneProducer(direct.kafka, "drill")
        self._number = 0
        self._now: Callable[[], float] = time.monotonic
        platform.declare(drilled.stream, drilled.text)
        assert [verdict.message for verdict in self.apply() if not verdict.ok] == []
        self._plans = {route: platform.plan(route) for route in drilled.routes}
        self._repeated = dict.fromkeys(drilled.routes, 0)
        targets = [plan.target for plan in self._plans.values()]
        self._arrivals = Arrivals(
            direct.kafka, {target.topic: 2 for target in targets if isinstance(target, KafkaTarget)}
        )

    def apply(self) -> tuple[Verdict, ...]:
        """Bring the routes to what is declared."""
        return reconcile(self.platform.gateways, wanted(self.platform.streams, list(self.routes)).goals)

    def is_reachable(self) -> bool:
        """Whether the cluster answers and has slots."""
        try:
            return self.platform.gateways.flink.cluster().slots_free > 0
        except KeystoneError:
            return False

    @contextmanager
    def drill(self, title: str) -> Iterator[Watch]:
        """Watch the load; within the block a fault happens. Then wait for what it held up, and compare."""
        watch = Watch(self.routes)
        with self.watched(watch), self.sending():
            time.sleep(QUIET_S)
            with self.fault(watch):
                yield watch
            deadline = time.monotonic() + WATCHED_S
            while time.monotonic() < deadline and any(watch.recovered(route) is None for route in self.routes):
                time.sleep(1.0)
        watch.truths = self.settled()
        doubled = {route: truth.duplicated for route, truth in watch.truths.items()}
        watch.repeated = {route: count - self._repeated[route] for route, count in doubled.items()}
        self._repeated = doubled
        print(f"\n{watch.table(title)}")
        for truth in watch.truths.values():
            print(truth)
        assert all(truth.produced == truth.landed + truth.filtered + truth.dead for truth in watch.truths.values())
        assert all(truth.is_complete for truth in watch.truths.values())

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send while the block lasts; at its end everything is acknowledged."""
        over = threading.Event()

        def send() -> None:
            while not over.wait(0.1):
                for _ in range(EVENTS_PER_S // 10):
                    self._producer.send(self._stream, event(self._number))
                    self._number += 1

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert self._producer.flush(120) == 0
        assert self._producer.counts().dropped_total == 0

    @contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """Take a sample a second while the block lasts."""
        over = threading.Event()
        start = time.monotonic()
        self._now = lambda: time.monotonic() - start

        def look() -> None:
            while not over.wait(1.0):
                sent = self._producer.counts().acknowledged
                watch.samples.append(Sample(self._now(), sent, {route: self._there(route) for route in self.routes}))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextmanager
    def fault(self, watch: Watch) -> Iterator[None]:
        """Mark the block as the time of the fault."""
        watch.began = self._now()
        yield
        watch.ended = self._now()

    def settled(self) -> Mapping[str, RouteTruth]:
        """Wait until no route misses anything and return their truths."""

        def complete() -> dict[str, RouteTruth] | None:
            try:
                truths = {route: audit_route(self.direct, plan) for route, plan in self._plans.items()}
            except KeystoneError:  # a server is still on its way up
                return None
            return None if any(truth.lost for truth in truths.values()) else truths

        return wait_for("every event in each sink", complete, SETTLE_S)

    def close(self) -> None:
        """Stop the routes, and end producer and consumer."""
        reconcile(self.platform.gateways, wanted(self.platform.streams, list(self.routes)).goals, Request.STOP)
        self._arrivals.close()
        self._producer.close()

    def _there(self, route: str) -> int | None:
        try:
            match self._plans[route].target:
                case KafkaTarget() as target:
                    return self._arrivals.of(target.topic)
                case SearchTarget() as target:
                    path = f"/{index_pattern(target)}/_count?ignore_unavailable=true"
                    return int(OpenSearch(self.direct.search).request("GET", path)["count"])
                case WarehouseTarget() as target:
                    head = IcebergLake(self.direct).head(target.table)
                    return head.rows if head else 0
        except KeystoneError:
            return None


def _seconds(value: float | None) -> str:
    return "not while it was watched" if value is None else f"{value:.0f} s"
