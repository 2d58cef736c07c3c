"""What producers counted, from their audit events to the proof of an hour and to Dagster."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from confluent_kafka import Producer

from assets import keys
from assets.definitions import defs
from assets.produced.due import produced_sensor
from assets.proof.accounted import accounted
from assets.proof.prove import Task, prove_hour
from assets.resource import WarehouseResource
from keystone_platform.audit.producers import take_counts
from keystone_platform.control.prepare import AUDIT_TOPIC_SETTINGS
from keystone_platform.envelope import AUDIT_TOPIC, CE_TYPE, PRODUCER_COUNTS_TYPE
from keystone_platform.errors import Transient
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.gateways.ledger import SqlLedger
from keystone_platform.gateways.produced import KEPT, SILENT_AFTER, SqlProduced
from keystone_platform.plan.hour_proof import HOUR, Accounted, HourProof
from keystone_platform.plan.produced import AuditEvent, ClusterUse, Produced, hour_number
from keystone_platform.producer import KeystoneProducer, StreamTerms, Terms
from keystone_platform.settings import SETTINGS_VARIABLE, STREAMS_VARIABLE
from keystone_platform.spec.loader import load_streams
from tests.contract.proof_world import Event, World, new_world

pytestmark = pytest.mark.stack

NOW = datetime.now(UTC)
THIS_HOUR = NOW.replace(minute=0, second=0, microsecond=0)


def event(
    producer: str, sequence: int, *counts: tuple[str, str, int, int, int, dict[str, int]], **said: object
) -> AuditEvent:
    until = int(NOW.timestamp() * 1000)
    told = {"producer": producer, "sequence": sequence, "host": "h", "app": "a", "began": 0, "until": until, **said}
    return AuditEvent.model_validate({**told, "counts": counts})


@pytest.fixture
def store(tmp_path: Path) -> SqlProduced:
    return SqlProduced(f"sqlite:///{tmp_path}/ledger.db")


def test_counts_are_cumulative_so_that_lost_late_and_doubled_audit_events_leave_the_sum_right(
    store: SqlProduced,
) -> None:
    hour = hour_number(THIS_HOUR)
    first = event("p", 0, ("s", "a", hour, 5, 4, {}))
    third = event("p", 2, ("s", "a", hour, 20, 15, {"queue_full": 3}), ("s", "b", hour, 1, 1, {}))
    other = event("q", 0, ("s", "a", hour, 7, 7, {}), ("t", "a", hour - 24, 2, 1, {"timed_out": 1}), final=True)
    for events in ([third, other], [first], [third]):
        store.record("audit", events, {0: 3}, NOW)
    expected = Produced(
        attempted=28, acknowledged=23, dropped={"queue_full": 3}, by_cluster={"a": 22, "b": 1}, producers=2
    )
    assert store.hour("s", THIS_HOUR, NOW) == expected
    assert (expected.pending, round(expected.loss, 4)) == (2, 0.1071)
    assert store.days((NOW - timedelta(days=2)).date(), NOW) == {
        ("s", THIS_HOUR.date()): expected,
        ("t", (THIS_HOUR - timedelta(days=1)).date()): Produced(
            attempted=2, acknowledged=1, dropped={"timed_out": 1}, by_cluster={"a": 1}, producers=1
        ),
    }
    assert store.hour("s", THIS_HOUR - HOUR, NOW) is None
    assert store.positions("audit") == {0: 3}


def test_a_producer_that_was_killed_is_silent_and_one_that_ended_is_not(store: SqlProduced) -> None:
    hour, long_ago = hour_number(THIS_HOUR), int((NOW - timedelta(minutes=20)).timestamp() * 1000)
    row = ("s", "a", hour, 1, 1, {})
    killed, ended, lives = (
        event("k", 0, row, until=long_ago),
        event("e", 0, row, until=long_ago, final=True),
        event("l", 0, row),
    )
    store.record("audit", [killed, ended, lives], {}, NOW)
    found = store.hour("s", THIS_HOUR, NOW)
    assert found is not None
    assert (found.producers, found.silent) == (3, 1)


def test_the_clusters_in_use_are_those_of_producers_that_were_heard_of_lately(store: SqlProduced) -> None:
    def using(cluster: str, why: str) -> tuple[tuple[str, str, str], ...]:
        return (("s", cluster, why),)

    told = [event(name, 0, using=using("main", "preferred")) for name in ("p", "q", "ended")]
    store.record("audit", [*told, event("p", 1, using=using("standby", "sick"))], {0: 4}, NOW)
    store.record("audit", [told[0], event("ended", 1, final=True)], {0: 6}, NOW)
    sick = ClusterUse(cluster="standby", why="sick", producers=1)
    assert store.uses(NOW) == {"s": (ClusterUse(cluster="main", why="preferred", producers=1), sick)}
    assert store.uses(NOW + 2 * SILENT_AFTER) == {}


def test_old_counts_are_forgotten(store: SqlProduced) -> None:
    old = NOW - KEPT - timedelta(hours=2)
    store.record("audit", [event("p", 0, ("s", "a", hour_number(old), 1, 1, {}))], {}, NOW)
    assert store.hour("s", old, NOW) is None


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="the ledger is gone"):
        SqlProduced(f"sqlite:///{tmp_path}/none.db", create=False).positions("audit")


@pytest.fixture
def world(kafka_properties: Mapping[str, str], tmp_path: Path) -> World:
    """A table with one row, a ledger, and a stream whose name no other test has: the audit topic is everybody's."""
    world = new_world(kafka_properties, tmp_path, condition=None)
    world.settings = world.settings.model_copy(update={"ledger_url": f"sqlite:///{tmp_path}/ledger.db"})
    SqlLedger(world.settings.ledger_url)
    ConfluentKafka(kafka_properties).ensure_topic(AUDIT_TOPIC, 1, AUDIT_TOPIC_SETTINGS)
    world.land(world.send([Event(1, "US", NOW - timedelta(days=2))]))
    return replace(world, plan=world.plan.model_copy(update={"stream": f"s{uuid.uuid4().hex[:12]}"}))


def producer_of(world: World) -> KeystoneProducer:
    terms = Terms({world.plan.stream: StreamTerms(world.topic)}, AUDIT_TOPIC)
    return KeystoneProducer(world.settings.kafka, "test", terms=terms)


def proof_of(world: World, hour: datetime = THIS_HOUR, *, whole: bool = True) -> HourProof:
    return prove_hour(world.settings, Task(world.plan, hour, whole=whole), NOW)


def accounted_of(world: World, hour: datetime = THIS_HOUR, *, whole: bool = True) -> Accounted | None:
    proof = proof_of(world, hour, whole=whole)
    return accounted(world.settings, world.plan, proof, SystemClock(), whole=whole)


def test_attempted_is_acknowledged_and_dropped_and_kafka_has_what_was_acknowledged(world: World) -> None:
    assert accounted_of(world) is None  # no producer counted it
    with producer_of(world) as producer:
        for _ in range(20):
            producer.send(world.plan.stream, b"{}", time=THIS_HOUR)
        producer.send(world.plan.stream, 5, time=THIS_HOUR)  # type: ignore[arg-type]
    found = accounted_of(world)
    assert found is not None
    assert found.produced == Produced(
        attempted=21, acknowledged=20, dropped={"not_bytes": 1}, by_cluster={"primary": 20}, producers=1
    )
    assert (found.in_kafka, found.unacknowledged, found.lacking) == (20, 0, 0)
    world.send([Event(2, "US", THIS_HOUR)])  # of a producer that is not ours
    found = accounted_of(world)
    assert found is not None
    assert (found.in_kafka, found.unacknowledged, found.lacking) == (21, 1, 0)


def test_events_that_came_behind_their_hour_are_looked_for_and_not_taken_for_lost(world: World) -> None:
    before = THIS_HOUR - HOUR
    world.send([Event(2, "US", THIS_HOUR)], partition=0)
    world.send([Event(3, "US", THIS_HOUR)], partition=1)
    with producer_of(world) as producer:
        for _ in range(5):
            producer.send(world.plan.stream, b"{}", time=before)
    found = accounted_of(world, before)
    assert found is not None
    assert (found.produced.acknowledged, found.in_kafka, found.behind, found.lacking) == (5, 5, 5, 0)


def test_events_that_came_further_behind_than_a_sample_looks_are_not_called_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.proof.accounted.BEHIND", 1)
    before = THIS_HOUR - HOUR
    for partition in (0, 1):
        world.send([Event(2, "US", THIS_HOUR)], partition=partition)
    with producer_of(world) as producer:
        for _ in range(5):
            producer.send(world.plan.stream, b"{}", time=before)
    sampled, whole = accounted_of(world, before, whole=False), accounted_of(world, before)
    assert sampled is not None
    assert whole is not None
    assert (sampled.lacking, sampled.unread) == (5, 5)
    assert "5 later offsets were not looked through: --whole" in sampled.lacking_text
    assert (whole.lacking, whole.unread) == (0, 0)


def test_acknowledged_events_that_kafka_lacks_are_told(world: World) -> None:
    with producer_of(world) as producer:
        producer.send(world.plan.stream, b"{}", time=THIS_HOUR)
    claimed = event(f"claims-{uuid.uuid4().hex}", 0, (world.plan.stream, "primary", hour_number(THIS_HOUR), 9, 9, {}))
    raw = Producer(world.settings.kafka)
    raw.produce(AUDIT_TOPIC, claimed.model_dump_json().encode(), headers={CE_TYPE: PRODUCER_COUNTS_TYPE})
    raw.produce(AUDIT_TOPIC, b"no audit event", headers={CE_TYPE: PRODUCER_COUNTS_TYPE})
    raw.produce(AUDIT_TOPIC, b"{}")
    assert raw.flush(20) == 0
    found = accounted_of(world)
    assert found is not None
    assert (found.produced.acknowledged, found.in_kafka, found.lacking) == (10, 1, 9)


def test_what_expired_in_kafka_is_not_compared(world: World) -> None:
    with producer_of(world) as producer:
        for _ in range(4):
            producer.send(world.plan.stream, b"{}", b"key", time=THIS_HOUR)
    offsets = ConfluentKafka(world.settings.kafka).offsets(world.topic)
    for partition, end in offsets.end.items():
        if end:
            world.expire(partition, end - 1)
    found = accounted_of(world)
    assert found is not None
    assert (found.in_kafka, found.unacknowledged, found.lacking) == (None, None, 0)


def test_audit_events_are_taken_once_and_from_where_it_stood(world: World) -> None:
    store, clock = SqlProduced(world.settings.ledger_url), SystemClock()
    kafka = ConfluentKafka(world.settings.kafka)
    producer_of(world).close(20)
    assert take_counts(kafka, world.settings.kafka, store, clock).events >= 1
    assert take_counts(kafka, world.settings.kafka, store, clock).events == 0
    producer_of(world).close(20)
    assert take_counts(kafka, world.settings.kafka, store, clock).events == 1


YAML = """
stream: {stream}
owner: team:tests
topic: {topic}
producer: {{acks: 1}}
routes:
  - sink: {{warehouse: {{table: events.proven}}}}
"""


def test_a_streams_loss_is_a_figure_of_the_day_in_dagster(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = world.plan.stream
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "s.yaml").write_text(YAML.format(stream=stream, topic=world.topic))
    (tmp_path / "settings.json").write_text(world.settings.model_dump_json())
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "settings.json"))
    monkeypatch.setenv(STREAMS_VARIABLE, str(tmp_path / "streams"))
    with producer_of(world) as producer:
        for _ in range(3):
            producer.send(stream, b"{}")
        producer.send(stream, 5)  # type: ignore[arg-type]
    sensor = produced_sensor(load_streams(tmp_path / "streams").streams)
    definitions = defs()
    with dg.DagsterInstance.ephemeral() as instance:
        resources = {"warehouse": WarehouseResource()}
        context = dg.build_sensor_context(instance=instance, resources=resources, definitions=definitions)
        found = sensor.evaluate_tick(context)
        again = sensor.evaluate_tick(
            dg.build_sensor_context(
                instance=instance, resources=resources, definitions=definitions, cursor=found.cursor
            )
        )
    day, check = found.asset_events
    assert isinstance(day, dg.AssetMaterialization)
    assert (day.asset_key, day.partition) == (keys.produced_key(stream), f"{datetime.now(UTC):%Y-%m-%d}")
    counts = (keys.ATTEMPTED, keys.ACKNOWLEDGED, keys.DROPPED, keys.dropped_key("not_bytes"), keys.LOSS_RATIO)
    assert [day.metadata[key].value for key in counts] == [4, 3, 1, 1, 0.25]
    assert isinstance(check, dg.AssetCheckEvaluation)
    assert (check.passed, check.check_name) == (False, keys.LOSS)
    assert "dropped 1 not_bytes of 4" in str(check.description)
    assert not again.asset_events
    job = definitions.get_implicit_global_asset_job_def().get_subset(
        asset_check_selection={dg.AssetCheckKey(keys.produced_key(stream), keys.LOSS)}, asset_selection=set()
    )
    (result,) = job.execute_in_process().get_asset_check_evaluations()
    assert not result.passed
