"""Ctrl-C in a statement of DuckDB is an interrupt, as it is anywhere else."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import duckdb
import pytest

from keystone_platform.errors import Terminal, interruptible
from keystone_platform.query.session import translated
from keystone_platform.settings import S3Settings

S3 = S3Settings(endpoint="http://127.0.0.1:1", access_key_id="none", secret_access_key="none")


@pytest.fixture(autouse=True)
def hears_ctrl_c() -> Iterator[None]:
    """Who is started in the background of a shell does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_a_statement_is_an_interrupt_and_ends_what_its_threads_do() -> None:
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    began = time.monotonic()
    with duckdb.connect() as session, pytest.raises(KeyboardInterrupt), translated(S3), interruptible(session):
        timer.start()
        session.execute("SELECT count(*) FROM range(100_000_000_000) WHERE hash(range) = 0")  # an hour
    assert time.monotonic() - began < 60


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="something else"), interruptible():
        raise RuntimeError("something else")
    with pytest.raises(Terminal, match="mine"), interruptible():
        raise Terminal("mine")
