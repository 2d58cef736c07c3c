"""`make bench-producer`: what `send` costs beside bare confluent-kafka, how long it takes, what it holds; JSON=1.

Starts a broker of its own. The producer's process has one core to itself alone; what is compared alternates. For the
switch a second broker is killed. The last cases begin with the broker up, stop it for good, and go on for a minute.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.killing import kill_server

ROOT = Path(__file__).parents[1]
TOPIC = "bench.producer"
PAIRS = 5
EVENTS = 300_000
RATE = 20_000
DEAD_S = 60
STANDBY_TOPIC = f"standby.{TOPIC}"
SWITCH = "switch to the standby, 20,000/s"
SENT = (
    ("send, 750 B", "send", 750, 0),
    ("send, 4 KB", "send", 4096, 0),
    ("send, 750 B with a key", "send", 750, 1),
    ("send, 750 B, with a standby", "watched", 750, 0),
)
"""Cases of events a second: name, what is run, bytes, whether with a key."""


@dataclass(frozen=True)
class Figure:
    """One measured value beside what it is compared with.

    Attributes:
        ratio: value by reference.
        goal: what the ratio has to reach, or not to exceed.
    """

    case: str
    value: float
    unit: str
    reference: float
    ratio: float
    goal: str

    @property
    def is_reached(self) -> bool:
        """Whether the goal is reached."""
        sign, number = self.goal.split()
        return self.ratio >= float(number) if sign == ">=" else self.ratio <= float(number)

    def told(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {key: value for key, value in asdict(self).items() if key != "goal"}


def main() -> None:
    """Measure and print; exit status 1 if a figure misses its goal."""
    asked = options(__doc__ or "")
    figures: list[Figure] = []
    for figure in _figures(asked.case):
        figures.append(figure)
        if asked.json:
            sys.stdout.write(json.dumps(figure.told()) + "\n")
            sys.stdout.flush()
    if not asked.json:
        show(figures)
    sys.exit(not all(figure.is_reached for figure in figures))


def options(description: str) -> argparse.Namespace:
    """Return what the command line asks for: `json`, `case`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    return parser.parse_args()


def _figures(wanted: str) -> Iterator[Figure]:
    home = Path(tempfile.mkdtemp(prefix="keystone-bench-"))
    stack = EmbeddedStack(home, streams=home / "streams", usual_ports=False)
    try:
        kafka = stack.up(without=("s3", "flink", "dagster")).settings.kafka
        ConfluentKafka(kafka).ensure_topic(TOPIC, 4)
        for topic in (STANDBY_TOPIC, "keystone.failover"):
            ConfluentKafka(kafka).ensure_topic(topic, 4)
        for case, what, size, key in SENT:
            if wanted in case:
                yield _beside_bare(case, kafka, what, size, key)
        if wanted in SWITCH:
            yield _switch(kafka)
        if wanted in "p99.9 of send, Kafka up":
            latencies = _run(kafka, "up", EVENTS)
            yield _bound("p99.9 of send, Kafka up", latencies["p999_ms"], "ms", 1.0, 1.0)
        if wanted in "p99.9 of send, Kafka dead" or wanted in "memory, Kafka dead":
            yield from _dead(kafka, stack)
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)


def _switch(standby: dict[str, str]) -> Figure:
    """Kill the broker that a producer sends to, RATE events a second, and wait until the other one acknowledges."""
    home = Path(tempfile.mkdtemp(prefix="keystone-bench-"))
    stack = EmbeddedStack(home, streams=home / "streams", usual_ports=False)
    try:
        doomed = stack.up(without=("s3", "flink", "dagster")).settings.kafka
        ConfluentKafka(doomed).ensure_topic(TOPIC, 4)
        command = _command(doomed, "switch", 0, 750, 0, standby["bootstrap.servers"])
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdout.readline()
            process.stdin.write("go\n")
            process.stdin.flush()
            kill_server(stack, "kafka", SystemClock())
            found = json.loads(process.stdout.readline())
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)
    sys.stderr.write(f"switched: {found['counts']}\n")
    return _bound(SWITCH, found["seconds"], "s", 10.0, 1.0)


def _beside_bare(case: str, kafka: dict[str, str], what: str, size: int, key: int) -> Figure:
    sent: list[float] = []
    bare: list[float] = []
    for _ in range(PAIRS):
        bare.append(_run(kafka, "bare", EVENTS, size, key)["per_s"])
        sent.append(_run(kafka, what, EVENTS, size, key)["per_s"])
    value, reference = statistics.median(sent), statistics.median(bare)
    return Figure(case, value, "events/s", reference, value / reference, ">= 0.7")


def _dead(kafka: dict[str, str], stack: EmbeddedStack) -> Iterator[Figure]:
    """Stop the broker under a producer that is connected, and go on at RATE for DEAD_S."""
    command = _command(kafka, "dead", RATE * DEAD_S)
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()  # connected, and warm
        stack.down()
        process.stdin.write("go\n")
        process.stdin.close()
        found = json.loads(process.stdout.readline())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    sys.stderr.write(f"dead for {found['seconds']:.0f} s at {found['per_s']:,.0f}/s: {found['counts']}\n")
    yield _bound("p99.9 of send, Kafka dead", found["p999_ms"], "ms", 1.0, 1.0)
    yield _bound("memory, Kafka dead", found["grown_mb"], "MB", found["bound_mb"], 1.1)


def _bound(case: str, value: float, unit: Literal["ms", "MB", "s"], reference: float, most: float) -> Figure:
    return Figure(case, value, unit, reference, value / reference, f"<= {most}")


def _run(kafka: dict[str, str], what: str, events: int, size: int = 750, key: int = 0) -> dict[str, Any]:
    ended = subprocess.run(_command(kafka, what, events, size, key), cwd=ROOT, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _command(
    kafka: dict[str, str], what: str, events: int, size: int = 750, key: int = 0, standby: str = ""
) -> list[str]:
    return [
        sys.executable,
        "-m",
        "bench.producer_cases",
        what,
        kafka["bootstrap.servers"],
        TOPIC,
        *map(str, (events, size, key)),
        standby or kafka["bootstrap.servers"],
    ]


def show(figures: list[Figure]) -> None:
    """Print a table."""
    table = Table("case", show_edge=False, pad_edge=False)
    for column in ("value", "unit", "reference", "ratio", "to reach"):
        table.add_column(column, justify="right")
    for figure in figures:
        goal = f"{figure.goal} {'reached' if figure.is_reached else 'MISSED'}"
        value, reference = f"{figure.value:,.3g}", f"{figure.reference:,.3g}"
        if figure.unit == "events/s":
            value, reference = f"{figure.value:,.0f}", f"{figure.reference:,.0f}"
        table.add_row(figure.case, value, figure.unit, reference, f"{figure.ratio:.2f}", goal)
    Console().print(table)


if __name__ == "__main__":
    main()
