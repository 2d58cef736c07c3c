"""`make bench-ways-in`: what the gateway, files of lines and made-up events take, on one core; JSON=1.

Starts a broker of its own. The gateway's process has one core; load and broker share the other one. Each case runs
RUNS times, medians.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from bench import gateway_load
from bench.producer import Figure, options, show
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.spec.loader import load_streams
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.synthetic.events import Mix, synthetic_events

STREAM = "playback"
RUNS = 3
BATCH = 100
LINES = 100_000
MADE_UP = 100_000
KEYSTONE = (sys.executable, "-c", "from keystone_platform.cli import main; main()")


def main() -> None:
    """Measure and print; exit status 1 if a figure misses its goal."""
    asked = options(__doc__ or "")
    figures = []
    for figure in _figures(asked.case):
        figures.append(figure)
        if asked.json:
            sys.stdout.write(json.dumps(figure.told()) + "\n")
            sys.stdout.flush()
    if not asked.json:
        show(figures)
    sys.exit(not all(figure.is_reached for figure in figures))


def _figures(wanted: str) -> Iterator[Figure]:
    if wanted in "made-up events, 4 KB":
        yield _above("made-up events, 4 KB", statistics.median(_made_up() for _ in range(RUNS)), 20_000)
    home = Path(tempfile.mkdtemp(prefix="keystone-bench-"))
    stack = EmbeddedStack(home, streams=home / "streams", usual_ports=False)
    try:
        kafka = stack.up(without=("s3", "flink", "dagster")).settings.kafka
        ConfluentKafka(kafka).ensure_topic(STREAM, 4)
        environment = {**os.environ, "KEYSTONE_SETTINGS": str(stack.home.settings)}
        if wanted in "lines of a file, 750 B":
            found = statistics.median(_lines(home, environment) for _ in range(RUNS))
            yield _above("lines of a file, 750 B", found, 10_000)
        if wanted in "gateway, batches" or wanted in "gateway, single events" or wanted in "gateway, p99":
            with _gateway(environment) as url:
                yield from _gateway_figures(url)
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)


def _gateway_figures(url: str) -> Iterator[Figure]:
    single, batch = gateway_load.single_request("bench", STREAM), gateway_load.batch_request("bench", STREAM, BATCH)
    gateway_load.run(url, single, 2_000, 16, 1)  # warm
    batched = [gateway_load.run(url, batch, 600, 8, BATCH) for _ in range(RUNS)]
    yield _above(f"gateway, batches of {BATCH}", statistics.median(each.per_s for each in batched), 10_000)
    alone = [gateway_load.run(url, single, 10_000, 32, 1) for _ in range(RUNS)]
    yield _above("gateway, single events, 32 connections", statistics.median(each.per_s for each in alone), 1_000)
    p99 = statistics.median(each.quantile(0.99) for each in alone)
    yield _below("gateway, p99 of a single event, 32 connections", p99, 100)
    quiet = [gateway_load.run(url, single, 500, 1, 1) for _ in range(RUNS)]
    for share, name in ((0.5, "median"), (0.99, "p99")):
        found = statistics.median(each.quantile(share) for each in quiet)
        yield _below(f"gateway, {name} of a single event, one connection", found, 50)


@contextmanager
def _gateway(environment: Mapping[str, str]) -> Iterator[str]:
    command = [*KEYSTONE, "gateway", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            cores = sorted(os.sched_getaffinity(0))
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {cores[0]})
            os.sched_setaffinity(0, set(cores[1:]) or set(cores))
            yield url
            os.sched_setaffinity(0, set(cores))
        finally:
            process.terminate()


def _lines(home: Path, environment: Mapping[str, str]) -> float:
    file = home / "events.ndjson"
    if not file.exists():
        arguments = ["--synthetic", "--broken", "0", "--count", str(LINES), "--to", str(file)]
        subprocess.run([*KEYSTONE, "produce", STREAM, *arguments], check=True, env=environment)
    ended = subprocess.run(
        [*KEYSTONE, "produce", STREAM, str(file), "--json"], check=True, stdout=subprocess.PIPE, env=environment
    )
    result = json.loads(ended.stdout)
    return float(result["acknowledged"] / result["seconds"])


def _made_up() -> float:
    """Return events a second of processor time, made and thrown away."""
    spec = load_streams(Path("streams")).stream(STREAM).spec
    events = synthetic_events(spec, Mix(size_bytes=4096, max_bytes=10 * 1024 * 1024))
    next(events)
    began = time.process_time()
    for _ in islice(events, MADE_UP):
        pass
    return MADE_UP / (time.process_time() - began)


def _above(case: str, value: float, goal: float) -> Figure:
    return Figure(case, value, "events/s", goal, value / goal, ">= 1")


def _below(case: str, value: float, goal: float) -> Figure:
    return Figure(case, value, "ms", goal, value / goal, "<= 1")


if __name__ == "__main__":
    main()
