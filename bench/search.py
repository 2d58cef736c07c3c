"""`make bench-search`: documents a second of a search route, with OpenSearch on the same machine.

Runs a stack of its own on free ports in a temporary home. A first pass warms servers and worker up and is not counted;
the figure is the median of the others, each into an index of its own. Events are of 9 columns and about 750 bytes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.router_events import Events, nine_columns, produce
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.gateways.search import OpenSearch
from keystone_platform.plan.decide import Request
from keystone_platform.settings import Settings
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.wiring import connect

BOUND = 5_000
"""Documents a second that the sink has to reach on two shared cores."""

PASS_TIMEOUT_S = 600

STREAM = """
stream: watch
owner: team:bench
partitions: 2
schema:
  user_id: bigint
  session_id: string
  country: string
  device: string
  duration_ms: bigint
  bitrate: double
  started_at: timestamp
  url: string
  message: string
routes:
"""

ROUTE = """
  - name: search_{number}
    sink: {{search: {{index: "watch-{number}-{{date}}"}}}}
"""


@dataclass(frozen=True)
class Pass:
    """One pass over all events, from the moment that the router runs until the last document can be searched."""

    shape: str
    events: int
    bytes_each: int
    documents_per_s: float
    bound: float = BOUND


def main() -> None:
    """Measure and print; exit status 1 if the bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--passes", type=int, default=3, help="passes that count, after one that does not")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="keystone-bench-") as folder:
        passes = _passes(Path(folder), options.events, options.passes)
    median = statistics.median(each.documents_per_s for each in passes)
    for each in passes if options.json else ():
        sys.stdout.write(json.dumps(asdict(each)) + "\n")
    if not options.json:
        rates = ", ".join(f"{each.documents_per_s:,.0f}" for each in passes)
        sys.stdout.write(f"documents/s: median {median:,.0f} of {rates}; bound {BOUND:,}\n")
    sys.exit(median < BOUND)


def _passes(folder: Path, events: int, count: int) -> list[Pass]:
    streams = folder / "streams"
    streams.mkdir()
    routes = "".join(ROUTE.format(number=number) for number in range(count + 1))
    (streams / "watch.yaml").write_text(STREAM + routes)
    stack = EmbeddedStack(folder / "stack", streams=streams, usual_ports=False)
    settings = stack.up(including=("search",), without=("dagster",)).settings
    try:
        gateways = connect(settings)
        gateways.kafka.ensure_topic("watch", 2)
        size = produce(settings.kafka, Events("watch", nine_columns, events))
        return [_pass(settings, streams, number, events, size) for number in range(count + 1)][1:]
    finally:
        stack.down()


def _pass(settings: Settings, streams: Path, number: int, events: int, size: int) -> Pass:
    gateways, search = connect(settings), OpenSearch(settings.search)
    goals = wanted(streams, [f"watch.search_{number}"]).goals
    (verdict,) = reconcile(gateways, goals)
    if verdict.error:
        raise verdict.error
    started = time.monotonic()
    while (indexed := _indexed(search, number)) < events:
        if time.monotonic() - started > PASS_TIMEOUT_S:
            message = f"{indexed} of {events} documents within {PASS_TIMEOUT_S} s"
            raise TimeoutError(message)
        time.sleep(0.5)
    search.refresh(f"watch-{number}-*")
    seconds = time.monotonic() - started
    count = search.request("GET", f"/watch-{number}-*/_count")["count"]
    if count != events:
        message = f"{count} documents of {events} events"
        raise RuntimeError(message)
    reconcile(gateways, goals, Request.STOP)
    sys.stderr.write(f"pass {number}: {events / seconds:,.0f} documents/s\n")
    return Pass("9 of 9 columns", events, size, round(events / seconds, 1))


def _indexed(search: OpenSearch, number: int) -> int:
    """Return how many documents were indexed, which asks no segment to be made as a search would."""
    totals = search.request("GET", f"/watch-{number}-*/_stats/indexing")["_all"]["primaries"]
    return int(totals["indexing"]["index_total"]) if totals else 0


if __name__ == "__main__":
    main()
