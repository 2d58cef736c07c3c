"""A producer of two clusters, of which one reaches nobody: what it does and tells, and that it raises nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from keystone_platform.producer import (
    Counts,
    Delivery,
    DropReason,
    FailoverLimits,
    Health,
    KeystoneProducer,
    Place,
    Problem,
    ProducerSettings,
    Site,
    StreamTerms,
    Terms,
)
from keystone_platform.producer.metrics import CLUSTER_HEALTHY, ProducerCollector
from keystone_platform.producer.orders import Order, Orders
from keystone_platform.producer.roster import Roster
from tests.unit.producer.clients import NOWHERE, STAND_IN

QUICK = FailoverLimits(
    look_s=0.05, probe_s=0.1, probe_timeout_s=0.3, suspect_s=0.2, sick_s=0.4, stuck_s=2.0, hold_s=0.3, jitter_s=0.1
)

TWO = StreamTerms("s", "all", 0.0, (Site("a", "s"), Site("b", "b.s")))


def two(a: Mapping[str, str], b: Mapping[str, str], **arguments: Any) -> KeystoneProducer:
    settings = arguments.pop("settings", ProducerSettings(failover=QUICK))
    return KeystoneProducer({"a": a, "b": b}, "test", settings=settings, **arguments)


def sent_until(producer: KeystoneProducer, is_so: Callable[[], bool], seconds: float = 30) -> None:
    """Send an event every 5 ms until it is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, (producer.counts_by_place(), producer.conditions())
        producer.send("s", b"{}")
        time.sleep(0.005)


def test_events_go_to_the_standby_when_the_primary_is_dead_and_what_was_stuck_is_counted() -> None:
    problems: list[Problem] = []
    producer = two(NOWHERE, STAND_IN, on_problem=problems.append)
    sent_until(producer, lambda: producer.counts_by_place().get(Place("s", "b"), Counts()).acknowledged >= 5)
    assert producer.using() == {"s": "b"}
    assert producer.conditions()["a"].health is Health.SICK
    counts = producer.close(0.5)
    stuck = producer.counts_by_place()[Place("s", "a")]
    assert stuck.acknowledged == 0
    assert stuck.dropped == {DropReason.CLOSED: stuck.attempted}
    arrived = producer.counts_by_place()[Place("s", "b")]
    assert counts.attempted == stuck.attempted + arrived.attempted
    assert counts.pending == 0
    assert producer.buffer_bytes == 0
    assert [(each.cluster, "from a, which is sick" in each.text) for each in problems if each.kind == "switched"] == [
        ("b", True)
    ]


def test_how_each_cluster_is_is_a_metric() -> None:
    registry = CollectorRegistry()
    producer = two(NOWHERE, STAND_IN)
    registry.register(ProducerCollector(producer))
    sent_until(producer, lambda: producer.using().get("s") == "b")
    shown = {name: registry.get_sample_value(CLUSTER_HEALTHY, {"cluster": name}) for name in ("a", "b")}
    assert shown == {"a": 0.0, "b": 1.0}
    producer.close(0)


def test_a_topic_on_the_standby_has_its_name_in_front() -> None:
    places: list[Delivery] = []
    producer = two(NOWHERE, STAND_IN, terms=Terms({"s": TWO}))
    lane = producer._engine.lane("s", 0)
    assert (lane.topic, lane.tally.cluster) == ("s", "a")
    sent_until(producer, lambda: producer.using().get("s") == "b")
    lane = producer._engine.lane("s", 0)
    assert (lane.topic, lane.tally.cluster) == ("b.s", "b")
    producer.send("s", b"{}", on_delivery=places.append)
    producer.flush(0.5)
    assert [each.cluster for each in places] == ["b"]
    producer.close(0)


def test_both_dead_is_told_and_never_switched_to_one_that_was_not_seen_well() -> None:
    problems: list[Problem] = []
    producer = two(NOWHERE, NOWHERE, on_problem=problems.append)
    sent_until(producer, lambda: any(each.kind == "no_cluster" for each in problems))
    assert producer.using() == {"s": "a"}
    counts = producer.close(0)
    assert counts.dropped == {DropReason.CLOSED: counts.attempted}


def test_a_name_that_is_not_found_is_told_as_such_and_the_other_cluster_used() -> None:
    problems: list[Problem] = []
    nameless = {"bootstrap.servers": "no-such-host.invalid:9092"}
    producer = two(nameless, STAND_IN, on_problem=problems.append)
    sent_until(producer, lambda: producer.using().get("s") == "b")
    sent_until(producer, lambda: "dns" in {each.kind for each in problems})
    assert {each.cluster for each in problems if each.kind == "dns"} == {"a"}
    producer.close(0)


def test_an_order_is_followed_and_taken_back_and_wins_over_what_the_producer_thinks(tmp_path: Path) -> None:
    file = tmp_path / "orders.json"
    producer = two(STAND_IN, STAND_IN, terms=Terms({"s": TWO, "other": TWO}), orders=file)
    producer.send("other", b"{}")
    sent_until(producer, lambda: producer.counts().acknowledged > 0)
    assert producer.using() == {"s": "a", "other": "a"}
    file.write_text(Orders({"s": Order("b", 1)}).text())
    sent_until(producer, lambda: producer.using() == {"s": "b", "other": "a"})
    file.write_text(Orders({"s": Order("b", 1), "*": Order("b", 2)}).text())
    sent_until(producer, lambda: producer.using() == {"s": "b", "other": "b"})
    file.write_text(Orders({"s": Order("b", 1), "*": Order(None, 3)}).text())
    sent_until(producer, lambda: producer.using() == {"s": "a", "other": "a"})
    assert producer.close(20).dropped == {}


def test_an_order_to_a_dead_cluster_is_followed_too() -> None:
    producer = two(STAND_IN, NOWHERE)
    failover = producer._engine.failover
    assert failover
    failover._lookouts["a"].orders = Orders({"*": Order("b", 1)})  # as one that was read from its topic
    sent_until(producer, lambda: producer.using().get("s") == "b")
    time.sleep(1)
    assert producer.using() == {"s": "b"}
    producer.close(0)


def test_an_order_that_names_a_cluster_nobody_gave_is_told_and_not_followed(tmp_path: Path) -> None:
    problems: list[Problem] = []
    file = tmp_path / "orders.json"
    file.write_text(Orders({"*": Order("c", 1, "ann")}).text())
    producer = two(STAND_IN, STAND_IN, orders=file, on_problem=problems.append)
    sent_until(producer, lambda: "order" in {each.kind for each in problems})
    assert "'c'" in next(each.text for each in problems if each.kind == "order")
    assert producer.using() == {"s": "a"}
    assert producer.close(20).dropped == {}


def test_a_standby_that_terms_name_and_nobody_gave_is_told() -> None:
    problems: list[Problem] = []
    both = Terms({"s": TWO, "away": StreamTerms("away", "all", 0.0, (Site("c", "away"), Site("d", "d.away")))})
    producer = KeystoneProducer({"a": STAND_IN, "z": STAND_IN}, "test", terms=both, on_problem=problems.append)
    assert [each.cluster for each in problems if each.kind == "no_standby"] == ["b", "c", "d"]
    producer.send("s", b"{}")
    producer.send("away", b"{}")
    counts = producer.close(20)
    assert counts == Counts(2, 1, {DropReason.NO_CLUSTER: 1})


def test_a_single_cluster_stands_for_the_primary_of_all_streams() -> None:
    with KeystoneProducer(STAND_IN, "test", terms=Terms({"s": TWO})) as producer:
        producer.send("s", b"{}")
        assert producer.close(20) == Counts(1, 1)
        assert producer.counts_by_place() == {Place("s", "a"): Counts(1, 1)}


def test_an_event_that_waits_for_room_goes_on_to_the_standby() -> None:
    settings = ProducerSettings(max_buffer_events=20, failover=QUICK)
    terms = Terms({"s": StreamTerms("s", "all", 20.0, (Site("a", "s"), Site("b", "b.s")))})
    producer = two(NOWHERE, STAND_IN, terms=terms, settings=settings)
    began = time.monotonic()
    for _ in range(60):
        producer.send("s", b"{}")
    assert time.monotonic() - began < 15
    counts = producer.close(0.5)
    assert counts == Counts(60, 40, {DropReason.CLOSED: 20})
    assert producer.counts_by_place()[Place("s", "b")] == Counts(40, 40)


def test_what_was_stuck_is_sent_again_with_its_guid_where_that_is_wished() -> None:
    told: list[Delivery] = []
    producer = two(NOWHERE, STAND_IN, settings=ProducerSettings(failover=QUICK, resend=True))
    guids = [producer.send("s", b"%d" % number, b"key", on_delivery=told.append) for number in range(50)]
    producer.send("s", b"and one that nobody follows", traceid="abc")
    sent_until(producer, lambda: producer.using().get("s") == "b")
    counts = producer.close(20)
    assert counts.acknowledged == counts.attempted
    assert {each.guid: each.cluster for each in told} == dict.fromkeys(guids, "b")
    assert all(each.is_resent for each in told)
    assert len(told) == 50
    assert producer.counts_by_place()[Place("s", "a")] == Counts()
    assert producer.buffer_bytes == 0


@pytest.mark.parametrize(
    ("kafka", "cluster", "what"),
    [
        ({"a": STAND_IN, "bootstrap.servers": "x:1"}, None, "mixed"),
        ({"a.b": STAND_IN, "c": STAND_IN}, None, "no name of a cluster"),
        ({"a": STAND_IN, "b": STAND_IN}, "a", "names a single cluster"),
    ],
)
def test_clusters_that_are_given_wrongly_are_refused_at_once(kafka: Any, cluster: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        KeystoneProducer(kafka, "test", cluster=cluster)


def test_without_terms_each_stream_lives_on_all_clusters_in_the_order_given() -> None:
    roster = Roster.of({"a": NOWHERE, "b": NOWHERE, "c": NOWHERE}, None, None)
    assert roster.sites(StreamTerms("t")) == (Site("a", "t"), Site("b", "b.t"), Site("c", "c.t"))
    assert roster.sites(TWO) == (Site("a", "s"), Site("b", "b.s"))
