"""Assembles the folders that a Flink process starts from, because the wheel's own stay untouched.

The embedded cluster and every client that submits to a cluster, embedded or remote, need the same class path.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

import yaml

from keystone_platform.errors import Terminal
from keystone_platform.settings import S3Settings, Settings, home_folder

JARS_VARIABLE = "KEYSTONE_JARS"
"""Folder of the fetched jars; default `.jars` in the project's root."""

PROJECT_ROOT = Path(__file__).resolve().parents[2]
"""The checkout that the package is installed from (an editable install)."""

JAVA_OPTIONS = " ".join(
    [
        *(
            f"--add-exports={package}=ALL-UNNAMED"
            for package in (
                "java.rmi/sun.rmi.registry",
                "jdk.compiler/com.sun.tools.javac.api",
                "jdk.compiler/com.sun.tools.javac.file",
                "jdk.compiler/com.sun.tools.javac.parser",
                "jdk.compiler/com.sun.tools.javac.tree",
                "jdk.compiler/com.sun.tools.javac.util",
                "java.security.jgss/sun.security.krb5",
            )
        ),
        *(
            f"--add-opens=java.base/{package}=ALL-UNNAMED"
            for package in (
                "java.lang",
                "java.net",
                "java.io",
                "java.nio",
                "sun.nio.ch",
                "java.lang.reflect",
                "java.text",
                "java.time",
                "java.util",
                "java.util.concurrent",
                "java.util.concurrent.atomic",
                "java.util.concurrent.locks",
            )
        ),
    ]
)
"""What Flink 2.3 needs on Java 17 (the list of its own conf/config.yaml); a config.yaml of ours must repeat it."""

SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For a JVM that plans a few routers and ends: half the CPU without the optimising compiler (5.4 s of 9.9 s)."""

_MEND_JARS = f"Run `make setup`, or name the folder of the jars in {JARS_VARIABLE}."

_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1.} - %m%n
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.hadoop.name = org.apache.hadoop
logger.hadoop.level = WARN
logger.metrics.name = org.apache.hadoop.metrics2
logger.metrics.level = ERROR
# tells the whole environment of a Python worker when it ends, and the keys of the object store are in it
logger.workers.name = org.apache.beam.runners.fnexecution.control.DefaultJobBundleFactory
logger.workers.level = OFF
"""

_LOG4J_CLIENT = """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = RollingFile
appender.file.fileName = ${sys:log.file}
appender.file.filePattern = ${sys:log.file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1.} - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.hadoop.name = org.apache.hadoop
logger.hadoop.level = WARN
logger.metrics.name = org.apache.hadoop.metrics2
logger.metrics.level = ERROR
"""
"""A client logs to the file that PyFlink names: nobody reads its JVM's stderr, and the JVM stops when that is full."""


def jars_folder(env: Mapping[str, str]) -> Path:
    """Return the folder that holds one folder of jars per class path; it need not exist."""
    return Path(env.get(JARS_VARIABLE) or PROJECT_ROOT / ".jars").absolute()


def wheel_folder() -> Path:
    """Return the Flink home inside the apache-flink wheel, without importing it.

    Raises:
        Terminal: apache-flink is not installed.
    """
    spec = find_spec("pyflink")
    if spec is None or spec.origin is None:
        message = "apache-flink is not installed in this environment"
        raise Terminal(message, mend="Run `make setup` and use the `.venv` that it makes.")
    return Path(spec.origin).parent


def jars_of(folder: Path) -> tuple[Path, ...]:
    """Return the jars in the folder, sorted.

    Raises:
        Terminal: there are none.
    """
    jars = tuple(sorted(folder.glob("*.jar")))
    if not jars:
        message = f"no jars in {folder}"
        raise Terminal(message, mend=_MEND_JARS)
    return jars


def assemble_flink_home(folder: Path, jars: Path, configuration: Mapping[str, object]) -> dict[str, str]:
    """Make `folder` a Flink home of links and a configuration, and return the environment that selects it.

    Safe to call again and by several processes at once. The configuration holds secrets, so its file is private.

    Raises:
        Terminal: the wheel or a jar folder is missing.
    """
    wheel = wheel_folder()
    python_jars = tuple(sorted((wheel / "opt").glob("flink-python*.jar")))
    _link(folder / "lib", (*jars_of(wheel / "lib"), *python_jars, *jars_of(jars / "flink")))
    _link(folder / "plugins" / "s3", jars_of(jars / "checkpoint-fs"))
    conf = folder / "conf"
    for made in (conf, folder / "log", folder / "tmp"):
        made.mkdir(parents=True, exist_ok=True)
    write_private(conf / "config.yaml", yaml.safe_dump(dict(configuration), width=10_000))
    write_private(conf / "log4j-console.properties", _LOG4J)
    write_private(conf / "log4j-cli.properties", _LOG4J_CLIENT)
    return flink_home_environment(folder)


def flink_home_environment(folder: Path) -> dict[str, str]:
    """Return the environment that makes Flink's scripts and PyFlink use the Flink home in `folder`."""
    return {
        "FLINK_CONF_DIR": str(folder / "conf"),
        "FLINK_LIB_DIR": str(folder / "lib"),
        "FLINK_PLUGINS_DIR": str(folder / "plugins"),
        "FLINK_LOG_DIR": str(folder / "log"),
        "FLINK_PID_DIR": str(folder / "tmp"),
    }


def object_store_configuration(s3: S3Settings) -> dict[str, object]:
    """Return the Flink options by which the checkpoint filesystem reaches the object store."""
    return {
        "s3.endpoint": s3.endpoint,
        "s3.path-style-access": s3.path_style,
        "s3.access-key": s3.access_key_id,
        "s3.secret-key": s3.secret_access_key,
        "s3.region": s3.region,
    }


def object_store_environment(s3: S3Settings) -> dict[str, str]:
    """Return the variables from which AWS SDKs, also Iceberg's S3FileIO, read region and credentials."""
    return {
        "AWS_REGION": s3.region,
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
        # there is no instance metadata service to ask, and asking costs seconds
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def flink_client_environment(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    """Return what a process that submits through PyFlink needs on top of its environment.

    It must be set before that process starts its JVM. The folders are made below the home folder's `flink-client`.
    It does not choose the cluster: PyFlink takes `execution.target`, `rest.address` and `rest.port`, and all of
    `execution.checkpointing.*`, from the job's own configuration only, and runs the job locally without them.

    Raises:
        Terminal: the wheel or the jars are missing.
    """
    configuration: dict[str, object] = {
        "env.java.opts.all": f"{JAVA_OPTIONS} {SHORT_LIVED}",
        "python.client.executable": sys.executable,
        "python.executable": sys.executable,
        "classloader.check-leaked-classloader": False,
        **object_store_configuration(settings.s3),
    }
    folder = home_folder(env) / "flink-client"
    return {
        **assemble_flink_home(folder, jars_folder(env), configuration),
        **object_store_environment(settings.s3),
    }


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(text)
    partial.replace(path)


def _link(folder: Path, jars: Iterable[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {jar.name: jar for jar in jars}
    for present in folder.iterdir():
        if present.name not in wanted or present.readlink() != wanted[present.name]:
            present.unlink(missing_ok=True)
    for name, jar in wanted.items():
        try:
            (folder / name).symlink_to(jar)
        except FileExistsError:  # already right, or another process was quicker
            continue
