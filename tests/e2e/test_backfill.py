"""A backfill on real servers: a mended filter is run again over past hours while events keep coming."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from keystone_platform.audit.truth import audit_route
from keystone_platform.cli import app
from keystone_platform.producer.producer import KeystoneProducer
from tests.e2e.platform import Platform, event, stream_yaml, wait_for

pytestmark = pytest.mark.stack

STREAM, ROUTE, TABLE = "refilled", "refilled.warehouse", "tests.refilled"
HOUR = timedelta(hours=1)


def produce(platform: Platform, numbers: Iterable[int], hour: datetime | None = None) -> None:
    with KeystoneProducer(platform.settings.kafka, "tests") as producer:
        for number in numbers:
            producer.send(STREAM, event(number), time=hour and hour + timedelta(milliseconds=number * 100))
        assert producer.flush(60) == 0


def backfill(platform: Platform, *arguments: str) -> dict[str, object]:
    answer = CliRunner().invoke(
        app, ["backfill", *arguments, "--streams", str(platform.streams), "--json"], catch_exceptions=False
    )
    assert answer.exit_code == 0, answer.output
    told: dict[str, object] = json.loads(answer.stdout)
    return told


def numbers(platform: Platform) -> Counter[object]:
    return Counter(n for (n,) in platform.rows(STREAM, "SELECT n FROM t"))


def test_hours_of_a_wrong_filter_are_mended_while_events_keep_coming(platform: Platform) -> None:
    second = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 3 * HOUR
    platform.declare(STREAM, stream_yaml(STREAM, where="country = 'US'", interval_s=6))
    assert platform.apply(ROUTE).ok
    produce(platform, range(1_000), second - HOUR)
    produce(platform, range(1_000, 3_000), second)
    produce(platform, range(3_000, 4_000), second + HOUR)
    platform.wait_for_rows(STREAM, 1_000)
    platform.declare(STREAM, stream_yaml(STREAM, interval_s=6))
    assert platform.apply(ROUTE).ok

    produced, ends, seen = 4_000, threading.Event(), list[int]()
    past = dict(platform.gateways.kafka.offsets(STREAM).end)

    def write() -> None:
        nonlocal produced
        for turn in itertools.count():
            if ends.wait(0.5):
                return
            # now and then a late one of the hour that is being replaced
            produce(platform, range(produced, produced + 200), second if turn % 5 == 0 else None)
            produced += 200

    def read() -> None:
        over = False
        while not over:
            over = ends.is_set()
            ((count,),) = platform.rows(STREAM, "SELECT count(*) FROM t WHERE n BETWEEN 1000 AND 2999")
            seen.append(int(str(count)))
            ends.wait(0.2)

    def settled() -> bool:
        landed = platform.gateways.lake.next_offsets(TABLE, [STREAM]).get(STREAM, {})
        return all(landed.get(partition, 0) > end for partition, end in past.items())

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    try:
        for thread in threads:
            thread.start()
        wait_for("the router lands events of after the change", settled, 60)
        preview = backfill(platform, TABLE, "--hour", f"{second:%Y-%m-%dT%H}", "--dry-run")
        told = backfill(platform, TABLE, "--hour", f"{second:%Y-%m-%dT%H}")
    finally:
        ends.set()
        for thread in threads:
            thread.join(60)

    assert set(seen) == {500, 2_000}, f"a reader sees the rows of before or those of after: {Counter(seen)}"
    assert told["hours"] == [f"{second:%Y-%m-%dT%H}"]
    assert int(str(told["rows_added"])) - int(str(told["rows_removed"])) == 1_500
    assert int(str(preview["rows_then"])) - int(str(preview["rows_now"])) == 1_500
    expected = [*range(0, 1_000, 4), *range(1_000, 3_000), *range(3_000, 4_000, 4), *range(4_000, produced)]
    platform.wait_for_rows(STREAM, len(expected))
    assert numbers(platform) == Counter(expected)

    job_id = hashlib.sha256(str(told["backfill"]).encode()).hexdigest()[:32]
    names = platform.vertices(job_id)
    assert any("Sink pre-commit aggregator" in name for name in names), f"sink v1 loses rows: {names}"

    ends_now = platform.gateways.lake.next_offsets(TABLE, [STREAM])[STREAM]
    spans = [part for number, end in ends_now.items() for part in ("--offsets", f"{STREAM}:{number}:0-{end}")]
    again = backfill(platform, ROUTE, *spans)
    assert again["rows_added"] == again["offsets"]
    assert numbers(platform) == Counter(range(produced))
    assert audit_route(platform.settings, platform.plan(ROUTE)).is_exact
