"""KeystoneProducer without a broker: the caller never waits, and nothing vanishes uncounted."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from typing import Any

import pytest

from keystone_platform.producer import (
    Cluster,
    Counts,
    Delivery,
    DropReason,
    KeystoneProducer,
    Place,
    ProducerSettings,
    StreamTerms,
    Terms,
)
from tests.unit.producer.clients import NOWHERE, STAND_IN, nowhere, stand_in


def test_events_beyond_the_buffer_are_counted_and_the_rest_on_close() -> None:
    producer = nowhere(settings=ProducerSettings(max_buffer_events=100))
    for _ in range(150):
        producer.send("playback", b"{}")
    assert producer.counts().dropped == {DropReason.QUEUE_FULL: 50}
    assert producer.flush(deadline_s=0) == 100
    closed = producer.close(deadline_s=0)
    assert closed.dropped == {DropReason.QUEUE_FULL: 50, DropReason.CLOSED: 100}
    assert closed.pending == 0
    assert producer.buffer_bytes == 0


def test_bytes_in_the_buffer_are_bounded_with_all_that_an_event_takes() -> None:
    producer = nowhere(settings=ProducerSettings(max_buffer_bytes=100_000))
    for _ in range(200):
        producer.send("playback", b"x" * 200, b"key")
        assert producer.buffer_bytes <= 100_000
    assert producer.counts().dropped == {DropReason.QUEUE_FULL: 200 - 100_000 // 1003}
    producer.close(deadline_s=0)


def test_an_event_after_close_is_counted_not_lost_silently() -> None:
    producer = nowhere()
    producer.close(deadline_s=0)
    producer.send("playback", b"{}")
    assert producer.counts().dropped == {DropReason.CLOSED: 1}


def test_a_stream_that_may_wait_for_room_waits_as_long_as_its_terms_say_and_no_longer() -> None:
    settings = ProducerSettings(max_buffer_events=10)
    terms = Terms({"billing": StreamTerms("billing", "all", 0.2), "clicks": StreamTerms("clicks", "1")})
    producer = nowhere(settings=settings, terms=terms)
    for stream, least, most in (("billing", 0.2, 0.6), ("clicks", 0.0, 0.1)):
        for _ in range(10):
            producer.send(stream, b"{}")
        began = time.monotonic()
        producer.send(stream, b"{}")
        assert least <= time.monotonic() - began < most
    assert producer.close(deadline_s=0).dropped == {DropReason.QUEUE_FULL: 2, DropReason.CLOSED: 20}


def test_a_service_may_wait_less_than_a_stream_grants() -> None:
    settings = ProducerSettings(max_buffer_events=10, max_block_s=0.0)
    producer = nowhere(settings=settings, terms=Terms({"billing": StreamTerms("billing", "all", 5)}))
    began = time.monotonic()
    for _ in range(11):
        producer.send("billing", b"{}")
    assert time.monotonic() - began < 1
    producer.close(deadline_s=0)


def test_back_pressure_ends_when_room_is_made() -> None:
    settings = ProducerSettings(max_buffer_events=50, max_block_s=10)
    with stand_in(settings=settings) as producer:
        for _ in range(1_000):
            producer.send("s", b"{}")
        assert producer.close(20) == Counts(1_000, 1_000)


@pytest.mark.parametrize("acks", ["all", "1"])
def test_each_tier_is_acknowledged_by_a_client_of_its_own(acks: str) -> None:
    terms = Terms({"s": StreamTerms("t", acks), "other": StreamTerms("o")})  # type: ignore[arg-type]
    with stand_in(terms=terms) as producer:
        producer.send("s", b"{}")
        producer.send("other", b"{}")
        assert producer.close(20) == Counts(2, 2)


def test_who_asks_is_told_what_became_of_an_event() -> None:
    told: list[Delivery] = []
    with stand_in() as producer:
        guid = producer.send("s", b"{}", b"key", on_delivery=told.append)
        future: Future[Delivery] = producer.submit("s", b"{}", traceid="abc")
        delivery = future.result(20)
        assert delivery.acknowledged
        assert (delivery.stream, delivery.cluster, delivery.dropped) == ("s", "primary", None)
        producer.flush(20)
    assert [each.guid for each in told] == [guid]
    assert all(each.offset is not None and each.partition is not None for each in (*told, delivery))


def test_a_callback_may_send_but_not_wait_for_what_waits_for_it() -> None:
    refused: list[str] = []
    left: list[int] = []
    with stand_in(settings=ProducerSettings(max_buffer_events=60, max_block_s=0.2)) as producer:

        def again(delivery: Delivery) -> None:
            for _ in range(40):
                producer.send("s", b"from the callback")
            left.append(producer.flush(120))
            try:
                producer.close(0)
            except RuntimeError as error:
                refused.append(str(error))

        producer.send("s", b"{}", on_delivery=again)
        began = time.monotonic()
        while not refused and time.monotonic() - began < 40:
            producer.flush(0.1)
        assert refused == ["close is called within on_delivery"]
        assert len(left) == 1  # it came back, with what was open then
        assert producer.close(20) == Counts(41, 41)
    assert time.monotonic() - began < 60


def test_a_dropped_event_resolves_its_future_too() -> None:
    producer = nowhere(settings=ProducerSettings(max_buffer_events=1))
    first, second = producer.submit("s", b"{}"), producer.submit("s", b"{}")
    assert second.result(0).dropped is DropReason.QUEUE_FULL
    producer.close(deadline_s=0)
    assert first.result(0).dropped is DropReason.CLOSED


def test_a_producer_that_is_pointed_elsewhere_counts_each_cluster_apart() -> None:
    with stand_in(cluster="a") as producer:
        producer.send("s", b"{}")
        producer.point_at(Cluster("b", STAND_IN))
        producer.send("s", b"{}")
        producer.send("s", b"{}")
        producer.close(20)
        assert producer.counts_by_place() == {Place("s", "a"): Counts(1, 1), Place("s", "b"): Counts(2, 2)}
        with pytest.raises(ValueError, match="nonsense"):
            producer.point_at(Cluster("c", {**NOWHERE, "nonsense": "1"}))


def test_a_client_that_librdkafka_has_ended_is_replaced() -> None:
    with stand_in() as producer:
        producer.send("s", b"{}")
        (client,) = producer._engine.clients.all()
        producer.flush(20)
        client.is_broken = True
        producer._engine.stamp_at(0)
        producer._engine._books.clear()  # as at the next hour; until then its own refusals lead to the new one
        producer.send("s", b"{}")
        assert len(producer._engine.clients.all()) == 2
        assert producer.close(20) == Counts(2, 2)


def test_a_property_may_be_a_number_or_a_boolean() -> None:
    told: list[Delivery] = []
    kafka = {**NOWHERE, "linger.ms": 0, "delivery.timeout.ms": 300, "log.connection.close": False}
    with KeystoneProducer(kafka, app="test") as producer:
        producer.send("s", b"{}", on_delivery=told.append)
        assert producer.flush(20) == 0
    assert [each.dropped for each in told] == [DropReason.TIMED_OUT]


def test_librdkafka_does_not_repeat_itself_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, "keystone.producer"),
        KeystoneProducer({**NOWHERE, "reconnect.backoff.max.ms": 100}, app="test") as producer,
    ):
        producer.send("s", b"{}")
        producer.flush(1.5)
        producer.close(0)
    failed = [record for record in caplog.records if record.name.endswith("librdkafka") and "FAIL" in record.message]
    assert len(failed) == 1


def test_a_wrong_property_is_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"compresion\.type"):
        KeystoneProducer({**NOWHERE, "compresion.type": "lz4"}, app="test")


@pytest.mark.parametrize(
    ("kafka", "what"),
    [({}, "no address"), ({"bootstrap.servers": 5}, "no address"), ({**NOWHERE, "linger.ms": None}, r"linger\.ms")],
)
def test_a_cluster_without_address_or_with_no_value_is_refused(kafka: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        KeystoneProducer(kafka, app="test")


@pytest.mark.parametrize("app", ["", None, 5])
def test_a_service_without_a_name_is_refused(app: Any) -> None:
    with pytest.raises(ValueError, match="name of a service"):
        KeystoneProducer(NOWHERE, app=app)


@pytest.mark.parametrize(("host", "app"), [("h", "a/b"), ("h/i", "a")])
def test_a_slash_that_would_cut_host_or_app_in_the_table_is_refused(host: str, app: str) -> None:
    with pytest.raises(ValueError, match="slash"):
        KeystoneProducer(NOWHERE, app=app, host=host)
