"""A second Kafka cluster belongs to a stack that was asked for it, and to no other."""

from __future__ import annotations

from pathlib import Path

from keystone_platform.spec.cluster_file import load_clusters
from keystone_platform.spec.clusters import clusters_file
from keystone_platform.stack.home import Home
from keystone_platform.stack.kafka import kafka_nodes
from keystone_platform.stack.ports import choose_ports
from keystone_platform.stack.server import STANDBY
from keystone_platform.stack.state import Ports, StackState, clusters_text

PORTS = choose_ports({}, None, is_free=lambda _: True)
ALONE = StackState(ports=PORTS)
BOTH = ALONE.with_servers([STANDBY])


def test_a_stack_has_one_broker_unless_another_is_asked_for() -> None:
    assert [node.name for node in kafka_nodes(ALONE)] == ["kafka"]
    assert [node.name for node in kafka_nodes(BOTH)] == ["kafka", "kafka-standby"]
    assert BOTH.with_servers([]).standby, "once asked for, it belongs to the stack"


def test_every_stream_has_a_standby_there(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.folder.mkdir()
    home.clusters.write_text(clusters_text(BOTH))
    env = {"KEYSTONE_HOME": str(home.folder)}
    clusters = load_clusters(clusters_file(tmp_path / "streams", env))
    assert clusters.standby == "standby"
    assert clusters.cluster("standby").bootstrap_servers == f"127.0.0.1:{PORTS.kafka_standby}"
    (tmp_path / "clusters.yaml").touch()
    assert clusters_file(tmp_path / "streams", env) == tmp_path / "clusters.yaml", "a file beside the streams wins"


def test_a_stack_of_before_there_were_standbys_gets_their_ports_at_its_next_start() -> None:
    old = Ports.model_validate({**PORTS.model_dump(), "kafka_standby": 0, "kafka_standby_controller": 0})
    chosen = choose_ports({}, old, is_free=lambda _: True)
    assert chosen.kafka == old.kafka
    assert chosen.kafka_standby > 0
