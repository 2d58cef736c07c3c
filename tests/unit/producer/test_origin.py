"""Events that are passed on for another sender: its id stays, and the sums stay right."""

from __future__ import annotations

import pytest

from keystone_platform.producer import Counts, Delivery, DropReason, Origin, ProducerSettings
from tests.unit.producer.clients import nowhere, stand_in


def test_an_event_passed_on_keeps_its_id_and_is_told_under_it() -> None:
    told: list[Delivery] = []
    with stand_in() as producer:
        assert producer.send_as(Origin("id-1", "h/app", "a.b"), "s", b"{}", on_delivery=told.append) == "id-1"
        assert producer.send_as(Origin("id-2"), "s", b"{}", b"key", extensions={"stream": "no keyword"}) == "id-2"
        assert producer.close(20) == Counts(2, 2)
    assert [(delivery.guid, delivery.acknowledged) for delivery in told] == [("id-1", True)]


def test_what_a_long_id_takes_in_the_buffer_is_counted_and_given_back() -> None:
    producer = nowhere(settings=ProducerSettings(max_buffer_bytes=20_000))
    producer.send_as(Origin("x" * 5_000, "é" * 1_000), "s", b"{}")
    assert producer.buffer_bytes > 9_000
    for _ in range(20):
        producer.send_as(Origin("x" * 5_000), "s", b"{}")
        assert producer.buffer_bytes <= 20_000
    producer.close(0)
    assert producer.buffer_bytes == 0


@pytest.mark.parametrize("origin", [Origin("\ud800"), Origin("a", "\ud800"), Origin("a", "b", "\ud800")])
def test_an_origin_that_no_header_can_hold_is_dropped_and_counted(origin: Origin) -> None:
    producer = nowhere()
    producer.send_as(origin, "s", b"{}")
    assert producer.close(0).dropped == {DropReason.BAD_ATTRIBUTE: 1}
    assert producer.buffer_bytes == 0
