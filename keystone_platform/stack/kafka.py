"""The embedded Kafka: one KRaft node that is broker and controller; if asked for, a second cluster of the same kind."""

from __future__ import annotations

import base64
import logging
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from keystone_platform.errors import Terminal
from keystone_platform.gateways.flink_home import jars_of, write_private
from keystone_platform.stack.home import Home
from keystone_platform.stack.java import Java
from keystone_platform.stack.server import KAFKA, KAFKA_STANDBY, Server
from keystone_platform.stack.state import HOST, StackState

LARGEST_RECORD = 11 * 1024 * 1024
"""Bytes: a payload of 10 MB and its headers."""

_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1.} - %m%n
"""


@dataclass(frozen=True)
class KafkaNode:
    """One of the stack's clusters, of one node.

    Attributes:
        name: of the server, and of its folder.
        port: of its clients.
        controller_port: of itself.
    """

    name: str
    port: int
    controller_port: int


def kafka_nodes(state: StackState) -> tuple[KafkaNode, ...]:
    """Return the stack's clusters, the primary first."""
    ports = state.ports
    primary = KafkaNode(KAFKA, ports.kafka, ports.kafka_controller)
    standby = KafkaNode(KAFKA_STANDBY, ports.kafka_standby, ports.kafka_standby_controller)
    return (primary, standby) if state.standby else (primary,)


def kafka_server(home: Home, node: KafkaNode, java: Java, jars: Path) -> Server:
    """Return the server; writes nothing."""
    folder = home.folder / node.name
    command = (
        str(java.program),
        "-Xms256m",
        "-Xmx640m",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
        "-cp",
        str(jars / "kafka-broker" / "*"),
        "kafka.Kafka",
        str(folder / "server.properties"),
    )
    address = f"{HOST}:{node.port}"
    return Server(
        name=node.name,
        command=command,
        directory=folder,
        unready=lambda: _unready(address),
        url=address,
        port=node.port,
    )


def prepare_kafka(home: Home, node: KafkaNode, java: Java, jars: Path) -> None:
    """Write the configuration and, the first time, format the storage.

    Raises:
        Terminal: jars are missing or the storage cannot be formatted.
    """
    folder = home.folder / node.name
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    write_private(properties, "".join(f"{key}={value}\n" for key, value in _properties(folder, node).items()))
    write_private(folder / "log4j2.properties", _LOG4J)
    jars_of(jars / "kafka-broker")
    if (folder / "data" / "meta.properties").is_file():
        return
    mark = uuid.UUID(home.mark)
    identity = mark if node.name == KAFKA else uuid.uuid5(mark, node.name)
    cluster_id = base64.urlsafe_b64encode(identity.bytes).decode().rstrip("=")
    command = [str(java.program), "-cp", str(jars / "kafka-broker" / "*"), "kafka.tools.StorageTool"]
    command += ["format", "--ignore-formatted", f"--cluster-id={cluster_id}", "--config", str(properties)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        message = f"Kafka's storage below {folder / 'data'} cannot be formatted: {answer.stderr.strip()[-500:]}"
        raise Terminal(message, mend="Check the folder's rights and the disk; `keystone down --purge` starts afresh.")


def _properties(folder: Path, node: KafkaNode) -> dict[str, object]:
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{node.controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{node.port},CONTROLLER://{HOST}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{node.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": folder / "data",
        "auto.create.topics.enable": "false",
        "message.max.bytes": LARGEST_RECORD,
        "replica.fetch.max.bytes": LARGEST_RECORD,
        "replica.fetch.response.max.bytes": LARGEST_RECORD,
        # routers that were down for a weekend still find their events
        "log.retention.hours": 24 * 14,
        "log.retention.bytes": -1,
        # longer than a Flink transaction may live, so an exactly-once sink can resume after a restart
        "transaction.max.timeout.ms": 3_600_000,
        "group.initial.rebalance.delay.ms": 0,
        # one node: nothing to replicate to; few partitions of the internal topics make it start and stop faster
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "min.insync.replicas": 1,
        # the cleaner takes this from the heap at once; the default is 128 MB
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    }


def _unready(address: str) -> str | None:
    silent = logging.getLogger("keystone.stack.kafka")
    silent.disabled = True  # librdkafka tells every refused connection
    admin = AdminClient({"bootstrap.servers": address, "socket.timeout.ms": 1500}, logger=silent)
    try:
        brokers = admin.list_topics(timeout=1.5).brokers
    except KafkaException as error:
        return f"does not list topics: {error.args[0].str()}"
    return None if brokers else "lists no broker"
