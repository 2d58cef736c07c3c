"""An hour that came by both clusters is backfilled and proven; with one away nothing is claimed, nothing replaced."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keystone_platform.gateways.kafka_clusters import connect_kafka
from keystone_platform.plan.producing import plan_producers
from keystone_platform.producer import KeystoneProducer, Terms
from keystone_platform.spec.loader import load_streams
from keystone_platform.stack.server import KAFKA, KAFKA_STANDBY
from tests.drills.two_clusters.twins import Twins, keystone
from tests.e2e.platform import Platform, event, stream_yaml, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

CLUSTERS = ("primary", "standby")
STREAM = "hourly"
TABLE = f"tests.{STREAM}"
ROUTE = f"{STREAM}.warehouse"
EVENTS = 1_000
"""Of the hour, a cluster; a quarter is of the country that the first filter keeps."""


@pytest.fixture
def hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)


def test_hour_of_both_clusters_is_backfilled_and_proven_and_with_one_away_nothing_is_touched(
    platform: Platform, hour: datetime
) -> None:
    twins = Twins(platform, STREAM, ROUTE)
    twins.begin(stream_yaml(STREAM, where="country = 'US'"))
    for cluster in CLUSTERS:
        send(twins, cluster, hour)
    platform.wait_for_rows(STREAM, EVENTS // 2)
    twins.begin(stream_yaml(STREAM))
    for cluster in CLUSTERS:  # behind these rows the route has committed all of the hour
        send(twins, cluster, hour + timedelta(hours=2), events=100)
    platform.wait_for_rows(STREAM, EVENTS // 2 + 200)
    named = f"{hour:%Y-%m-%dT%H}"

    for cluster, server in zip(CLUSTERS, (KAFKA, KAFKA_STANDBY), strict=True):
        before = rows(platform)
        platform.stack.stop(server)
        for words in (("audit", TABLE, "--hour", named, "--json"), ("backfill", TABLE, "--hour", named, "--json")):
            answer = keystone(*words)
            print(f"{server} away, {words[0]}: exit {answer.returncode}, {answer.stderr.strip()[-400:]}")
            assert answer.returncode != 0
            assert f"cluster {cluster} does not answer" in answer.stderr
            assert "broken" not in answer.stdout
        twins.start_all()
        assert rows(platform) == before

    wait_for("both clusters answer", lambda: reached(twins), 60)
    told = answered("backfill", TABLE, "--hour", named, "--json")
    print(told)
    assert (told["rows_removed"], told["rows_added"]) == (EVENTS // 2, 2 * EVENTS)
    assert rows(platform) == Counter({(STREAM, hour): EVENTS, (twins.standby_topic, hour): EVENTS}) + later(twins, hour)

    proof = answered("audit", TABLE, "--hour", named, "--whole", "--json")["hours"][0]
    print(proof)
    assert (proof["standing"], proof["findings"]) == ("holds", [])
    compared = proof["compared"]
    assert (compared["read"], compared["landed"]) == (2 * EVENTS, 2 * EVENTS)
    accounted = proof["accounted"]
    assert (accounted["in_kafka"], accounted["produced"]["acknowledged"]) == (2 * EVENTS, 2 * EVENTS)
    twins.end()


def send(twins: Twins, cluster: str, hour: datetime, events: int = EVENTS) -> None:
    """Send events of the hour to one cluster, and tell there how many."""
    fleet = load_streams(twins.platform.streams)
    terms = Terms.of(plan_producers([fleet.stream(STREAM).spec], fleet.clusters).model_dump(mode="json"))
    kafka = fleet.clusters.cluster(cluster).client_properties()
    with KeystoneProducer({cluster: kafka}, "tests", terms=terms) as producer:
        for number in range(twins.sent, twins.sent + events):
            producer.send(STREAM, event(number), b"%d" % number, hour + timedelta(seconds=number))
        assert producer.flush(60) == 0
        assert producer.counts().dropped_total == 0
    twins.sent += events


def rows(platform: Platform) -> Counter[tuple[object, ...]]:
    found = platform.rows(STREAM, "SELECT _topic, date_trunc('hour', _time), count(*) FROM t GROUP BY ALL")
    return Counter({(topic, utc(time)): int(str(count)) for topic, time, count in found})


def utc(time: object) -> datetime:
    assert isinstance(time, datetime)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def later(twins: Twins, hour: datetime) -> Counter[tuple[object, ...]]:
    after = hour + timedelta(hours=2)
    return Counter({(STREAM, after): 100, (twins.standby_topic, after): 100})


def reached(twins: Twins) -> bool:
    kafka = connect_kafka(twins.platform.settings)
    return all(kafka.offsets(topic).span for topic in (STREAM, twins.standby_topic))


def answered(*arguments: str) -> dict[str, Any]:
    answer = keystone(*arguments)
    assert answer.returncode == 0, answer.stderr
    told: dict[str, Any] = json.loads(answer.stdout)
    return told
