"""A search route on the real servers: whatever the search cluster does meanwhile, each event is where it belongs."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from confluent_kafka import Producer

from keystone_platform import envelope
from keystone_platform.audit.records import Record, header_text, read_records
from keystone_platform.audit.truth import audit_route
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.sweep import sweep
from keystone_platform.gateways.search import OpenSearch
from keystone_platform.plan.decide import Request
from keystone_platform.plan.deployment import Cause
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.stall import LEAST_PATIENCE, Finding, Judged, Kind, find_stalls
from keystone_platform.settings import SearchSettings
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.wiring import connect
from tests.e2e.canaries import files_with
from tests.e2e.platform import Platform, wait_for
from tests.e2e.search_proxy import Gate, SearchGate

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]

STREAM = "found"
SEARCH, WAREHOUSE = f"{STREAM}.search", f"{STREAM}.warehouse"
CANARY = "canary-9f1c7e"
EVENTS = 12_000

SPOILT_DAY = datetime(2026, 1, 5, tzinfo=UTC)
"""Of this day there is an index whose mapping does not fit: what comes for it is refused by the server."""

YAML = """\
stream: found
owner: team:tests
partitions: 2
schema: {{n: bigint, country: string, padding: string, at: timestamp, small: float, tags: array<string>}}
routes:
  - sink: {{search: {{index: "found-{{date}}"}}}}
    filter: "{where}"
    select: [n, country, at, small, tags]
    checkpoint_interval_s: 2
  - sink: {{warehouse: {{table: tests.found}}}}
    select: [n]
    checkpoint_interval_s: 2
"""

LARGE = json.dumps({"n": -1, "country": "US", "tags": ["x" * 9_000_000]}).encode()
BROKEN = (b"", b'{"n": 1, ', b'{"n": "1"}', b'{"country": "\xff"}')


@dataclass(frozen=True)
class Found:
    """The platform with a search cluster behind a gate."""

    platform: Platform
    gate: SearchGate

    def apply(self, where: str) -> Cause | None:
        """Deploy both routes and return the cause of the search route's deployment."""
        self.platform.declare(STREAM, YAML.format(where=where))
        verdicts = reconcile(self.platform.gateways, wanted(self.platform.streams, [SEARCH, WAREHOUSE]).goals)
        assert [verdict.message for verdict in verdicts if not verdict.ok] == []
        return self.platform.latest(SEARCH).cause

    def documents(self) -> int:
        """Count, past the gate, the documents that can be searched."""
        cluster = OpenSearch(self.platform.stack.settings().search)
        return sum(len(page) for page in cluster.places("found-*", [STREAM]))

    def stalls(self, route: str, patience: timedelta) -> tuple[Finding, ...]:
        """Return what keeps a router, all of which runs, from getting on, told after five intervals and `patience`."""
        gateways = self.platform.gateways
        (status,) = sweep(gateways, [route])
        assert status.job is not None
        assert status.state is Lifecycle.RUNNING
        interval_s, started = self.platform.plan(route).checkpoint_interval_s, status.job.started
        measured = gateways.flink.progress(status.job.job_id)
        return find_stalls(Judged(measured, None, interval_s, 300, started, gateways.clock.now(), patience))

    def dead_letters(self) -> list[Record]:
        topic, kafka = f"{STREAM}.dlq", self.platform.settings.kafka
        batches = read_records(kafka, topic, self.platform.gateways.kafka.offsets(topic))
        records = [record for batch in batches for record in batch]
        return [record for record in records if header_text(record, envelope.DLQ_ROUTE) == SEARCH]


@pytest.fixture(scope="module")
def found(stack: EmbeddedStack, platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    server = stack.up(including=("search",)).settings.search
    assert server is not None
    password = tmp_path_factory.mktemp("secret") / "password"
    password.write_text(f"{CANARY}\n")
    with SearchGate(server.url, "keystone", CANARY) as gate:
        reached = SearchSettings(url=gate.url, username="keystone", password=f"file:{password}")
        settings = platform.settings.model_copy(update={"search": reached})
        yield Found(replace(platform, settings=settings, gateways=connect(settings)), gate)
        (verdict,) = reconcile(connect(settings), wanted(platform.streams, [SEARCH]).goals, Request.STOP)
        assert verdict.ok, verdict.message


def send_odd_events(found: Found) -> None:
    producer = Producer({**found.platform.settings.kafka, "message.max.bytes": 10_500_000})
    then = int(SPOILT_DAY.timestamp() * 1000)
    producer.produce(STREAM, json.dumps({"n": 1, "country": "US"}).encode(), key=b"spoilt", timestamp=then)
    long_id = [(envelope.CE_ID, b"x" * 600)]  # makes the server refuse the whole request that it is in
    producer.produce(STREAM, json.dumps({"n": 2, "country": "US"}).encode(), key=b"long id", headers=long_id)
    for _ in range(3):
        producer.produce(STREAM, LARGE)
    for value in (*BROKEN, None):
        producer.produce(STREAM, value)
    assert producer.flush(60) == 0


def test_no_event_is_lost_or_doubled_while_worker_and_search_cluster_fail(found: Found) -> None:
    found.apply("country <> 'BR'")
    spoilt = {"mappings": {"properties": {"n": {"type": "boolean"}}}}
    found_server = OpenSearch(found.platform.stack.settings().search)
    found_server.request("PUT", f"/found-{SPOILT_DAY:%Y.%m.%d}", spoilt)
    producing = threading.Thread(
        target=found.platform.produce, args=(STREAM, range(EVENTS)), kwargs={"pause_every": 500, "pause_s": 1.2}
    )
    producing.start()
    wait_for("the first documents", lambda: found.documents() >= 500 or None, 90)

    found.gate.state = Gate.SHUT
    before = found.platform.counted(STREAM).rows
    wait_for("requests at the shut gate", lambda: found.gate.turned_away >= 3 or None, 60)
    found.platform.wait_for_rows(STREAM, before + 1_000)  # the stream's other route goes on
    (stall,) = wait_for("the check of its progress fails", lambda: found.stalls(SEARCH, timedelta()) or None, 60)
    assert (stall.kind, stall.is_error) == (Kind.CHECKPOINT_TOO_OLD, True)
    assert found.stalls(WAREHOUSE, LEAST_PATIENCE) == ()
    victim = found.platform.stack.pid("flink-taskmanager")
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    found.gate.state = Gate.BUSY
    time.sleep(5)
    found.gate.state = Gate.CROWDED
    time.sleep(3)
    found.gate.state = Gate.OPEN
    send_odd_events(found)
    producing.join(120)

    plan = found.platform.plan(SEARCH)

    def complete() -> bool | None:
        truth = audit_route(found.platform.settings, plan)
        return truth.landed + truth.filtered + truth.dead == truth.produced or None

    wait_for("every event accounted for", complete, 180)
    truth = audit_route(found.platform.settings, plan)
    refused, broken = 2, len(BROKEN) + 1
    assert (truth.lost, truth.duplicated) == (0, 0), truth
    assert truth.produced == EVENTS + 2 + 3 + broken
    # what the server refuses is dead although the decoder has nothing against it
    assert (truth.dead, truth.unexpected) == (refused + broken, refused), truth
    assert truth.landed == EVENTS * 3 // 4 + 3
    assert found.documents() == truth.landed
    found.platform.wait_for_rows(STREAM, truth.produced - broken)
    assert audit_route(found.platform.settings, found.platform.plan(WAREHOUSE)).is_exact


def test_what_the_server_refuses_is_a_dead_letter_with_its_reason_and_bytes(found: Found) -> None:
    refused = {
        record.key: record
        for record in found.dead_letters()
        if header_text(record, envelope.DLQ_CODE) == "rejected_by_sink"
    }
    assert set(refused) == {b"spoilt", b"long id"}
    assert json.loads(refused[b"spoilt"].value or b"") == {"n": 1, "country": "US"}
    assert "mapper_parsing_exception" in (header_text(refused[b"spoilt"], envelope.DLQ_TEXT) or "")
    assert "Validation Failed" in (header_text(refused[b"long id"], envelope.DLQ_TEXT) or "")
    assert refused[b"long id"].headers[envelope.CE_ID] == b"x" * 600


@pytest.mark.drill
def test_a_changed_filter_goes_through_a_savepoint_and_no_document_is_missing(found: Found) -> None:
    before = found.documents()
    assert found.apply("country = 'JP'") is Cause.UPGRADE
    assert found.platform.latest(SEARCH).restore_from
    found.platform.produce(STREAM, range(EVENTS, EVENTS + 400))
    wait_for("the new filter's documents", lambda: found.documents() >= before + 100 or None, 60)
    assert found.documents() == before + 100


def test_the_password_is_nowhere_but_in_its_file(found: Found) -> None:
    rest, job = found.platform.settings.flink_rest, found.platform.latest(SEARCH).job_id
    paths = ("", "/config", "/plan", "/exceptions", "/checkpoints")
    told = {path: httpx.get(f"{rest}/jobs/{job}{path}", timeout=10).text for path in paths}
    assert job in told[""]
    assert [path for path, text in told.items() if CANARY in text] == []
    assert files_with(found.platform.stack.home.folder, [CANARY]) == []
    assert CANARY not in found.platform.plan(SEARCH).canonical_json()
    assert found.gate.without_password == 0
