"""The embedded stack's folder: where each server keeps its files, and the mark by which its processes are found."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from keystone_platform.settings import LAST_GOOD_FOLDER, SETTINGS_FILE
from keystone_platform.spec.clusters import CLUSTERS_FILE

STACK_VARIABLE = "KEYSTONE_STACK"
"""In the environment of every process that `up` started, inherited by their children: the mark of their home."""

SERVER_VARIABLE = "KEYSTONE_SERVER"
"""In the environment of every server's processes: which server they belong to."""

_SOCKET_PATH_LIMIT = 100
"""Linux takes 107 bytes for a unix socket's path, and supervisord binds to a longer temporary name first."""

_MADE = (
    "logs",
    "run",
    "kafka",
    "kafka-standby",
    "s3",
    "flink",
    "search",
    "flink-client",
    "dagster",
    "catalog.db",
    "catalog.db-shm",
    "catalog.db-wal",
    "ledger.db",
    "ledger.db-shm",
    "ledger.db-wal",
    "stack.json",
    SETTINGS_FILE,
    CLUSTERS_FILE,
    LAST_GOOD_FOLDER,
)

_MADE_WITHOUT_STACK = ("run", "flink-client", LAST_GOOD_FOLDER)
"""The lock, and what a client of remote servers and a Dagster of one's own keep here, are made without any stack."""


@dataclass(frozen=True)
class Home:
    """Paths below one home folder, which is absolute."""

    folder: Path

    @property
    def mark(self) -> str:
        """Identifies this home's processes; computed from the path, so it outlives the folder and a reboot."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.folder.resolve().as_uri()))

    @property
    def settings(self) -> Path:
        """Settings document (see keystone_platform.settings)."""
        return self.folder / SETTINGS_FILE

    @property
    def clusters(self) -> Path:
        """File of the Kafka clusters, where there are two (see keystone_platform.spec.clusters)."""
        return self.folder / CLUSTERS_FILE

    @property
    def state(self) -> Path:
        """Ports and S3 keys that outlive a `down`."""
        return self.folder / "stack.json"

    @property
    def run(self) -> Path:
        """Configuration, pid file and lock of the supervisor."""
        return self.folder / "run"

    @property
    def socket(self) -> Path:
        """Unix socket of the supervisor; in the temporary folder when the home's path is too long for one."""
        path = self.run / "supervisor.sock"
        if len(str(path)) + len(".99999") <= _SOCKET_PATH_LIMIT:
            return path
        return Path(tempfile.gettempdir()) / f"keystone-{self.mark}.sock"

    @property
    def catalog(self) -> Path:
        """SQLite database of the Iceberg catalog."""
        return self.folder / "catalog.db"

    @property
    def ledger(self) -> Path:
        """SQLite database of deployments."""
        return self.folder / "ledger.db"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.folder / "dagster"

    def log(self, server: str) -> Path:
        """Return the server's log file; it need not exist."""
        return self.folder / "logs" / f"{server}.log"

    @property
    def is_stack(self) -> bool:
        """Whether a stack was ever up here."""
        return self.state.is_file()

    def strangers(self) -> tuple[Path, ...]:
        """Return what would be in the way of a first `up`: names that the stack uses, made by somebody else."""
        return tuple(path for path in self.made() if path.name not in _MADE_WITHOUT_STACK)

    def made(self) -> tuple[Path, ...]:
        """Return what the stack made here and a purge removes: nothing that somebody else put into the folder."""
        return tuple(path for path in (self.folder / name for name in _MADE) if path.exists())
