"""Finds the Java that the servers run on."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keystone_platform.errors import Terminal

NEEDED_JAVA = 17
"""Kafka 4 brokers refuse older ones."""

_MEND = "Install a JDK 17 (Debian: apt-get install openjdk-17-jdk-headless), or point JAVA_HOME at one."


@dataclass(frozen=True)
class Java:
    """An installed Java.

    Attributes:
        program: absolute path of `java`.
        version: feature release, e.g. 17.
    """

    program: Path
    version: int


def find_java(env: Mapping[str, str]) -> Java:
    """Return the Java of JAVA_HOME, or of PATH when that is unset. Blocks for the JVM's start.

    Raises:
        Terminal: there is none, it does not run, or it is too old.
    """
    java_home = env.get("JAVA_HOME")
    found = str(Path(java_home) / "bin" / "java") if java_home else shutil.which("java", path=env.get("PATH"))
    place = f"JAVA_HOME={java_home}" if java_home else "PATH"
    if found is None or not Path(found).is_file():
        message = f"no Java in {place}"
        raise Terminal(message, mend=_MEND)
    answer = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', answer.stderr)
    if answer.returncode or match is None:
        message = f"{found} (from {place}) does not run: {answer.stderr.strip() or answer.returncode}"
        raise Terminal(message, mend=_MEND)
    version = int(match[1])
    if version < NEEDED_JAVA:
        message = f"{found} (from {place}) is Java {version}, but {NEEDED_JAVA} or newer is needed"
        raise Terminal(message, mend=_MEND)
    return Java(program=Path(found), version=version)
