"""`make bench-router`: the platform's routes beside the Flink SQL that an expert writes by hand, on real servers.

For each shape of work the engines take turns on one warm cluster: a first round warms up and is thrown away, the median
of the others counts. Events per CPU-second are of the TaskManager's whole process: its garbage collector and compiler
are in it, broker and object store are not.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from bench.router_events import produce
from bench.router_jobs import ENGINES, Engine, Shape, bare_job, consume_job, keystone_job, route_plan, shapes
from flink_jobs.statements import Program
from keystone_platform.control.prepare import prepare
from keystone_platform.gateways.flink_home import flink_client_environment, wheel_folder
from keystone_platform.gateways.iceberg_schema import hourly, table_schema
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.submission import Connection
from keystone_platform.settings import Settings
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.server import FLINK_TASKMANAGER
from keystone_platform.wiring import connect

PASS_TIMEOUT_S = 600
PARTITIONS = 2

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Pass:
    """One run of one engine over all events of a shape.

    Attributes:
        rows: rows that the pass put into its table; None where it has none.
        events_per_s: from the moment the job runs until its last commit.
    """

    shape: str
    engine: Engine
    round: int
    rows: int | None
    events_per_s: float
    events_per_cpu_s: float


@dataclass(frozen=True)
class Result:
    """The median of an engine's warm passes."""

    shape: str
    engine: Engine
    events_per_s: float
    events_per_cpu_s: float


def main() -> None:
    """Measure and print; exit status 1 if an engine landed other rows than the others."""
    options = _options()
    chosen = [shape for shape in shapes(options.scale) if options.shape in shape.name]
    console = Console(stderr=True)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="keystone-bench-") as folder:
        home = Path(options.home or folder)
        (home / "streams").mkdir(parents=True, exist_ok=True)
        stack = EmbeddedStack(home / "stack", streams=home / "streams", usual_ports=False)
        settings = stack.up(without=["dagster"]).settings
        try:
            bench = _Bench(stack, settings, console.log)
            for shape in chosen:
                bench.prepare(shape)
                passes = [bench.run(shape, engine, n) for n in range(options.rounds + 1) for engine in options.engines]
                results += _medians(passes)
                if options.json:
                    for result in results[-len(options.engines) :]:
                        sys.stdout.write(json.dumps(asdict(result)) + "\n")
                        sys.stdout.flush()
        finally:
            if not options.home:
                stack.down()
    if not options.json:
        _show(chosen, results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--shape", default="", help="only shapes whose name holds this text")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=2, help="measured rounds, after one that warms up")
    parser.add_argument("--home", help="use the stack of this folder and leave it up, with its events")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of events")
    return parser.parse_args()


class _Bench:
    """A running stack and a Flink client in this process."""

    def __init__(self, stack: EmbeddedStack, settings: Settings, log: Progress) -> None:
        self._stack = stack
        self._settings = settings
        self._log = log
        self._gateways = connect(settings)
        self._lake = IcebergLake(settings)
        self._connection = Connection.of(settings)
        os.environ.update(flink_client_environment(settings, os.environ), FLINK_HOME=str(wheel_folder()))

    def prepare(self, shape: Shape) -> None:
        """Make the topic and fill it, unless an earlier shape did."""
        events = shape.events
        self._gateways.kafka.ensure_topic(events.topic, PARTITIONS)
        if self._gateways.kafka.offsets(events.topic).span < events.count:
            started = time.monotonic()
            size = produce(self._settings.kafka, events)
            took = time.monotonic() - started
            self._log(f"{events.topic}: {events.count:,} events of {size:,} bytes in {took:.0f} s")

    def run(self, shape: Shape, engine: Engine, number: int) -> Pass:
        """Run one pass to its end."""
        from flink_jobs import planner  # after the environment that it reads is set

        target = (
            f"{engine}_{shapes(1).index(next(s for s in shapes(1) if s.name == shape.name))}_{number}_{time.time_ns()}"
        )
        program = self._program(shape, engine, target)
        process = psutil.Process(self._stack.pid(FLINK_TASKMANAGER))
        before = process.cpu_times()
        planner.start_program(program, planner.cluster_options(self._settings.flink_rest))
        seconds = self._wait()
        after = process.cpu_times()
        cpu = (after.user + after.system) - (before.user + before.system)
        rows = None
        if engine != "consume" and shape.sink == "warehouse":
            head = self._lake.head(f"bench.{target}")
            rows = head.rows if head else 0
        count = shape.events.count
        done = Pass(shape.name, engine, number, rows, count / seconds, count / cpu)
        self._log(
            f"{shape.name}, {engine}, round {number}: {done.events_per_s:,.0f}/s,"
            f" {done.events_per_cpu_s:,.0f} per CPU-s, {seconds:.1f} s, rows {rows}"
        )
        return done

    def _program(self, shape: Shape, engine: Engine, target: str) -> Program:
        checkpoints = f"{self._settings.checkpoints}/bench"
        if engine == "consume":
            return consume_job(shape, self._connection, checkpoints)
        plan = route_plan(shape, target)
        if engine == "keystone":
            prepare(self._gateways, plan, PARTITIONS)
            return keystone_job(plan, self._connection, checkpoints)
        if shape.sink == "kafka":
            self._gateways.kafka.ensure_topic(target, PARTITIONS)
        else:
            catalog, schema = self._lake.catalog, table_schema(plan)
            catalog.create_namespace_if_not_exists("bench")
            # as Iceberg's own catalogs create a table that nobody tuned
            defaults = {"write.parquet.compression-codec": "zstd"}
            catalog.create_table(f"bench.{target}", schema, partition_spec=hourly(schema), properties=defaults)
        return bare_job(shape, target, self._connection, checkpoints)

    def _wait(self) -> float:
        """Wait for the newest job to finish; returns the seconds that it ran."""
        deadline = time.monotonic() + PASS_TIMEOUT_S
        while time.monotonic() < deadline:
            jobs = httpx.get(f"{self._settings.flink_rest}/jobs/overview", timeout=10).raise_for_status().json()["jobs"]
            newest = max(jobs, key=lambda job: job["start-time"])
            if newest["state"] == "FINISHED":
                detail = httpx.get(f"{self._settings.flink_rest}/jobs/{newest['jid']}", timeout=10).json()
                started = max(vertex["start-time"] for vertex in detail["vertices"])
                return float(newest["end-time"] - started) / 1000
            if newest["state"] in ("FAILED", "CANCELED"):
                break
            time.sleep(0.25)
        message = f"the job did not finish: see {self._stack.home.folder}"
        raise RuntimeError(message)


def _medians(passes: list[Pass]) -> Iterator[Result]:
    for engine in dict.fromkeys(each.engine for each in passes):
        warm = [each for each in passes if each.engine == engine and each.round > 0]
        yield Result(
            warm[0].shape,
            engine,
            round(statistics.median(each.events_per_s for each in warm)),
            round(statistics.median(each.events_per_cpu_s for each in warm)),
        )


def _show(chosen: list[Shape], results: list[Result]) -> None:
    table = Table("shape", "engine", "events/s", "events per CPU-s", "to bare", "goal", box=None, pad_edge=False)
    for shape in chosen:
        mine = {result.engine: result for result in results if result.shape == shape.name}
        for engine, result in mine.items():
            ratio = f"{result.events_per_cpu_s / mine['bare'].events_per_cpu_s:.2f}" if "bare" in mine else ""
            goal = f"{shape.goal:.1f}" if engine == "keystone" else ""
            table.add_row(
                shape.name, engine, f"{result.events_per_s:,.0f}", f"{result.events_per_cpu_s:,.0f}", ratio, goal
            )
    Console().print(table)


if __name__ == "__main__":
    main()
