"""`keystone drill kong` as a person runs it: every event is accounted for, and nothing of it is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from keystone_platform.stack.home import STACK_VARIABLE

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
KONG = [sys.executable, "-c", "from keystone_platform.cli import main; main()", "drill", "kong", "--json"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the drill makes its folders; not pytest's, whose length a supervisor's socket would not fit into."""
    found = Path(tempfile.mkdtemp(prefix="kd-"))
    yield found
    shutil.rmtree(found, ignore_errors=True)


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}


def test_a_cluster_that_dies_under_load_costs_no_event(folder: Path) -> None:
    command = [*KONG, "--rate", "2000", "--seconds", "20", "--hold", "5"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, env=environment(folder), timeout=900, check=False)
    told = json.loads(ended.stdout)
    print(f"\n{json.dumps(told, indent=1)}")
    assert (ended.returncode, told["wrong"]) == (0, [])
    assert told["figures"]["switch_s"] < 10
    assert all(each["dropped"] == each["lost"] == each["duplicated"] == 0 for each in told["clusters"])
    assert list(folder.iterdir()) == []


def test_a_drill_that_is_interrupted_stops_its_servers_and_removes_its_folder(folder: Path) -> None:
    with subprocess.Popen([*KONG], env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as drill:
        while not servers(folder):
            assert drill.poll() is None, drill.communicate()[1].decode()
            time.sleep(0.5)
        time.sleep(5)
        drill.send_signal(signal.SIGINT)
        assert drill.wait(120) == 130
    assert servers(folder) == []
    assert list(folder.iterdir()) == []


def servers(folder: Path) -> list[psutil.Process]:
    """Return the processes of a stack below that folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if STACK_VARIABLE in process.environ() and str(folder) in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found
