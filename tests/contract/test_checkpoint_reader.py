"""Offsets out of Flink's own files: a checkpoint and a savepoint that routers wrote, both with Flink 2.3.0."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keystone_platform.gateways.checkpoint_reader import JvmCheckpointReader
from keystone_platform.plan.checkpoint_contents import Contents

FILES = Path(__file__).parent / "checkpoints"


def test_what_can_not_be_read_says_why_and_keeps_nothing_else_from_being_read() -> None:
    checkpoint, savepoint = ((FILES / name).read_bytes() for name in ("checkpoint", "savepoint"))
    read = JvmCheckpointReader(os.environ).read([checkpoint, b"no checkpoint", b"", checkpoint[:900], savepoint])
    assert read[0] == Contents(
        {"client_errors": {0: 3101, 1: 3001, 2: 6557, 3: 4007}, "client_errors.replay.warehouse": {0: 0}}
    )
    assert [bool(each.unreadable) for each in read] == [False, True, True, True, False]
    assert read[4] == Contents({"orders": {0: 25201, 1: 25005, 2: 24595, 3: 24338}})


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"JAVA_HOME": "/nowhere"}, "no Java in JAVA_HOME or PATH"),
        ({**os.environ, "KEYSTONE_JARS": "/nowhere"}, "no jars in /nowhere/flink. Run `make setup`"),
        ({**os.environ, "JDK_JAVA_OPTIONS": "-XX:NoSuchOption"}, "Java ended with 1: "),
    ],
)
def test_without_java_or_jars_each_row_says_so(environment: dict[str, str], why: str) -> None:
    (read,) = JvmCheckpointReader(environment).read([b"any"])
    assert read.unreadable.startswith(why)
    assert read.offsets == {}
