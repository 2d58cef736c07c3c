"""`make bench`: the figures of the main job, each against its bound.

Runs a stack of its own on free ports in a temporary home. With `--setup` it also times `make setup` in a fresh clone
with cold caches (1.5 GB of downloads).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.producer import KeystoneProducer
from keystone_platform.query.session import open_session
from keystone_platform.settings import Settings
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.processes import marked_processes
from keystone_platform.wiring import connect

ROOT = Path(__file__).parents[1]
PROBES = 5
IDLE_S = 30
VISIBLE_TIMEOUT_S = 120
INTERVAL_S = 10
STREAM = f"""
stream: probe
owner: team:bench
schema: {{n: bigint}}
routes:
  - sink: {{warehouse: {{table: bench.probe}}}}
    checkpoint_interval_s: {INTERVAL_S}
"""


@dataclass(frozen=True)
class Figure:
    """One measured value and the bound that it has to keep."""

    case: str
    value: float
    unit: str
    bound: float

    @property
    def is_kept(self) -> bool:
        """Whether the value is within its bound."""
        return self.value <= self.bound


def main() -> None:
    """Measure and print; exit status 1 if a bound is broken."""
    options = _options()
    figures = []
    for figure in _figures(options):
        figures.append(figure)
        if options.json:
            sys.stdout.write(json.dumps(asdict(figure)) + "\n")
            sys.stdout.flush()
    if not options.json:
        _show(figures)
    sys.exit(not all(figure.is_kept for figure in figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--setup", action="store_true", help="also time `make setup` with cold caches")
    parser.add_argument("--events", type=int, default=200_000, help="events of the demo")
    return parser.parse_args()


def _figures(options: argparse.Namespace) -> Iterator[Figure]:
    if options.setup:
        yield Figure("make setup, cold caches", _setup(), "s", 240)
    with tempfile.TemporaryDirectory(prefix="keystone-bench-") as folder:
        home = Path(folder)
        (home / "streams").mkdir()
        (home / "streams" / "probe.yaml").write_text(STREAM)
        stack = EmbeddedStack(home / "stack", streams=home / "streams", usual_ports=False)
        started = time.monotonic()
        settings = stack.up().settings
        try:
            yield Figure("keystone up, first time", time.monotonic() - started, "s", 60)
            time.sleep(IDLE_S)
            yield Figure("stack idle, memory", _memory(stack), "GiB", 6)
            latencies = _latencies(settings, home / "streams")
            yield Figure(f"produce to DuckDB, median of {PROBES}", statistics.median(latencies), "s", INTERVAL_S + 5)
            yield Figure(f"produce to DuckDB, worst of {PROBES}", max(latencies), "s", INTERVAL_S + 5)
        finally:
            stack.down()
        yield Figure(f"make demo EVENTS={options.events}", _demo(home / "demo", options.events), "s", 240)


def _setup() -> float:
    """Time `make setup` in a clone, with neither pip's nor Maven's cache."""
    with tempfile.TemporaryDirectory(prefix="keystone-setup-") as folder:
        clone, repository = Path(folder) / "clone", Path(folder) / "maven"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        started = time.monotonic()
        environment = {**os.environ, "PIP_NO_CACHE_DIR": "1", "MAVEN_OPTS": f"-Dmaven.repo.local={repository}"}
        subprocess.run(["make", "setup"], cwd=clone, env=environment, check=True, stdout=sys.stderr)
        return time.monotonic() - started


def _memory(stack: EmbeddedStack) -> float:
    """Return the proportional set size of all of the stack's processes, so that shared pages count once, in GiB."""
    processes = [marked.process for marked in marked_processes(stack.home.mark)]
    return float(sum(process.memory_full_info().pss for process in processes)) / 2**30


def _latencies(settings: Settings, streams: Path) -> list[float]:
    """Send single events into a quiet stream and time how long each takes until a DuckDB session sees it."""
    (verdict,) = reconcile(connect(settings), wanted(streams, ["probe.warehouse"]).goals)
    if verdict.error:
        raise verdict.error
    with KeystoneProducer(settings.kafka, "bench") as producer:
        return [_latency(settings, producer, number) for number in range(PROBES)]


def _latency(settings: Settings, producer: KeystoneProducer, number: int) -> float:
    started = time.monotonic()
    producer.send("probe", json.dumps({"n": number}).encode())
    while time.monotonic() - started < VISIBLE_TIMEOUT_S:
        with open_session(settings, ["bench.probe"]) as session:
            if session.execute("SELECT 1 FROM bench.probe WHERE n = ?", [number]).fetchone():
                return time.monotonic() - started
        time.sleep(0.2)
    message = f"event {number} was not visible within {VISIBLE_TIMEOUT_S} s"
    raise TimeoutError(message)


def _demo(home: Path, events: int) -> float:
    started = time.monotonic()
    command = [sys.executable, "-c", "from keystone_platform.cli import main; main()"]
    arguments = ["demo", "--events", str(events), "--exit", "--json"]
    environment = {**os.environ, "KEYSTONE_HOME": str(home), "KEYSTONE_STREAMS": str(ROOT / "streams")}
    ended = subprocess.run([*command, *arguments], env=environment, stdout=subprocess.PIPE, check=True, text=True)
    sys.stderr.write(f"the demo's truth: {ended.stdout.strip().splitlines()[-1]}\n")
    shutil.rmtree(home, ignore_errors=True)
    return time.monotonic() - started


def _show(figures: list[Figure]) -> None:
    table = Table("figure", "measured", "bound", "", box=None, pad_edge=False)
    for figure in figures:
        mark = "[green]kept[/]" if figure.is_kept else "[red]broken[/]"
        table.add_row(figure.case, f"{figure.value:.1f} {figure.unit}", f"{figure.bound:g} {figure.unit}", mark)
    Console().print(table)


if __name__ == "__main__":
    main()
