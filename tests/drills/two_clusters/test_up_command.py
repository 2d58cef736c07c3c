"""`keystone up --with standby` on the command line: the second cluster belongs to the stack until it is purged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE
from keystone_platform.stack.home import Home
from keystone_platform.stack.processes import marked_processes
from keystone_platform.stack.server import KAFKA, KAFKA_STANDBY
from tests.drills.two_clusters.twins import command, environment
from tests.e2e.platform import stream_yaml, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]

LIGHT = ("--without", "dagster", "--without", "flink")


class Shell:
    """A person's shell: a home and a folder of streams of their own."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        streams = folder / "streams"
        streams.mkdir()
        (streams / "plays.yaml").write_text(stream_yaml("plays"))
        ours = {HOME_VARIABLE: str(self.home.folder), STREAMS_VARIABLE: str(streams)}
        self._environment = {name: value for name, value in environment().items() if name != SETTINGS_VARIABLE} | ours

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        began = time.monotonic()
        answer = subprocess.run(
            command(*arguments), capture_output=True, text=True, timeout=300, env=self._environment, check=False
        )
        print(f"keystone {' '.join(arguments)}: exit {answer.returncode}, {time.monotonic() - began:.1f} s")
        return answer

    def servers(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in json.loads(self.run("status", "--json").stdout)["servers"]}

    def processes(self) -> list[int]:
        return [marked.process.pid for marked in marked_processes(self.home.mark)]


@pytest.fixture
def shell() -> Iterator[Shell]:
    folder = Path(tempfile.mkdtemp(prefix="keystone-up-"))
    found = Shell(folder)
    yield found
    found.run("down")
    shutil.rmtree(folder, ignore_errors=True)


def test_a_standby_is_added_to_a_stack_that_runs_and_stays_with_it_until_it_is_purged(shell: Shell) -> None:
    assert shell.run("up", *LIGHT).returncode == 0
    assert KAFKA_STANDBY not in shell.servers()
    assert not shell.home.clusters.exists()

    added = shell.run("up", "--with", "standby", *LIGHT)
    assert added.returncode == 0, added.stderr
    assert f"{KAFKA_STANDBY} " in added.stderr
    servers = shell.servers()
    assert {servers[name]["state"] for name in (KAFKA, KAFKA_STANDBY)} == {"running"}
    assert servers[KAFKA_STANDBY]["url"] in shell.home.clusters.read_text()

    made = json.loads(shell.run("producers").stdout)
    assert [site["cluster"] for site in made["streams"]["plays"]["clusters"]] == ["primary", "standby"]
    sent = shell.run("produce", "plays", "--synthetic", "--count", "500", "--seed", "7", "--json")
    assert json.loads(sent.stdout)["acknowledged"] == 500, sent.stderr

    killed = servers[KAFKA_STANDBY]["pid"]
    os.kill(killed, signal.SIGKILL)
    wait_for(
        "the supervisor starts it again",
        lambda: (now := shell.servers()[KAFKA_STANDBY])["state"] == "running" and now["pid"] != killed,
        60,
    )

    assert shell.run("down").returncode == 0
    assert shell.processes() == []
    stopped = shell.run("status")
    assert (stopped.returncode, KAFKA_STANDBY in stopped.stdout) == (1, True)

    assert shell.run("up", *LIGHT).returncode == 0, "it is remembered"
    assert shell.servers()[KAFKA_STANDBY]["state"] == "running"
    assert shell.run("down", "--purge").returncode == 0
    assert (shell.processes(), shell.home.folder.exists()) == ([], False)
