"""A Kafka cluster beside the stack's own, which a test may kill and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from keystone_platform.gateways.flink_home import jars_folder
from keystone_platform.stack.home import Home
from keystone_platform.stack.java import find_java
from keystone_platform.stack.kafka import KafkaNode, kafka_server, prepare_kafka
from tests.e2e.platform import wait_for


class SecondBroker:
    """One broker, with its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        home, java, jars = Home(folder), find_java(os.environ), jars_folder(os.environ)
        node = KafkaNode("kafka-standby", *_free_ports())
        prepare_kafka(home, node, java, jars)
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


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
