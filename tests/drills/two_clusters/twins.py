"""A stream on two real Kafka clusters, one of which a drill kills, and the commands that a person runs meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.kafka_clusters import connect_kafka
from keystone_platform.producer.producer import KeystoneProducer
from keystone_platform.stack.killing import kill_server
from keystone_platform.stack.server import KAFKA
from tests.e2e.platform import Platform, event

WITHOUT = ("dagster",)
ALONE = "clusters: {standby: none}\n"

KEYSTONE = (sys.executable, "-c", "from keystone_platform.cli import main; main()")
ROOT = Path(__file__).parents[3]


@dataclass
class Twins:
    """A stream on both clusters with its route, and how many events were sent.

    Attributes:
        stream: also its topic on the primary, and its table in `tests`.
        route: the one that is applied.
    """

    platform: Platform
    stream: str
    route: str
    sent: int = 0

    @property
    def standby_topic(self) -> str:
        return f"standby.{self.stream}"

    def send(self, topic: str, events: int = 300, broken: Sequence[bytes] = ()) -> None:
        """Send events of the next numbers to that topic, then payloads that no route decodes; all acknowledged."""
        kafka = connect_kafka(self.platform.settings).properties(topic)
        with KeystoneProducer(kafka, "tests", topics={self.stream: topic}) as producer:
            for number in range(self.sent, self.sent + events):
                producer.send(self.stream, event(number))
            for payload in broken:
                producer.send(self.stream, payload)
            assert producer.flush(60) == 0
            assert producer.counts().dropped_total == 0
        self.sent += events

    def send_both(self, events: int = 300) -> None:
        self.send(self.stream, events)
        self.send(self.standby_topic, events)

    def await_all(self, what: str, timeout_s: float = 120) -> None:
        """Wait until the table has each event that was sent, and see that it has each once."""
        began = time.monotonic()
        found = self.platform.wait_for_rows(self.stream, self.sent, timeout_s)
        print(f"{what}: {found.rows} rows {time.monotonic() - began:.1f} s after the last event")
        assert (found.rows, found.distinct, found.gaps) == (self.sent, self.sent, 0)

    def job(self) -> str:
        return self.platform.latest(self.route).job_id

    def restarts(self) -> int:
        return self.platform.gateways.flink.progress(self.job()).restarts

    def checkpoints(self) -> int:
        return self.platform.gateways.flink.checkpoints(self.job()).completed

    def begin(self, text: str) -> float:
        """Declare the stream so and apply its route; return the seconds that took."""
        self.platform.declare(self.stream, text)
        began = time.monotonic()
        verdict = self.platform.apply(self.route)
        assert verdict.ok, verdict.message
        return time.monotonic() - began

    def end(self) -> None:
        """Stop the route, whose slots others need."""
        self.platform.stop([self.route])

    def kill_primary(self) -> None:
        """SIGKILL; it stays dead."""
        kill_server(self.platform.stack, KAFKA, SystemClock())

    def start_all(self) -> None:
        """Start whatever of the stack does not run."""
        self.platform.stack.up(without=WITHOUT)


def command(*arguments: str) -> list[str]:
    """Return `keystone` with these arguments."""
    return [*KEYSTONE, *arguments]


def environment() -> dict[str, str]:
    """Return a command's environment: it finds the drill's stack by it."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def keystone(*arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Run `keystone` to its end; whoever calls looks at its exit status."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=timeout_s, env=environment(), check=False
    )
