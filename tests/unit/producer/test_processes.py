"""Forks, exits and imports: each in a process of its own, since they end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

HEAD = """
import json, os, sys, time
from keystone_platform.producer import KeystoneProducer, ProducerSettings
NOWHERE = {"bootstrap.servers": "127.0.0.1:1"}
STAND_IN = {"bootstrap.servers": "ignored", "test.mock.num.brokers": "1", "linger.ms": "1"}
def told(producer):
    counts = producer.counts()
    return [counts.attempted, counts.acknowledged, counts.dropped]
def tell(*values):
    print(json.dumps(values), flush=True)
"""


def run(code: str, timeout: float = 30) -> tuple[list[object], str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", HEAD + code], capture_output=True, text=True, timeout=timeout, env=environment
    )
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


def test_a_service_needs_confluent_kafka_and_nothing_else() -> None:
    """An import of anything else that is not of the standard library fails."""
    code = """
import importlib.abc
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("confluent_kafka", "keystone_platform"):
            raise ImportError(f"{name} is not installed")
for name in [name for name in sys.modules if name.startswith("keystone_platform")]:
    del sys.modules[name]
sys.meta_path.insert(0, Refuse())
from keystone_platform.producer import KeystoneProducer, Terms
with KeystoneProducer(STAND_IN, "test") as producer:
    producer.send("s", b"{}", traceid="abc")
tell(told(producer), sorted(name for name in sys.modules if name.startswith("keystone_platform.")))
"""
    ((told, modules),), _ = run(code)  # type: ignore[misc]
    assert told == [1, 1, {}]
    others = [name for name in modules if not name.startswith("keystone_platform.producer")]
    assert others == ["keystone_platform.envelope", "keystone_platform.errors"]


def test_a_forked_child_counts_anew_and_sends_none_of_its_parents_events() -> None:
    """gunicorn with preload: made and used in the master, used again in each worker."""
    code = """
producer = KeystoneProducer({**NOWHERE, "linger.ms": "1"}, "test", settings=ProducerSettings(exit_flush_s=0.2))
for _ in range(10):
    producer.send("s", b"parent's")
child = os.fork()
if not child:
    tell("begins", *told(producer))
    producer.send("s", b"child's")
    tell("child", *told(producer))
    sys.exit(0)  # a worker ends as any interpreter does: with atexit
os.waitpid(child, 0)
producer.send("s", b"parent's")
tell("parent", *told(producer))
producer.close(0)
"""
    lines, _ = run(code)
    assert lines == [["begins", 0, 0, {}], ["child", 1, 0, {}], ["parent", 11, 0, {}]]


def test_a_child_of_multiprocessing_delivers_what_it_sent_though_atexit_is_skipped_there() -> None:
    code = """
import multiprocessing
producer = KeystoneProducer(STAND_IN, "test")
producer.send("s", b"{}")
def work():
    producer.send("s", b"{}", on_delivery=lambda delivery: tell("delivered", delivery.acknowledged))
context = multiprocessing.get_context("fork")
child = context.Process(target=work)
child.start(); child.join()
producer.close(10)
tell("parent", *told(producer), child.exitcode)
"""
    lines, _ = run(code)
    assert lines == [["delivered", True], ["parent", 1, 1, {}, 0]]


def test_an_exit_with_a_full_queue_takes_no_longer_than_it_may_and_tells_the_loss() -> None:
    code = """
import logging, atexit
logging.basicConfig(level=logging.INFO)
producer = KeystoneProducer(NOWHERE, "test", settings=ProducerSettings(exit_flush_s=0.3, max_buffer_events=1000))
atexit.unregister(tell)
for _ in range(1500):
    producer.send("s", b"{}")
tell(time.monotonic())
"""
    began = _monotonic()
    _, stderr = run(code)
    assert _monotonic() - began < 15
    assert "1000 events had not reached Kafka when the process ended" in stderr
    assert "1500 attempted, 0 acknowledged, 1500 dropped" in stderr


def test_an_exit_delivers_what_is_still_in_the_queue() -> None:
    code = """
import logging
logging.basicConfig(level=logging.INFO)
producer = KeystoneProducer({**STAND_IN, "linger.ms": "1000"}, "test")
for _ in range(100):
    producer.send("s", b"{}")
"""
    _, stderr = run(code)
    assert "100 attempted, 100 acknowledged, 0 dropped" in stderr


def test_an_unhandled_exception_is_an_exit_like_another() -> None:
    code = (
        HEAD
        + """
import logging
logging.basicConfig(level=logging.INFO)
producer = KeystoneProducer({**STAND_IN, "linger.ms": "1000"}, "test")
producer.send("s", b"{}")
raise SystemError("the service's own")
"""
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, env=environment)
    assert ended.returncode == 1
    assert "1 attempted, 1 acknowledged" in ended.stderr


def test_a_signal_handler_may_send_while_its_own_thread_is_sending() -> None:
    code = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # librdkafka's stand-in broker ends on a signal
producer = KeystoneProducer(STAND_IN, "test")
producer.send("s", b"{}")
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
handled = 0
def handle(*_):
    global handled
    handled += 1
    producer.send("s", b"from the handler")
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
sent = 1
while handled < 20:
    producer.send("s", b"{}")
    sent += 1
signal.setitimer(signal.ITIMER_REAL, 0)
counts = producer.close(90)
tell(counts.attempted - sent - handled, counts.pending, counts.dropped_total, producer.buffer_bytes)
"""
    lines, _ = run(code, timeout=150)
    assert lines == [[0, 0, 0, 0]]


def test_sums_close_whatever_a_signal_handler_raises_and_wherever() -> None:
    code = """
import signal
class Late(Exception): pass
def handle(*_): raise Late
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # librdkafka's stand-in broker ends on a signal
producer = KeystoneProducer(STAND_IN, "test")
producer.send("s", b"{}")
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
signal.signal(signal.SIGALRM, handle)
raised = 0
while raised < 300:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        while True:
            producer.send("s", b"{}")
    except (Late, TypeError):  # what is raised while headers are read comes as the latter
        raised += 1
signal.signal(signal.SIGALRM, signal.SIG_IGN)
counts = producer.close(60)
tell(counts.pending, counts.attempted - counts.acknowledged - counts.dropped_total, counts.acknowledged > 0)
"""
    lines, _ = run(code, timeout=150)
    assert lines == [[0, 0, True]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_is_killed_ends_at_once(number: signal.Signals) -> None:
    """Nothing can be flushed then: what the last audit event did not say is not known (docs/producer.md)."""
    code = (
        HEAD
        + """
producer = KeystoneProducer(NOWHERE, "test")
producer.send("s", b"{}")
tell("sent")
time.sleep(60)
"""
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == ["sent"]
        process.send_signal(number)
        assert process.wait(10) == -number


def _monotonic() -> float:
    import time

    return time.monotonic()


def test_a_child_of_a_fork_watches_the_clusters_by_itself() -> None:
    code = """
producer = KeystoneProducer({"a": NOWHERE, "b": STAND_IN}, "test", settings=ProducerSettings(exit_flush_s=1))
def until_switched():
    end = time.monotonic() + 20
    while producer.using().get("s") != "b" and time.monotonic() < end:
        producer.send("s", b"{}")
        time.sleep(0.01)
    return producer.using()
until_switched()
child = os.fork()
if child == 0:
    before = told(producer)
    using = until_switched()
    producer.close(0)
    tell(before, using, producer.counts().pending)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
producer.close(0)
tell(producer.counts().pending)
"""
    lines, _ = run(code, 60)
    assert lines == [[[0, 0, {}], {"s": "b"}, 0], [0]]


def test_an_interpreter_that_ends_while_clusters_are_asked_ends_in_peace() -> None:
    code = """
producer = KeystoneProducer({"a": NOWHERE, "b": NOWHERE}, "test", settings=ProducerSettings(exit_flush_s=0.1))
producer.send("s", b"{}")
time.sleep(0.2)
tell("ends")
"""
    lines, errors = run(code)
    assert lines == [["ends"]]
    assert "Traceback" not in errors
    assert "Fatal" not in errors
