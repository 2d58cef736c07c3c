"""Reads the Kafka offsets out of Flink's checkpoints by Flink's own classes, since the format is its own business."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.flink_home import jars_folder, jars_of, wheel_folder
from keystone_platform.plan.checkpoint_contents import Contents
from keystone_platform.plan.recovery import offsets_of_text

_MAIN = "io.keystone.kafka.CheckpointOffsets"
_LIBRARIES = ("flink-sql-connector-kafka-", "keystone-kafka-")
_SHORT_LIVED = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx512m")
_TIMEOUT_S = 60.0


class CheckpointReader(Protocol):
    """Reads what checkpoints hold."""

    def read(self, metadata: Sequence[bytes]) -> tuple[Contents, ...]:
        """Return what each `_metadata` file holds, in order; never raises: what can't be read says why.

        Blocks for the start of one JVM (about half a second), however many files.
        """
        ...


class JvmCheckpointReader:
    """The real one: a little Java program (flink_jobs/jvm/kafka) on Flink's class path; it reaches no server.

    Args:
        environment: finds Java (JAVA_HOME, else PATH) and the jars.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)

    def read(self, metadata: Sequence[bytes]) -> tuple[Contents, ...]:
        if not metadata:
            return ()
        try:
            lines = self._answers(b"".join(struct.pack(">i", len(each)) + each for each in metadata))
        except (KeystoneError, OSError, subprocess.SubprocessError) as error:
            return tuple(Contents(unreadable=_why(error)) for _ in metadata)
        missing = len(metadata) - len(lines)
        return (*map(_contents, lines), *(Contents(unreadable="Java told nothing of it") for _ in range(missing)))

    def _answers(self, files: bytes) -> list[str]:
        command = [self._java(), *_SHORT_LIVED, "-cp", ":".join(map(str, self._class_path())), _MAIN]
        done = subprocess.run(
            command, input=files, capture_output=True, env=self._environment, timeout=_TIMEOUT_S, check=True
        )
        return done.stdout.decode().splitlines()

    def _java(self) -> str:
        home = self._environment.get("JAVA_HOME")
        return str(Path(home) / "bin" / "java") if home else "java"

    def _class_path(self) -> list[Path]:
        ours = jars_of(jars_folder(self._environment) / "flink")
        flink = (jar for jar in jars_of(wheel_folder() / "lib") if jar.name.startswith("flink-dist-"))
        return [*flink, *(jar for jar in ours if jar.name.startswith(_LIBRARIES))]


def _contents(line: str) -> Contents:
    verdict, _, text = line.partition("\t")
    return Contents(offsets_of_text(text)) if verdict == "ok" else Contents(unreadable=text)


def _why(error: Exception) -> str:
    match error:
        case subprocess.CalledProcessError():
            return (
                f"Java ended with {error.returncode}: {' '.join(error.stderr.decode(errors='replace').split())[-200:]}"
            )
        case subprocess.TimeoutExpired():
            return f"Java took longer than {_TIMEOUT_S:.0f} s"
        case FileNotFoundError():
            return "no Java in JAVA_HOME or PATH"
        case _:
            return str(error)
