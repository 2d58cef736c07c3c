"""What passes between the control plane and the process that submits to Flink: values only, no secret among them."""

from __future__ import annotations

import base64
import re
import sys
import zlib
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict

from keystone_platform.errors import Terminal
from keystone_platform.plan.backfill import Backfill
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.secret import REFERENCE
from keystone_platform.settings import REFERENCED_SECRETS, RegistrySettings, SearchSettings, Settings
from keystone_platform.spec.clusters import PRIMARY, Cluster, Clusters, is_secret

NO_JVM = 3
"""Exit status of the submitting process: Java could not be started, so nothing was submitted or looked at."""

SECRET_WORDS = ("secret", "access-key", "session-token", "token", "credential", "password")
"""A catalog property whose name contains one of these is a secret, as pyiceberg names them."""


class Submission(BaseModel):
    """One router to start.

    Attributes:
        job_id: 32 hex digits, derived from (route, epoch): the cluster refuses a second job of that id.
        restore_from: S3 URI of a savepoint or checkpoint; None starts from `start_at`.
        start_at: positions in the topics (`plan.recovery.positions_text`) for partitions that the restored state does
            not know; None means the earliest offsets.
        checkpoint_directory: S3 URI; Flink makes a folder named by the job id in it.
        leaves_state: the checkpoint holds positions of a cluster that the plan does not read any more: they are left.
        savepoint_directory: S3 URI below which a stop puts its savepoint; some clusters have to know it from the start.
        backfill: set when the job is no router but replays a part of the route into a branch of its table, and ends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: RouterPlan
    epoch: int
    job_id: str
    restore_from: str | None
    checkpoint_directory: str
    savepoint_directory: str
    start_at: str | None = None
    leaves_state: bool = False
    backfill: Backfill | None = None


class SubmitOutcome(BaseModel):
    """How a submission ended.

    Attributes:
        status: `submitted` (the cluster took it), `refused` (it did not, and nothing runs: bad plan, no such
            savepoint), `duplicate` (a job of that id is there already), `unknown` (the cluster may have taken it:
            look the id up).
        reason: empty when submitted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    status: Literal["submitted", "refused", "duplicate", "unknown"]
    reason: str = ""


class CompileOutcome(BaseModel):
    """What Flink's planner says of a plan; `reason` is empty when it compiles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    route: str
    reason: str = ""


class KafkaServers(BaseModel):
    """A Kafka cluster as a job may know it.

    Attributes:
        name: as clusters.yaml has it.
        bootstrap_servers: `host:port[,host:port…]`.
        properties: further ones of a client, by librdkafka's names; secrets by reference only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    bootstrap_servers: str
    properties: dict[str, str] = {}


class Connection(BaseModel):
    """The servers that a router is connected to. It ends up in the job, which anybody may read: it holds no secret.

    Attributes:
        bootstrap_servers: Kafka's `host:port[,host:port…]`, of the cluster where streams live by default.
        clusters: all that are declared; or the one that the settings name, if they say more of it than its address.
        catalog: the properties of pyiceberg's load_catalog without the secret ones, but for those of a REST catalog,
            which say where the secret is found.
        s3_endpoint: base URL of the object store.
        s3_region: its region.
        search: the search cluster; its password by reference only.
        registry: the schema registry; its password by reference only.
        python: interpreter of the Python workers, on the TaskManagers.
        s3_path_style: whether the bucket is in the path rather than in the host's name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap_servers: str
    clusters: tuple[KafkaServers, ...] = ()
    catalog: dict[str, str]
    s3_endpoint: str
    s3_region: str
    s3_path_style: bool
    search: SearchSettings | None = None
    registry: RegistrySettings | None = None
    python: str = "python"

    @classmethod
    def of(cls, settings: Settings, clusters: Clusters | None = None) -> Connection:
        """Return what of the settings, and of the declared clusters, a job may know."""
        clusters = clusters or Clusters.alone(settings.kafka)
        public = {key: value for key, value in settings.catalog.items() if not _is_secret(key, value)}
        if "uri" in public:
            public["uri"] = _without_password(public["uri"])
        return cls(
            bootstrap_servers=clusters.cluster(clusters.primary).bootstrap_servers,
            clusters=tuple(map(_public, clusters.declared.values())) if clusters.file or settings.kafka_further else (),
            catalog=public,
            s3_endpoint=settings.s3.endpoint,
            s3_region=settings.s3.region,
            s3_path_style=settings.s3.path_style,
            search=settings.search,
            registry=settings.registry,
            python=settings.flink_python or ("python3" if settings.kubernetes else sys.executable),
        )

    def default_kafka(self) -> KafkaServers:
        """Return the cluster where streams live by default: Kafka sinks write there."""
        found = (each for each in self.clusters if each.bootstrap_servers == self.bootstrap_servers)
        return next(found, KafkaServers(name=PRIMARY, bootstrap_servers=self.bootstrap_servers))

    def kafka(self, name: str | None) -> KafkaServers:
        """Return the cluster of that name; None stands for `primary`.

        Raises:
            Terminal: it is not declared.
        """
        name = name or PRIMARY
        found = next((each for each in self.clusters if each.name == name), None)
        if found is None and name == PRIMARY:
            return KafkaServers(name=name, bootstrap_servers=self.bootstrap_servers)
        if found is None:
            message = f"the Kafka cluster {name!r} is not declared any more"
            raise Terminal(message, mend="Declare it in clusters.yaml, or take it from the stream.")
        return found


class SubmitRequest(BaseModel):
    """The document that the submitting process reads from its stdin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flink_rest: str
    """Base URL of the cluster's REST API."""
    connection: Connection
    submissions: tuple[Submission, ...]


class ApplicationRequest(BaseModel):
    """What the job program of a router with a cluster of its own is told, as one word of its command line.

    It says nothing of a savepoint: where such a job starts and goes on is up to the cluster, which restarts the program
    after the loss of a JobManager, when the savepoint of the first start is out of date.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    connection: Connection
    submission: Submission

    @classmethod
    def of(cls, submission: Submission, connection: Connection) -> ApplicationRequest:
        """Return the request for a submission."""
        return cls(connection=connection, submission=submission.model_copy(update={"restore_from": None}))

    def encoded(self) -> str:
        """Return it in letters, digits, `-`, `_` and `=` only: no shell, template or list syntax touches these."""
        return base64.urlsafe_b64encode(zlib.compress(self.model_dump_json().encode(), 9)).decode()

    @classmethod
    def decoded(cls, text: str) -> ApplicationRequest:
        """Return what `encoded` wrote; raises ValueError for anything else."""
        try:
            return cls.model_validate_json(zlib.decompress(base64.urlsafe_b64decode(text)))
        except (zlib.error, ValueError) as error:
            message = f"this is no request of a router's job: {error}"
            raise ValueError(message) from error


class CheckRequest(BaseModel):
    """The document that the checking process reads from its stdin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plans: tuple[RouterPlan, ...]


def _public(cluster: Cluster) -> KafkaServers:
    """Return what a job may know: of a secret that is there itself, which settings may hold, only that it is there."""
    known = {
        key: "" if is_secret(key) and not re.match(REFERENCE, value) else value
        for key, value in cluster.properties.items()
    }
    return KafkaServers(name=cluster.name, bootstrap_servers=cluster.bootstrap_servers, properties=known)


def _is_secret(key: str, value: str) -> bool:
    if key in REFERENCED_SECRETS and re.match(REFERENCE, value):
        return False
    return any(word in key.lower() for word in SECRET_WORDS)


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return uri
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}"))


class CompactionRequest(BaseModel):
    """One hour of a table for the cluster to compact.

    Attributes:
        table: `namespace.table`.
        hour: its start, UTC.
        target_bytes: size of the files written.
        summary: entries of the commit's snapshot summary, which tell that it is a compaction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flink_rest: str
    connection: Connection
    table: str
    hour: AwareDatetime
    target_bytes: int
    summary: dict[str, str]


class CompactionOutcome(BaseModel):
    """How a compaction on the cluster went.

    Attributes:
        replaced: how many files left the table.
        written: how many came.
        reason: empty when it went well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    replaced: int
    written: int
    reason: str = ""
