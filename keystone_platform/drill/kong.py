"""Kong: a Kafka cluster dies under load and comes back, on a stack of its own; each event is accounted for at the end.

Netflix called its exercise of that kind Kafka Kong.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keystone_platform.audit.truth import RouteAudit
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.drill.course import Course
from keystone_platform.drill.sums import ClusterSums, Outcome
from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import Clock
from keystone_platform.plan.producing import plan_producers
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.producer import Counts, FailoverLimits, KeystoneProducer, Place, ProducerSettings, Terms
from keystone_platform.query.session import open_session
from keystone_platform.settings import Settings
from keystone_platform.spec.clusters import PRIMARY
from keystone_platform.spec.fleet import Fleet
from keystone_platform.spec.loader import load_streams
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.killing import kill_server
from keystone_platform.stack.server import KAFKA, STANDBY
from keystone_platform.wiring import connect

STREAM, TABLE = "kong", "drills.kong"

DECLARED = f"""\
stream: {STREAM}
owner: team:platform
partitions: 3
schema: {{n: bigint, country: string}}
routes:
  - sink: {{warehouse: {{table: {TABLE}}}}}
    filter: "country <> 'JP'"
    checkpoint_interval_s: 5
"""

COUNTRIES = ("US", "BR", "DE", "JP")
"""A quarter of the events is filtered out."""

BROKEN_EVERY = 997
"""Each so many-th event is no JSON and becomes a dead letter."""

WITHOUT = ("dagster",)

BEFORE_S = 10.0
AFTER_S = 5.0
STALL_S = 180.0
"""How long nothing may land before the drill stops waiting."""

_TICK_S = 0.02
_LOOK_S = 1.0

Show = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a drill is to do.

    Attributes:
        rate: events a second.
        away_s: how long the broker stays dead.
        hold_s: how long it has to be well before the stream goes back; up to half as much longer, by chance.
    """

    rate: int
    away_s: float
    hold_s: float


class Kong:
    """One drill on a stack that was started for it.

    Args:
        show: is told each second how it goes.
        say: is told what begins.
    """

    def __init__(self, stack: EmbeddedStack, streams: Path, clock: Clock, show: Show, say: Show) -> None:
        self._stack = stack
        self._streams = streams
        self._clock = clock
        self._show = show
        self._say = say

    def run(self, plan: Plan) -> Outcome:
        """Do it all and return what it came to.

        Raises:
            Transient, Terminal: a server does not answer, a router does not start, or does not catch up.
        """
        began = self._now()
        settings, fleet, router = self._deploy()
        producer = self._producer(plan, fleet)
        course = Course(producer, STREAM, (PRIMARY, STANDBY))
        with course:
            with _load(producer, plan.rate):
                self._break(plan, course, settings)
            self._say("The load ends; waiting for what is still on its way to Kafka")
            counts = self._ended(producer, course)
        found = self._sums(settings, router, counts)
        twice = self._guids_twice(settings)
        return Outcome(course.figures(), found, twice, self._now() - began)

    def _deploy(self) -> tuple[Settings, Fleet, RouterPlan]:
        self._say(f"Deploying the router of {STREAM}, which reads both clusters")
        settings = self._stack.settings()
        (goal,) = wanted(self._streams, [f"{STREAM}.*"]).goals
        (verdict,) = reconcile(connect(settings), (goal,))
        if not verdict.ok:
            raise Terminal(verdict.message, mend="See the log of Flink's JobManager.")
        return settings, load_streams(self._streams), goal.plan

    def _producer(self, plan: Plan, fleet: Fleet) -> KeystoneProducer:
        terms = Terms.of(plan_producers((each.spec for each in fleet.streams), fleet.clusters).model_dump(mode="json"))
        clusters = {name: each.client_properties() for name, each in fleet.clusters.declared.items()}
        limits = FailoverLimits(hold_s=plan.hold_s, jitter_s=plan.hold_s / 2)
        return KeystoneProducer(clusters, "kong", terms=terms, settings=ProducerSettings(failover=limits))

    def _break(self, plan: Plan, course: Course, settings: Settings) -> None:
        """Kill the primary under load, bring it back, and wait until the stream returns."""
        self._say(f"Sending {plan.rate:,} events a second")
        self._watch(course, lambda: course.now > BEFORE_S and course.last.acknowledged[PRIMARY] > 0, 60, "events")
        self._say(f"Killing the broker of {PRIMARY} (pid {self._stack.pid(KAFKA)})")
        course.marks.killed = killed = course.now
        kill_server(self._stack, KAFKA, self._clock)
        self._watch(course, lambda: course.now - killed > plan.away_s, plan.away_s + 60, "the time to pass")
        self._say(f"Starting it again after {course.now - killed:.0f} s")
        self._stack.up(without=WITHOUT)
        course.marks.back = back = course.now
        most = back + 2 * plan.hold_s + 60
        self._watch(course, lambda: course.last.used == PRIMARY or course.now > most, most + 60, "the return")
        self._watch(course, lambda: course.now > back + AFTER_S, most + 120, "the end")

    def _ended(self, producer: KeystoneProducer, course: Course) -> Mapping[Place, Counts]:
        while producer.flush(_LOOK_S):
            self._show(_line(course))
        producer.close()
        return producer.counts_by_place()

    def _sums(self, settings: Settings, router: RouterPlan, counts: Mapping[Place, Counts]) -> list[ClusterSums]:
        self._say("Waiting until the router has landed all of it")
        topics = dict(zip((PRIMARY, STANDBY), router.source.event_topics, strict=True))
        audits = {name: RouteAudit(settings, router, topics=[topic]) for name, topic in topics.items()}
        for audit in audits.values():
            audit.catch_up()
        self._wait_until_landed(list(audits.values()))
        return [
            ClusterSums.of(name, topics[name], counts.get(Place(STREAM, name), Counts()), audit.truth())
            for name, audit in audits.items()
        ]

    def _wait_until_landed(self, audits: list[RouteAudit]) -> None:
        rows = sum(audit.expected_rows() for audit in audits)
        letters = sum(audit.expected_dead() for audit in audits)
        seen, changed = (-1, -1), self._now()
        while True:
            found = sum(audit.landed_rows() for audit in audits), sum(audit.dead_letters() for audit in audits)
            self._show(f"landed {found[0]:,} of {rows:,}, dead letters {found[1]:,} of {letters:,}")
            if found == (rows, letters):
                return
            if found != seen:
                seen, changed = found, self._now()
            elif self._now() - changed > STALL_S:
                self._say(f"Nothing landed for {STALL_S:.0f} s: counting what is there")
                return
            self._clock.sleep(_LOOK_S)

    def _guids_twice(self, settings: Settings) -> int:
        with open_session(settings, [TABLE]) as session:
            row = session.execute(f"SELECT count(*) - count(DISTINCT _guid) FROM {TABLE}").fetchone()
        return int(row[0]) if row else 0

    def _watch(self, course: Course, is_so: Callable[[], bool], most_s: float, what: str) -> None:
        end = self._now() + most_s
        while not is_so():
            if self._now() > end:
                message = f"waited {most_s:.0f} s for {what}"
                raise Terminal(message, mend="See the logs of the stack's servers.")
            self._show(_line(course))
            self._clock.sleep(0.2)

    def _now(self) -> float:
        return self._clock.now().timestamp()


@contextmanager
def _load(producer: KeystoneProducer, rate: int) -> Iterator[None]:
    """Send at that rate, from a thread of its own, while the block lasts."""
    over = threading.Event()

    def send() -> None:
        number, each = 0, max(1, round(rate * _TICK_S))
        while not over.wait(each / rate):
            for _ in range(each):
                number += 1
                producer.send(STREAM, _payload(number), b"%d" % (number % 1_000))

    thread = threading.Thread(target=send, name="load", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _payload(number: int) -> bytes:
    if number % BROKEN_EVERY == 0:
        return b"{broken"
    return b'{"n": %d, "country": "%s"}' % (number, COUNTRIES[number % len(COUNTRIES)].encode())


def _line(course: Course) -> str:
    last = course.last
    counted = "  ".join(
        f"{name} {last.acknowledged[name]:,} acknowledged, {last.pending[name]:,} open" for name in last.acknowledged
    )
    return f"{course.now:4.0f} s  to {last.used or '-'}  {counted}"
