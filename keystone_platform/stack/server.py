"""What the stack knows of a server before it runs: how to start it and how to tell that it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

KAFKA = "kafka"
KAFKA_STANDBY = "kafka-standby"
S3 = "s3"
FLINK_JOBMANAGER = "flink-jobmanager"
FLINK_TASKMANAGER = "flink-taskmanager"
SEARCH = "search"
STANDBY = "standby"
"""What a person adds to a stack to get KAFKA_STANDBY, and the name of that cluster."""
DAGSTER_WEBSERVER = "dagster-webserver"
DAGSTER_DAEMON = "dagster-daemon"


@dataclass(frozen=True)
class Server:
    """One supervised process.

    Attributes:
        command: absolute program and its arguments.
        directory: working directory.
        environment: added to the supervisor's.
        url: where people or clients find it; empty when they do not.
        port: its listening port; None when it has none of its own.
        needs: servers that must answer before it is started.
        unready: None when it really answers, else why not; blocks for a few seconds at most.
        warnings: asked once it answers: what is wrong although it does.
        start_timeout_s: how long after its start it may be unready.
        stop_timeout_s: how long it may take to end by itself before it is killed.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    unready: Callable[[], str | None] = field(compare=False)
    warnings: Callable[[], tuple[str, ...]] = field(default=tuple, compare=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = ""
    port: int | None = None
    needs: tuple[str, ...] = ()
    start_timeout_s: float = 300
    stop_timeout_s: int = 30
