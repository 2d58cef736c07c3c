"""Which cluster a topic is looked for on, by its name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from keystone_platform.errors import InvalidSpecs, Transient
from keystone_platform.gateways.kafka_clusters import AWAY_S, KafkaClusters, declared_clusters
from keystone_platform.plan.submission import Connection
from keystone_platform.settings import S3Settings, Settings, last_good_folder
from keystone_platform.spec.clusters import Cluster, Clusters
from keystone_platform.spec.last_good import load_or_remember
from tests.control.fake_servers import FakeClock

DECLARED = Clusters(
    {name: Cluster(name, f"127.0.0.1:{port}") for port, name in enumerate(("main", "standby", "ads"), 1)},
    primary="main",
    standby="standby",
    file=Path("clusters.yaml"),
)

SETTINGS = Settings(
    kafka={"bootstrap.servers": "settings:9092", "linger.ms": "5"},
    s3=S3Settings(endpoint="http://s3:9000", access_key_id="id", secret_access_key="key"),
    catalog={"type": "sql", "uri": "sqlite://"},
    flink_rest="http://flink:8081",
    dagster_url="http://dagster:3000",
    ledger_url="sqlite://",
)


@pytest.mark.parametrize(
    ("topic", "cluster"),
    [
        ("plays", "main"),
        ("standby.plays", "standby"),
        ("standby.plays.dlq", "standby"),
        ("main.clicks", "main"),
        ("clicks", "ads"),
        ("clicks.dlq", "ads"),
        ("clicks.replay.warehouse", "ads"),
        ("a.b.c", "main"),
    ],
)
def test_a_topics_name_tells_its_cluster(topic: str, cluster: str) -> None:
    assert KafkaClusters(DECLARED, lambda: {"clicks": "ads"}).cluster_of(topic).name == cluster


def test_a_cluster_that_is_away_is_told_by_its_name_and_where_its_address_is_declared() -> None:
    with pytest.raises(Transient, match=r"cluster standby does not answer at 127\.0\.0\.1:2.*clusters\.yaml"):
        KafkaClusters(DECLARED, timeout_s=0.2).offsets("standby.plays")


def test_a_file_that_breaks_leaves_the_clusters_as_they_were(tmp_path: Path) -> None:
    env = {"KEYSTONE_HOME": str(tmp_path / "home"), "KEYSTONE_STREAMS": str(tmp_path / "streams")}
    (tmp_path / "streams").mkdir()
    file = tmp_path / "clusters.yaml"
    file.write_text('clusters: {main: {bootstrap_servers: "a:1"}}\nstreams: {primary: main}\n')
    load_or_remember(tmp_path / "streams", last_good_folder(env))
    file.write_text("clusters: [")
    assert declared_clusters(SETTINGS, env).primary == "main"
    shutil.rmtree(tmp_path / "home")
    with pytest.raises(InvalidSpecs, match=r"clusters\.yaml"):
        declared_clusters(SETTINGS, env)


def test_one_cluster_needs_to_know_of_no_stream() -> None:
    def never() -> dict[str, str]:
        raise AssertionError

    kafka = KafkaClusters(Clusters.alone(SETTINGS.kafka), never)
    assert kafka.properties("standby.plays") == SETTINGS.kafka
    assert kafka.audit_topics() == ("keystone.producers",)


def test_producers_counts_are_looked_for_on_every_cluster() -> None:
    topics = KafkaClusters(DECLARED).audit_topics()
    assert topics == ("keystone.producers", "standby.keystone.producers", "ads.keystone.producers")


def test_a_cluster_that_is_away_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ends:
        def __init__(self, properties: dict[str, str], timeout_s: float, _cluster: str | None) -> None:
            self.is_away = properties["bootstrap.servers"].endswith(":2")

        def ends(self, topics: list[str]) -> dict[str, int]:
            if self.is_away:
                message = "it does not answer"
                raise Transient(message)
            return dict.fromkeys(topics, 7)

    monkeypatch.setattr("keystone_platform.gateways.kafka_clusters.ConfluentKafka", Ends)
    kafka = KafkaClusters(DECLARED)
    assert kafka.ends(["plays", "standby.plays"]) == {"plays": 7}
    with pytest.raises(Transient):
        kafka.ends(["standby.plays"])


def test_a_cluster_that_is_away_holds_up_one_call_and_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = FakeClock(), list[str]()

    class Silent:
        def __init__(self, properties: dict[str, str], timeout_s: float, _cluster: str | None) -> None:
            self.timeout_s = timeout_s

        def offsets(self, topic: str) -> None:
            asked.append(topic)
            clock.sleep(self.timeout_s)
            message = "it does not answer"
            raise Transient(message)

    monkeypatch.setattr("keystone_platform.gateways.kafka_clusters.ConfluentKafka", Silent)
    kafka = KafkaClusters(DECLARED, clock=clock)
    for topic in ("standby.a", "standby.b"):
        with pytest.raises(Transient):
            kafka.offsets(topic)
    clock.sleep(AWAY_S)
    with pytest.raises(Transient):
        kafka.offsets("standby.c")
    assert asked == ["standby.a", "standby.c"]


def test_a_job_knows_the_declared_clusters_and_the_default_one() -> None:
    alone = Connection.of(SETTINGS)
    assert alone.bootstrap_servers == "settings:9092"
    assert [each.properties for each in alone.clusters] == [{"linger.ms": "5"}]
    assert Connection.of(SETTINGS.model_copy(update={"kafka": {"bootstrap.servers": "settings:9092"}})).clusters == ()
    declared = Connection.of(SETTINGS, DECLARED)
    assert declared.bootstrap_servers == "127.0.0.1:1"
    assert declared.kafka("standby").bootstrap_servers == "127.0.0.1:2"
    assert declared.default_kafka().name == "main"
