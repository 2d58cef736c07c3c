from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from keystone_platform.errors import Conflict, Terminal
from keystone_platform.settings import SETTINGS_VARIABLE, Settings
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.lock import exclusive
from keystone_platform.stack.processes import marked_processes
from keystone_platform.stack.status import ServerState

pytestmark = pytest.mark.stack

DATA_ONLY = ("flink", "dagster")


def _little(home: Path, **env: str) -> EmbeddedStack:
    return EmbeddedStack(home, streams=home / "streams", usual_ports=False, env={**os.environ, **env})


def _states(stack: EmbeddedStack) -> dict[str, ServerState]:
    return {server.name: server.state for server in stack.status()}


def _wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.2)


def _keystone(home: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != SETTINGS_VARIABLE}  # of another stack
    return subprocess.run(
        [sys.executable, "-c", "from keystone_platform.cli import main; main()", *arguments],
        env={**inherited, "KEYSTONE_HOME": str(home), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def _make_topic(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()


def test_every_server_runs_and_answers(stack: EmbeddedStack) -> None:
    servers = stack.status()
    assert {server.state for server in servers} == {ServerState.RUNNING}, servers
    assert {"kafka", "s3", "flink-jobmanager", "flink-taskmanager"} <= {server.name for server in servers}


def test_idle_stack_stays_under_6_gb(stack: EmbeddedStack) -> None:
    assert sum(server.rss_bytes for server in stack.status()) < 6e9


def test_servers_listen_on_loopback_only(stack: EmbeddedStack) -> None:
    listening = {
        connection.laddr.ip
        for marked in marked_processes(stack.home.mark)
        for connection in marked.process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_a_second_up_starts_nothing_anew(stack: EmbeddedStack) -> None:
    before = {server.name: server.pid for server in stack.status()}
    assert stack.up().started == ()
    assert {server.name: server.pid for server in stack.status()} == before


def test_kafka_takes_a_10_mb_event(stack: EmbeddedStack) -> None:
    bootstrap = stack.settings().bootstrap_servers
    _make_topic(bootstrap, "stack.large")
    errors: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 11_000_000})
    producer.produce("stack.large", os.urandom(10_000_000), on_delivery=lambda error, _: errors.append(error))
    producer.flush()
    assert errors == [None]


def test_a_topic_is_not_made_by_a_typo(stack: EmbeddedStack) -> None:
    admin = AdminClient({"bootstrap.servers": stack.settings().bootstrap_servers})
    admin.list_topics("stack.typo", timeout=10)
    assert "stack.typo" not in admin.list_topics(timeout=10).topics


def test_env_json_is_the_settings_document(stack: EmbeddedStack) -> None:
    answer = _keystone(stack.home.folder, "env", "--json", KEYSTONE_SETTINGS=str(stack.home.settings))
    assert Settings.model_validate_json(answer.stdout) == stack.settings()


def test_a_killed_taskmanager_comes_back_by_itself(stack: EmbeddedStack) -> None:
    def registered() -> list[str]:
        answer = httpx.get(f"{stack.settings().flink_rest}/taskmanagers").json()
        return [manager["id"] for manager in answer["taskmanagers"]]

    before, killed = registered(), stack.pid("flink-taskmanager")
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    _wait_until(lambda: len(registered()) == 1 and registered() != before)
    _wait_until(lambda: _states(stack)["flink-taskmanager"] is ServerState.RUNNING)
    assert stack.pid("flink-taskmanager") != killed


def test_the_secret_key_is_in_no_log(stack: EmbeddedStack) -> None:
    secret = stack.settings().s3.secret_access_key
    logs = [path for path in (stack.home.folder / "logs").iterdir() if path.is_file()]
    assert logs
    assert [path.name for path in logs if secret in path.read_text(errors="replace")] == []


def test_down_after_the_supervisor_was_killed_leaves_nothing(little_home: Path) -> None:
    little = _little(little_home)
    little.up(without=DATA_ONLY)
    supervisor = little.supervisor_pid()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(supervisor)] if psutil.pid_exists(supervisor) else [], timeout=10)
    assert _states(little)["kafka"] is ServerState.ORPHANED
    assert little.down() == 2
    assert marked_processes(little.home.mark) == ()


def test_up_after_the_supervisor_was_killed_takes_over_with_the_data(little_home: Path) -> None:
    little = _little(little_home)
    first = little.up(without=DATA_ONLY).settings
    _make_topic(first.bootstrap_servers, "kept")
    supervisor = little.supervisor_pid()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    again = little.up(without=DATA_ONLY)
    assert again.settings == first  # same ports, same key
    assert set(again.started) == {"kafka", "s3"}
    assert "kept" in AdminClient({"bootstrap.servers": first.bootstrap_servers}).list_topics(timeout=10).topics


def test_down_stops_only_its_own_stack(little_home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other_home = tmp_path_factory.mktemp("other")  # long: its socket goes to the temporary folder
    little, other = _little(little_home), _little(other_home / ("x" * 80))
    try:
        one = little.up(without=("kafka", *DATA_ONLY)).settings
        two = other.up(without=("kafka", *DATA_ONLY)).settings
        assert one.s3.endpoint != two.s3.endpoint
        little.down()
        assert marked_processes(little.home.mark) == ()
        # it counts as starting for a moment after it has answered
        _wait_until(lambda: _states(other)["s3"] is ServerState.RUNNING)
    finally:
        other.down()
    assert not other.home.socket.exists()


def test_down_and_status_of_what_was_never_up_are_harmless(little_home: Path) -> None:
    assert _keystone(little_home, "down").returncode == 0
    status = _keystone(little_home, "status", "--json")
    told = {"servers": [], "routes": [], "note": "The stack was never up here: keystone up"}
    assert (status.returncode, json.loads(status.stdout)) == (1, told)


def test_purge_leaves_what_others_put_into_the_home(little_home: Path) -> None:
    little = _little(little_home)
    little.up(without=("kafka", *DATA_ONLY))
    (little_home / "notes.txt").write_text("mine")
    little.down(purge=True)
    assert [path.name for path in little_home.iterdir()] == ["notes.txt"]


def test_a_port_that_was_asked_for_and_is_taken_is_named_with_its_mend(little_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = _keystone(little_home, "up", KEYSTONE_S3_PORT=str(port))
    assert answer.returncode == 1
    assert f"port {port}, asked for s3, is taken" in answer.stderr
    assert "KEYSTONE_S3_PORT" in answer.stderr


def test_missing_java_is_told_before_anything_starts(little_home: Path) -> None:
    answer = _keystone(little_home, "up", JAVA_HOME=str(little_home))
    assert answer.returncode == 1
    assert "no Java in JAVA_HOME" in answer.stderr
    assert "Install a JDK 17" in answer.stderr
    assert list(little_home.iterdir()) == []


def test_a_server_that_dies_is_told_with_its_log_and_nothing_is_left_running(little_home: Path) -> None:
    little = _little(little_home)
    little.up(without=("s3", *DATA_ONLY))
    little.down()
    (little_home / "kafka" / "data" / "meta.properties").write_text("version=1\ncluster.id=of-another-cluster\n")
    with pytest.raises(Terminal, match="kafka died while starting") as failure:
        little.up(without=DATA_ONLY)
    assert "node.id" in failure.value.what
    assert str(little.home.log("kafka")) in failure.value.mend
    assert marked_processes(little.home.mark) == ()


def test_ctrl_c_while_starting_stops_what_was_started(little_home: Path) -> None:
    little = _little(little_home)
    process = subprocess.Popen(
        [sys.executable, "-c", "from keystone_platform.cli import main; main()", "up", "--without", "dagster"],
        env={**os.environ, "KEYSTONE_HOME": str(little_home)},
        stderr=subprocess.PIPE,
        # a shell that runs the tests in the background makes its children ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    _wait_until(lambda: little.pid("kafka") is not None if little.supervisor_pid() else False)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=90)
    assert process.returncode == 130
    assert marked_processes(little.home.mark) == ()


def test_two_commands_on_one_home_do_not_meet(little_home: Path) -> None:
    little = _little(little_home)
    with exclusive(little.home), pytest.raises(Conflict):
        little.up(without=DATA_ONLY)
