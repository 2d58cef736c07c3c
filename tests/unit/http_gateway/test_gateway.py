"""The gateway over a producer with a stand-in for Kafka: each answer says what to do next, and none is a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from keystone_platform.errors import InvalidSpec, KeystoneError, Terminal
from keystone_platform.http_gateway.access import KEPT_S, Bearer
from keystone_platform.http_gateway.app import Bounds, Gateway
from keystone_platform.http_gateway.body import Room, Unread
from keystone_platform.http_gateway.outcomes import Outcome
from keystone_platform.http_gateway.server import Place, bind
from keystone_platform.producer import (
    Counts,
    Delivery,
    DropReason,
    KeystoneProducer,
    ProducerSettings,
    StreamTerms,
    Terms,
)
from tests.unit.producer.clients import NOWHERE, stand_in

BUFFER = 4 * 1024 * 1024
BOUNDS = Bounds(BUFFER, event_bytes=2_000, document_bytes=20_000, batch_events=50)
TERMS = Terms({"playback": StreamTerms("playback"), "clicks": StreamTerms("clicks", "1")})
CORE = {"specversion": "1.0", "id": "e-1", "source": "h1/player", "type": "playback"}
BINARY = {f"ce-{name}": value for name, value in CORE.items()} | {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCHED = {"content-type": "application/cloudevents-batch+json"}


@pytest.fixture(scope="module")
def producer() -> Iterator[KeystoneProducer]:
    def validate(_stream: str, payload: bytes) -> str | None:
        return "wrong_type: user_id" if b"wrong" in payload else None

    with stand_in(terms=TERMS, validate=validate, settings=ProducerSettings(BUFFER, max_block_s=0)) as producer:
        yield producer


@pytest.fixture(scope="module")
def client(producer: KeystoneProducer) -> Iterator[TestClient]:
    with TestClient(Gateway(producer, lambda: None, BOUNDS).app()) as client:
        yield client


def post(client: TestClient, path: str, headers: Mapping[str, str], body: Any) -> tuple[int, dict[str, Any]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post(path, headers=dict(headers), content=content)
    return response.status_code, response.json()


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/streams/playback", BINARY, b'{"user_id": 1}'),
        ("/", BINARY, b'{"user_id": 1}'),
        ("/streams/clicks", BINARY, b""),
        ("/streams/playback", STRUCTURED, CORE | {"type": "com.example.played", "data": {"user_id": 1}}),
        ("/", STRUCTURED, CORE | {"time": "2026-11-28T10:00:00Z", "data": "x"}),
    ],
)
def test_an_event_in_either_mode_is_answered_when_kafka_has_it(
    client: TestClient, path: str, headers: Mapping[str, str], body: Any
) -> None:
    status, answer = post(client, path, headers, body)
    assert status == 200
    assert answer["guid"] == "e-1"
    assert answer["stream"] == ("clicks" if "clicks" in path else "playback")
    assert (answer["cluster"], answer["offset"] >= 0) == ("primary", True)


@pytest.mark.parametrize("reason", DropReason)
def test_whatever_drops_an_event_has_a_status(reason: DropReason) -> None:
    outcome = Outcome.of(Delivery("e-1", "playback", "primary", reason, "text"))
    assert outcome.status >= 400
    assert outcome.answer["error"] == reason.value


def test_a_batch_that_kafka_has_is_answered_200_with_each_place(client: TestClient) -> None:
    batch = [CORE | {"id": f"b-{number}", "data": number} for number in range(5)]
    status, answer = post(client, "/", BATCHED, batch)
    assert (status, answer["acknowledged"], answer["failed"]) == (200, 5, 0)
    assert [event["guid"] for event in answer["events"]] == [f"b-{number}" for number in range(5)]
    assert {event["status"] for event in answer["events"]} == {200}
    assert post(client, "/", BATCHED, []) == (200, {"acknowledged": 0, "failed": 0, "events": []})


def test_good_events_of_a_batch_go_and_the_status_says_that_not_all_did(client: TestClient) -> None:
    batch = [CORE, CORE | {"type": "nobody"}, CORE | {"id": ""}, CORE | {"data": "wrong"}, CORE]
    status, answer = post(client, "/", BATCHED, batch)
    assert (status, answer["acknowledged"], answer["failed"]) == (400, 2, 3)
    assert [event["status"] for event in answer["events"]] == [200, 404, 400, 422, 200]
    assert [event.get("error") for event in answer["events"]] == [None, "unknown_stream", "malformed", "invalid", None]
    assert answer["events"][2]["place"] == "[2].id"
    assert post(client, "/streams/nobody", BATCHED, [CORE, CORE])[0] == 404


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "error"),
    [
        ("/streams/nobody", BINARY, b"{}", 404, "unknown_stream"),
        ("/", BINARY | {"ce-type": "nobody"}, b"{}", 404, "unknown_stream"),
        ("/streams/playback", {"content-type": "application/json"}, b"{}", 400, "malformed"),
        ("/streams/playback", BINARY | {"ce-time": "noon"}, b"{}", 400, "malformed"),
        ("/streams/playback", STRUCTURED, b"{", 400, "malformed"),
        ("/streams/playback", BATCHED, b"{}", 400, "malformed"),
        ("/streams/playback", BINARY, b"wrong", 422, "invalid"),
        ("/streams/playback", BINARY, b"x" * 2_001, 413, "too_large"),
        ("/streams/playback", STRUCTURED, b"x" * 20_001, 413, "too_large"),
        ("/streams/playback", BATCHED, [CORE] * 51, 413, "too_large"),
        ("/streams/playback", BINARY | {"content-encoding": "gzip"}, b"x", 415, "unsupported_media_type"),
        ("/streams/playback", {"content-type": "application/cloudevents+avro"}, b"x", 415, "unsupported_media_type"),
        ("/nowhere", BINARY, b"{}", 404, "not_found"),
    ],
)
def test_a_refusal_says_why(
    client: TestClient, path: str, headers: Mapping[str, str], body: Any, status: int, error: str
) -> None:
    found, answer = post(client, path, headers, body)
    assert (found, answer["error"]) == (status, error)


def test_a_body_without_an_announced_length_is_cut_off_where_it_gets_too_large(client: TestClient) -> None:
    pieces = (b"x" * 500 for _ in range(1_000))
    assert client.post("/streams/playback", headers=BINARY, content=pieces).status_code == 413


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    async def send(producer: KeystoneProducer) -> httpx.Response:
        app = Gateway(producer, lambda: None, replace(BOUNDS, read_s=0.1)).app()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            return await client.post("/streams/playback", headers=BINARY, content=slow())

    with stand_in(terms=TERMS) as producer:
        assert asyncio.run(send(producer)).status_code == 408


def test_bodies_that_are_being_read_are_bounded_together() -> None:
    room = Room(100)
    room.take(60)
    with pytest.raises(Unread) as told:
        room.take(60)
    assert told.value.status == 429
    room.give_back(60)
    room.take(100)


def test_what_the_producer_counts_closes_the_sum(client: TestClient, producer: KeystoneProducer) -> None:
    before = producer.counts()
    post(client, "/", BATCHED, [CORE, CORE | {"type": "nobody"}, CORE | {"id": ""}])
    after = producer.counts()
    assert (after.attempted - before.attempted, after.acknowledged - before.acknowledged) == (2, 1)
    unknown = DropReason.UNKNOWN_STREAM
    assert after.dropped[unknown] - before.dropped.get(unknown, 0) == 1
    metrics = client.get("/metrics").text
    assert 'keystone_producer_acknowledged_total{cluster="primary",stream="playback"}' in metrics
    assert "keystone_gateway_malformed_events_total" in metrics


def test_kafka_away_is_answered_503_with_when_to_come_again_and_counted() -> None:
    producer = KeystoneProducer(NOWHERE | {"delivery.timeout.ms": "300"}, "test", terms=TERMS)
    with TestClient(Gateway(producer, lambda: "no broker answers", BOUNDS).app()) as client:
        response = client.post("/streams/playback", headers=BINARY, content=b"{}")
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        assert response.json()["error"] == "timed_out"
        ready = client.get("/readyz")
        assert (ready.status_code, ready.text) == (503, "no broker answers\n")
        assert client.get("/healthz").status_code == 200
    assert producer.close(0) == Counts(1, 0, {DropReason.TIMED_OUT: 1})


@pytest.mark.parametrize(("trouble", "status"), [(None, 429), ("no broker answers", 503)])
def test_a_full_buffer_is_told_before_anything_is_attempted(trouble: str | None, status: int) -> None:
    small = ProducerSettings(max_buffer_bytes=5_000, max_block_s=0)
    producer = KeystoneProducer(NOWHERE, "test", terms=TERMS, settings=small)
    for _ in range(5):
        producer.send("playback", b"{}")
    with TestClient(Gateway(producer, lambda: trouble, Bounds(5_000)).app()) as client:
        client.get("/readyz")
        response = client.post("/", headers=BATCHED, content=json.dumps([CORE] * 3))
        assert response.status_code == status
        assert response.headers["retry-after"]
        assert "keystone_gateway_shed_requests_total 1.0" in client.get("/metrics").text
    assert producer.close(0).attempted == 5


def test_who_has_no_token_sends_nothing(producer: KeystoneProducer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", "canary-1")
    with TestClient(Gateway(producer, lambda: None, BOUNDS, Bearer("env:GATEWAY_TOKEN")).app()) as client:
        for header in (None, "Bearer", "Bearer no", "Basic canary-1", "Bearer canary-1é"):
            headers = BINARY | ({"authorization": header.encode()} if header else {})
            response = client.post("/streams/playback", headers=headers, content=b"{}")
            assert response.status_code == 401
            assert "canary" not in response.text
        headers = BINARY | {"authorization": "Bearer canary-1"}
        assert client.post("/streams/playback", headers=headers, content=b"{}").status_code == 200
        assert client.get("/healthz").status_code == 200


def test_a_token_that_was_rotated_holds_soon_and_one_that_is_gone_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setenv("GATEWAY_TOKEN", "old")
    bearer = Bearer("env:GATEWAY_TOKEN", lambda: now[0])
    monkeypatch.setenv("GATEWAY_TOKEN", "new")
    assert bearer.lets_in("Bearer old")
    now[0] += KEPT_S + 1
    assert bearer.lets_in("Bearer new") and not bearer.lets_in("Bearer old")
    monkeypatch.delenv("GATEWAY_TOKEN")
    now[0] += KEPT_S + 1
    assert bearer.lets_in("Bearer new")


TLS = Path(__file__).parents[2] / "contract/tls"


@pytest.mark.parametrize(
    ("place", "error"),
    [
        (Place("192.0.2.1", 0), Terminal),
        (Place("127.0.0.1", 0, "missing.pem", "missing.pem"), InvalidSpec),
        (Place("127.0.0.1", 0, str(TLS / "key.pem"), str(TLS / "certificate.pem")), InvalidSpec),
    ],
)
def test_a_place_where_it_can_t_listen_is_told(place: Place, error: type[KeystoneError]) -> None:
    with pytest.raises(error):
        bind(place)


def test_a_port_that_is_taken_is_told() -> None:
    listening = bind(Place("127.0.0.1", 0, str(TLS / "certificate.pem"), str(TLS / "key.pem")))
    taken = Place("127.0.0.1", listening.getsockname()[1])
    with listening, pytest.raises(Terminal, match="can't listen"):
        bind(taken)


header_values = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)
header_names = st.sampled_from([f"ce-{name}" for name in (*CORE, "time", "x", "X", "", "datacontenttype")])
content_types = st.sampled_from(
    [BINARY["content-type"], *STRUCTURED.values(), *BATCHED.values(), "", "application/cloudevents"]
)
fragments = st.sampled_from(
    [b"", b"[", b"{", b"}", b"]", b",", b'"id":', b'"1"', b"1e9", b"null", b"\xff", b"\\", json.dumps(CORE).encode()]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(["/", "/streams/playback", "/streams/%ff", "/streams/a%2fb", "/x", "/healthz"]),
    st.dictionaries(header_names, header_values, max_size=8),
    content_types,
    st.lists(fragments, max_size=8).map(b"".join) | st.binary(max_size=100),
    st.sampled_from(["POST", "GET", "PUT", "DELETE"]),
)
def test_no_request_is_answered_500(
    client: TestClient, path: str, headers: dict[str, str], content_type: str, body: bytes, method: str
) -> None:
    sent = {name: value.encode("latin-1") for name, value in headers.items()} | {"content-type": content_type.encode()}
    response = client.request(method, path, headers=sent, content=body)
    assert response.status_code < 500
