"""Other ways in, against a real broker: the gateway, files with resume, made-up events, and clients of other makers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from keystone_platform.audit.records import Record, header_text, read_records
from keystone_platform.gateways.flink_home import jars_folder
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.settings import S3Settings, Settings
from keystone_platform.spec.loader import load_streams
from keystone_platform.spec.models import StreamSpec
from keystone_platform.stack.java import find_java
from keystone_platform.synthetic.events import Mix
from keystone_platform.synthetic.landed import check_topic
from tests.e2e.platform import wait_for

pytestmark = pytest.mark.stack

RECIPES = Path(__file__).parents[2] / "docs/recipes"
KEYSTONE = [sys.executable, "-c", "from keystone_platform.cli import main; main()"]
PLAYED = b'{"user_id": 1, "country": "US", "duration_ms": 5000}'


class World:
    """A stream of its own, with the settings and the folder that commands need."""

    def __init__(self, kafka: Mapping[str, str], folder: Path) -> None:
        self.stream = f"s{uuid.uuid4().hex[:12]}"
        streams = folder / "streams"
        streams.mkdir()
        fields = "{user_id: bigint, country: string, duration_ms: bigint, started_at: timestamp}"
        table = f"{{warehouse: {{table: tests.{self.stream}}}}}"
        head = f"stream: {self.stream}\nowner: team:tests\npartitions: 2\nschema: {fields}\n"
        (streams / "s.yaml").write_text(f"{head}routes:\n  - sink: {table}\n")
        self.settings = Settings(
            kafka=dict(kafka),
            s3=S3Settings(endpoint="http://127.0.0.1:1", access_key_id="a", secret_access_key="b"),
            catalog={"type": "sql", "uri": "sqlite://"},
            flink_rest="http://127.0.0.1:1",
            dagster_url="http://127.0.0.1:1",
            ledger_url="sqlite://",
        )
        (folder / "settings.json").write_text(self.settings.model_dump_json())
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "KEYSTONE_SETTINGS": str(folder / "settings.json"),
            "KEYSTONE_STREAMS": str(streams),
        }
        self.spec: StreamSpec = load_streams(streams).stream(self.stream).spec
        self.kafka = ConfluentKafka(kafka)
        self.kafka.ensure_topic(self.stream, 2)

    def keystone(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*KEYSTONE, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.environment)

    def records(self) -> list[Record]:
        offsets = self.kafka.offsets(self.stream)
        return [each for batch in read_records(self.settings.kafka, self.stream, offsets) for each in batch]

    @contextmanager
    def gateway(self, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        command = [*KEYSTONE, "gateway", "--port", "0", "--json", *arguments]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        ) as process:
            try:
                assert process.stdout is not None
                yield json.loads(process.stdout.readline())["url"], process
            finally:
                process.terminate()


@pytest.fixture
def world(kafka_properties: Mapping[str, str], tmp_path: Path) -> World:
    return World(kafka_properties, tmp_path)


def broker(kafka: Mapping[str, str]) -> psutil.Process:
    port = int(kafka["bootstrap.servers"].rpartition(":")[2])
    listening = [each for each in psutil.net_connections("tcp") if each.status == "LISTEN" and each.laddr.port == port]
    return psutil.Process(listening[0].pid)


def header(record: Record, name: str) -> str | None:
    return header_text(record, f"ce_{name}")


def test_cloudevents_sdk_and_a_stopped_broker_at_the_gateway(world: World, kafka_properties: Mapping[str, str]) -> None:
    core = {"ce-specversion": "1.0", "ce-id": "e-1", "ce-source": "laptop/curl", "ce-type": "com.example.played"}
    more = {"ce-time": "2020-01-01T00:00:00.5Z", "ce-partitionkey": "k1", "content-type": "application/json"}
    with world.gateway("--ack-timeout", "1", "--stop-within", "5", "--validate", "all") as (url, process):
        to = f"{url}/streams/{world.stream}"
        sdk = [sys.executable, str(RECIPES / "cloudevents_sdk.py"), to]
        subprocess.run(sdk, check=True, timeout=30, capture_output=True)
        assert httpx.post(to, headers=core | more, content=PLAYED).status_code == 200
        assert httpx.post(to, headers=core | more, content=b'{"user_id": "x"}').status_code == 422
        kafka = broker(kafka_properties)
        kafka.suspend()
        try:
            answer = httpx.post(to, headers=core, content=PLAYED, timeout=10)
        finally:
            kafka.resume()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        deadline = time.monotonic() + 20
        while (code := httpx.post(to, headers=core, content=PLAYED, timeout=10).status_code) != 200:
            assert code == 503 and time.monotonic() < deadline
        process.terminate()
        assert process.stdout is not None
        counts = json.loads(process.stdout.readline())
        assert process.wait(20) == 0
    assert counts["attempted"] == counts["acknowledged"] + sum(counts["dropped"].values())
    assert (counts["dropped"]["invalid"], counts["dropped"]["timed_out"] >= 1) == (1, True)
    records = world.records()
    assert counts["acknowledged"] <= len(records) <= counts["attempted"]
    ours = [each for each in records if header(each, "id") == "e-1"]
    first = min((each for each in ours if each.key == b"k1"), key=lambda each: each.offset)
    expected = {"type": "com.example.played", "source": "laptop/curl", "time": "2020-01-01T00:00:00.500000Z"}
    assert {name: header(first, name) for name in expected} == expected
    assert (first.value, header_text(first, "content-type")) == (PLAYED, "application/json")
    from_sdk = [json.loads(each.value or b"") for each in records if header(each, "source") == "laptop/python-recipe"]
    assert sorted(each["user_id"] for each in from_sdk) == [1, 2, 3, 4]


def test_a_producer_that_is_killed_goes_on_and_tells_how_many_may_be_double(world: World, tmp_path: Path) -> None:
    file, progress = tmp_path / "events.ndjson", tmp_path / "progress"
    lines = [b'{"user_id": %d, "country": "US"}' % number for number in range(8_000)]
    file.write_bytes(b"\n".join(lines) + b"\n")
    arguments = ["produce", world.stream, str(file), "--resume", str(progress), "--key", "user_id", "--json"]
    killed = subprocess.Popen(
        [*KEYSTONE, *arguments, "--rate", "3000"], env=world.environment, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError):
            if json.loads(progress.read_text())["files"][0]["acknowledged"]["line"] > 1_000:
                break
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    before = {each.value for each in world.records()}
    result = json.loads(world.keystone(*arguments).stdout)
    (resumed,) = result["files"]
    assert 0 < resumed["begin"]["line"] < 8_000
    assert result["acknowledged"] == 8_000 - resumed["begin"]["line"]
    values = [each.value for each in world.records()]
    assert set(values) == set(lines)
    assert len(values) - len(lines) <= resumed["resumed_double"] < 7_000
    assert before < set(lines)


def test_ctrl_c_waits_for_what_is_on_its_way_and_tells_where_it_was(world: World) -> None:
    process = subprocess.Popen(
        [*KEYSTONE, "produce", world.stream, "--json"],
        env=world.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write('{"user_id": 1}\n{broken\n{"user_id": 2}\n')
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while world.kafka.offsets(world.stream).span < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    result = json.loads(process.stdout.readline())
    assert process.wait(30) == 130
    assert (result["attempted"], result["acknowledged"], result["bad"]) == (2, 2, {"not_json": 1})
    assert result["interrupted"] and result["files"][0]["acknowledged"]["line"] == 3


def test_made_up_events_are_told_exactly_by_seed_and_count(world: World) -> None:
    sent = world.keystone(
        "produce", world.stream, "--synthetic", "--count", "3000", "--seed", "3", "--max-size", "90000"
    )
    assert sent.returncode == 0, sent.stderr
    mix = Mix(seed=3, max_bytes=90_000)
    found = check_topic(world.settings, world.spec, mix, 3_000)
    assert (found.expected, found.found, found.is_exact) == (3_000, 3_000, True)
    fewer = check_topic(world.settings, world.spec, mix, 2_990)
    assert (fewer.missing, fewer.extra, fewer.changed) == (0, 10, 0)
    more = check_topic(world.settings, world.spec, mix, 3_005)
    assert (more.missing, more.extra, more.changed) == (5, 0, 0)


def test_kafka_s_own_console_producer_and_a_plain_java_client(world: World) -> None:
    attributes = f"ce_specversion:1.0,ce_id:console-1,ce_source:laptop/console,ce_type:{world.stream}"
    line = f"{attributes}\tk1\t{PLAYED.decode()}\n"
    broker_jars, java = jars_folder(os.environ) / "kafka-broker" / "*", str(find_java(os.environ).program)
    tools = jars_folder(os.environ) / "kafka-tools" / "*"
    servers = world.settings.bootstrap_servers
    properties = ["--reader-property", "parse.headers=true", "--reader-property", "parse.key=true"]
    run(
        [java, "-cp", f"{broker_jars}:{tools}", "org.apache.kafka.tools.ConsoleProducer",
         "--bootstrap-server", servers, "--topic", world.stream, *properties],
        line,
    )  # fmt: skip
    arguments = [servers, world.stream, world.stream]
    run([java, "-cp", str(broker_jars), str(RECIPES / "Produce.java"), *arguments], PLAYED.decode())
    console, from_java = sorted(world.records(), key=lambda each: header(each, "source") != "laptop/console")
    assert (console.key, console.value, header(console, "id")) == (b"k1", PLAYED, "console-1")
    assert (from_java.value, header(from_java, "type")) == (PLAYED, world.stream)
    assert uuid.UUID(header(from_java, "id"))
    assert (header(from_java, "source") or "").endswith("/java-recipe")


def run(command: Sequence[str], text: str) -> None:
    done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_events_go_to_the_standby_while_the_primary_is_away(world: World, kafka_properties: Mapping[str, str]) -> None:
    clusters = Path(world.environment["KEYSTONE_STREAMS"]).parent / "clusters.yaml"
    standby = json.dumps(kafka_properties["bootstrap.servers"])
    clusters.write_text(
        f'clusters:\n  primary: {{bootstrap_servers: "127.0.0.1:1"}}\n  standby: {{bootstrap_servers: {standby}}}\n'
        "streams: {primary: primary, standby: standby}\n"
    )
    topic = f"standby.{world.stream}"
    world.kafka.ensure_topic(topic, 2)
    with world.gateway("--ack-timeout", "3") as (url, _):
        wait_for("the gateway is ready", lambda: httpx.get(f"{url}/readyz").status_code == 200, 20)

        def answered() -> int:
            headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "t/t", "ce-type": world.stream}
            return httpx.post(f"{url}/streams/{world.stream}", content=PLAYED, headers=headers).status_code

        began = time.monotonic()
        while (status := answered()) == 503 and time.monotonic() - began < 20:
            time.sleep(0.5)
        assert status == 200
    assert sum(world.kafka.offsets(topic).end.values()) >= 1
    assert world.records() == []
