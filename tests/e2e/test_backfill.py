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
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from keystone_platform.cli import app
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.errors import Terminal
from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.decide import Request
from keystone_platform.producer.producer import KeystoneProducer
from keystone_platform.query.session import open_session
from tests.e2e.platform import Platform, event, stream_yaml, wait_for

pytestmark = pytest.mark.stack

STREAM, ROUTE, TABLE = "refilled", "refilled.warehouse", "tests.refilled"
HOUR = timedelta(hours=1)


def produce(platform: Platform, numbers: Iterable[int], hour: datetime | None = None, stream: str = STREAM) -> None:
    with KeystoneProducer(platform.settings.kafka, "tests") as producer:
        for number in numbers:
            time = hour and hour + timedelta(milliseconds=number * 100)
            # by key: each partition gets its share of every hour
            producer.send(stream, event(number), str(number).encode(), time)
        assert producer.flush(60) == 0


def backfill(platform: Platform, *arguments: str) -> dict[str, object]:
    answer = CliRunner().invoke(
        app, ["backfill", *arguments, "--streams", str(platform.streams), "--json"], catch_exceptions=False
    )
    assert answer.exit_code == 0, answer.output
    told: dict[str, object] = json.loads(answer.stdout)
    return told


def forget(platform: Platform, topic: str) -> None:
    """Let Kafka delete all that the topic holds."""
    ends = [TopicPartition(topic, part, end) for part, end in platform.gateways.kafka.offsets(topic).end.items()]
    admin = AdminClient(dict(platform.settings.kafka))  # its answers come as long as it lives
    for done in admin.delete_records(ends).values():
        done.result(30)


def assert_sink_v2(platform: Platform, branch: str) -> None:
    names = platform.vertices(hashlib.sha256(branch.encode()).hexdigest()[:32])
    assert any("Sink pre-commit aggregator" in name for name in names), f"sink v1 loses rows: {names}"


def numbers(platform: Platform, stream: str = STREAM) -> Counter[object]:
    return Counter(n for (n,) in platform.rows(stream, "SELECT n FROM t"))


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

    assert_sink_v2(platform, str(told["backfill"]))


LANDED, RAW_ROUTE, RAW_TABLE = "refetched", "refetched.raw", "tests.refetched_raw"


@pytest.mark.drill  # over a minute; contract/test_backfill_table.py has the parts
def test_an_hour_that_kafka_has_deleted_is_mended_from_the_payloads_that_landed(platform: Platform) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 3 * HOUR
    raw = f"  - {{name: raw, checkpoint_interval_s: 3, sink: {{warehouse: {{table: {RAW_TABLE}, raw: true}}}}}}\n"
    platform.declare(LANDED, stream_yaml(LANDED, where="country = 'US'") + raw)
    goals = wanted(platform.streams, [f"{LANDED}.warehouse", RAW_ROUTE]).goals
    assert all(verdict.ok for verdict in reconcile(platform.gateways, goals, Request.CONVERGE))
    produce(platform, range(8), hour - HOUR, LANDED)
    produce(platform, range(1_000, 2_000), hour, LANDED)
    produce(platform, range(2_000, 3_000), hour + HOUR, LANDED)
    platform.wait_for_rows(LANDED, 502)
    platform.wait_for_rows(f"{LANDED}_raw", 2_008)
    forget(platform, LANDED)
    platform.declare(LANDED, stream_yaml(LANDED) + raw)
    assert platform.apply(f"{LANDED}.warehouse").ok
    produce(platform, range(3_000, 3_100), stream=LANDED)
    platform.wait_for_rows(LANDED, 602)

    of_hour = [f"tests.{LANDED}", "--hour", f"{hour:%Y-%m-%dT%H}"]
    with pytest.raises(Terminal, match="Kafka has deleted all of it"):
        backfill(platform, *of_hour)
    # its offsets are below those of every other hour, so where the partitions end is not looked up in it
    lose_files_of(RAW_TABLE, platform, hour - HOUR)
    preview = backfill(platform, *of_hour, "--from-table", RAW_TABLE, "--dry-run")
    told = backfill(platform, *of_hour, "--from-table", RAW_TABLE)

    assert (preview["rows_now"], preview["rows_then"], preview["rows_kept"]) == (250, 1_000, 0)
    assert (told["rows_removed"], told["rows_added"], told["rows_kept"]) == (250, 1_000, 0)
    assert str(told["source"]).startswith(f"{RAW_TABLE} at snapshot")
    assert told["proofs"] == [f"{hour:%Y-%m-%dT%H} expired (Kafka no longer has 1,000 of its 1,000 rows)"]
    kept = [0, 4, *range(1_000, 2_000), *range(2_000, 3_000, 4), *range(3_000, 3_100)]
    assert numbers(platform, LANDED) == Counter(kept)
    assert same_as_the_payloads(platform, hour) == 1_000
    assert_sink_v2(platform, str(told["backfill"]))


def same_as_the_payloads(platform: Platform, hour: datetime) -> int:
    """Return how many rows of the hour have the values of the payload that landed from the same place."""
    tables = (f"tests.{LANDED}", RAW_TABLE)
    columns = ("_guid", "_time", "_host", "_app", "_topic", "_partition", "_offset")
    equal = " AND ".join(f'mine."{name}" IS NOT DISTINCT FROM raw."{name}"' for name in columns)
    decoded = "json_extract(decode(raw._value), '$.n')::BIGINT = mine.n"
    mine, raw = (f"(FROM {table} WHERE _time >= $begin AND _time < $end)" for table in tables)
    query = f"SELECT count(*) FROM {mine} AS mine JOIN {raw} AS raw ON {equal} AND {decoded}"
    with open_session(platform.settings, tables) as session:
        found = session.execute(query, {"begin": hour, "end": hour + HOUR}).fetchone()
    return int(found[0]) if found else 0


def lose_files_of(table: str, platform: Platform, hour: datetime) -> None:
    """Delete an hour's data files behind the table's back: whoever opens one fails."""
    loaded = IcebergLake(platform.settings).load(table)
    lost = [entry.data_file.file_path for entry in live_entries(loaded, {hour})]
    assert lost
    for path in lost:
        loaded.io.delete(path)
