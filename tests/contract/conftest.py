"""Real servers for contract tests, started once and only what is asked for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from keystone_platform.stack.embedded import EmbeddedStack
from tests.e2e.platform import started


@pytest.fixture(scope="session")
def kafka_properties() -> Iterator[Mapping[str, str]]:
    """A Kafka broker of its own on free ports: what a client needs to reach it."""
    # not tmp_path: its length would push the supervisor's socket out of the home
    folder = Path(tempfile.mkdtemp(prefix="keystone-kafka-"))
    stack = EmbeddedStack(folder, streams=folder / "streams", usual_ports=False)
    try:
        yield stack.up(without=("s3", "flink", "dagster")).settings.kafka
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(streams_folder: Path) -> Iterator[EmbeddedStack]:
    """A stack without Dagster, which no test here asks anything."""
    folder = Path(tempfile.mkdtemp(prefix="keystone-contract-"))
    with started(folder, streams_folder, without=("dagster",)) as stack:
        yield stack
    shutil.rmtree(folder, ignore_errors=True)
