"""A Kafka cluster beside the stack's own, which a test may kill and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from keystone_platform.gateways.flink_home import jars_folder
from keystone_platform.stack.home import Home
from keystone_platform.stack.java import find_java
from keystone_platform.stack.kafka import KafkaNode, kafka_server, prepare_kafka
from tests.e2e.platform import wait_for


class SecondBroker:
    """One broker, with its files in `folder`; `guarded`, it has a listener that only lets those in who log in."""

    def __init__(self, folder: Path, guarded: Guarded | None = None) -> None:
        home, java, jars = Home(folder), find_java(os.environ), jars_folder(os.environ)
        node = KafkaNode("kafka-standby", *free_ports(2))
        prepare_kafka(home, node, java, jars)
        if guarded:
            with (folder / node.name / "server.properties").open("a") as properties:
                properties.writelines(f"{key}={value}\n" for key, value in guarded.listener(node).items())
        self._server = kafka_server(home, node, java, jars)
        self._log = folder / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return self._server.url

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._server.command, cwd=self._server.directory, stdout=log, stderr=subprocess.STDOUT
            )
        wait_for("the second broker answers", lambda: self._server.unready() is None, 60)

    def kill(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@dataclass(frozen=True)
class Guarded:
    """A listener with TLS, a certificate of the client and SCRAM.

    Attributes:
        port: of the listener.
        keys: PEM file of the key and the certificate, which is the authority of the clients' as well.
        authority: PEM file of the certificate.
    """

    port: int
    keys: Path
    authority: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def listener(self, node: KafkaNode) -> dict[str, str]:
        open_to_all = f"PLAINTEXT://127.0.0.1:{node.port}"
        mine = f"SASL_SSL://{self.address}"
        return {
            "listeners": f"{open_to_all},{mine},CONTROLLER://127.0.0.1:{node.controller_port}",
            "advertised.listeners": f"{open_to_all},{mine}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.keys),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority),
        }


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listened at a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
