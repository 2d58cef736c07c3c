"""What a test of the whole platform does, on the real servers: declare, deploy, produce, wait, count."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goal import Verdict
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.plan.decide import Request
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.producer.producer import KeystoneProducer
from keystone_platform.query.session import open_session
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE, Settings
from keystone_platform.spec.loader import load_streams_leniently
from keystone_platform.stack.embedded import EmbeddedStack

T = TypeVar("T")

COUNTRIES = ("US", "BR", "DE", "JP")


def stream_yaml(stream: str, *, where: str | None = None, interval_s: int = 3) -> str:
    """Return a stream with one warehouse route, filtered or not."""
    condition = f'    filter: "{where}"\n' if where else ""
    return (
        f"stream: {stream}\nowner: team:tests\npartitions: 2\n"
        "schema: {n: bigint, country: string, padding: string}\n"
        f"routes:\n  - sink: {{warehouse: {{table: tests.{stream}}}}}\n{condition}"
        f"    select: [n, country]\n    checkpoint_interval_s: {interval_s}\n"
    )


def event(number: int) -> bytes:
    """Return the payload of the event of that number."""
    document = {"n": number, "country": COUNTRIES[number % len(COUNTRIES)], "padding": "x" * 300}
    return json.dumps(document).encode()


def wait_for(what: str, look: Callable[[], T | None], timeout_s: float) -> T:
    """Look again and again until there is something, and return it; fail after the timeout."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = look()
        if found is not None and found is not False:
            return found
        time.sleep(0.5)
    message = f"not within {timeout_s:.0f} s: {what}"
    raise AssertionError(message)


@contextmanager
def started(
    home: Path, streams: Path, without: Collection[str] = (), including: Collection[str] = ()
) -> Iterator[EmbeddedStack]:
    """Start the servers on free ports; the environment names their home until they are stopped."""
    stack = EmbeddedStack(home, streams=streams, usual_ports=False)
    try:
        stack.up(without=without, including=including)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(HOME_VARIABLE, str(home))
            patch.setenv(SETTINGS_VARIABLE, str(stack.home.settings))
            patch.setenv(STREAMS_VARIABLE, str(streams))
            yield stack
    finally:
        stack.down()


@dataclass(frozen=True)
class Counted:
    """What a reader sees of a table: rows, distinct identities, and offsets that are missing in between."""

    rows: int
    distinct: int
    gaps: int


@dataclass(frozen=True)
class Platform:
    """The stack with what clients of it need."""

    stack: EmbeddedStack
    settings: Settings
    gateways: Gateways
    dagster: DagsterApi
    streams: Path

    def declare(self, stream: str, text: str) -> None:
        (self.streams / f"{stream}.yaml").write_text(text)

    def apply(self, route: str, request: Request = Request.CONVERGE) -> Verdict:
        (verdict,) = reconcile(self.gateways, wanted(self.streams, [route]).goals, request)
        return verdict

    def plan(self, route: str) -> RouterPlan:
        (goal,) = wanted(self.streams, [route]).goals
        return goal.plan

    def running_routes(self) -> set[str]:
        """Return the routes whose latest deployment nobody has ended."""
        return {route for route, latest in self.gateways.ledger.latest().items() if latest.end is None}

    def stop(self, routes: Collection[str]) -> None:
        """Stop these routers and free their slots; the job of one that is declared no more is cancelled."""
        declared = [route.id for route in load_streams_leniently(self.streams).routes if route.id in routes]
        goals = wanted(self.streams, declared).goals if declared else ()
        for verdict in reconcile(self.gateways, goals, Request.STOP):
            assert verdict.ok, verdict.message
        for route in set(routes) - {goal.route for goal in goals}:
            self.gateways.flink.cancel(self.latest(route).job_id, timeout_s=60)

    def vertices(self, job_id: str) -> list[str]:
        """Return the names of the job's operators chains, as the cluster runs them."""
        answer = httpx.get(f"{self.settings.flink_rest}/jobs/{job_id}", timeout=10).raise_for_status()
        return [vertex["name"] for vertex in answer.json()["vertices"]]

    def latest(self, route: str) -> Deployment:
        return self.gateways.ledger.latest()[route]

    def produce(self, stream: str, numbers: Iterable[int], *, pause_every: int = 0, pause_s: float = 0.0) -> None:
        """Send the events of these numbers and return when each is acknowledged."""
        with KeystoneProducer(self.settings.kafka, "tests") as producer:
            for sent, number in enumerate(numbers, 1):
                producer.send(stream, event(number))
                if pause_every and sent % pause_every == 0:
                    time.sleep(pause_s)
            assert producer.flush(60) == 0
            assert producer.counts().dropped_total == 0

    def rows(self, stream: str, query: str) -> Sequence[tuple[object, ...]]:
        """Run a query over the stream's table, named `t` in it."""
        session = open_session(self.settings, [f"tests.{stream}"])
        return session.execute(f"WITH t AS (FROM tests.{stream}) {query}").fetchall()

    def counted(self, stream: str) -> Counted:
        (row,) = self.rows(
            stream,
            """, span AS (SELECT _topic, _partition, max("_offset") - min("_offset") + 1 AS n FROM t GROUP BY ALL)
            SELECT (SELECT count(*) FROM t),
                   (SELECT count(*) FROM (SELECT DISTINCT _topic, _partition, "_offset" FROM t)),
                   (SELECT coalesce(sum(n), 0) FROM span)""",
        )
        rows, distinct, span = (int(str(value)) for value in row)
        return Counted(rows, distinct, span - distinct)

    def wait_for_rows(self, stream: str, rows: int, timeout_s: float = 120) -> Counted:
        return wait_for(
            f"{rows} rows in tests.{stream} (there are {self.counted(stream).rows})",
            lambda: counted if (counted := self.counted(stream)).rows >= rows else None,
            timeout_s,
        )
