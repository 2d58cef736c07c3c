from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from keystone_platform.stack.home import SERVER_VARIABLE, STACK_VARIABLE
from keystone_platform.stack.processes import end_processes, marked_processes

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for child in started:
        child.kill()
        child.communicate()


def _start(children: list[subprocess.Popen[str]], mark: str, code: str = STUBBORN) -> int:
    environment = {**os.environ, STACK_VARIABLE: mark, SERVER_VARIABLE: "one"}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    children.append(child)
    assert child.stdout is not None
    child.stdout.readline()
    return child.pid


def test_only_processes_of_the_same_mark_are_found(children: list[subprocess.Popen[str]]) -> None:
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    pid = _start(children, mine)
    _start(children, other)
    assert [(found.process.pid, found.server) for found in marked_processes(mine)] == [(pid, "one")]


def test_a_process_that_ignores_sigterm_is_killed_and_others_are_spared(children: list[subprocess.Popen[str]]) -> None:
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    _start(children, mine)
    spared = _start(children, other)
    assert end_processes(mine, patience_s=0.2) == 1
    assert marked_processes(mine) == ()
    assert [found.process.pid for found in marked_processes(other)] == [spared]


def test_the_caller_does_not_end_itself() -> None:
    mark = str(uuid.uuid4())
    code = f"from keystone_platform.stack.processes import end_processes\nprint(end_processes({mark!r}, 1), flush=True)"
    environment = {**os.environ, STACK_VARIABLE: mark}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout.strip()) == (0, "0")
