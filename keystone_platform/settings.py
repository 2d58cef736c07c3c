"""How Keystone attaches to the servers around it: one document, the same for the embedded stack and remote clusters.

`keystone up` writes it for the embedded stack; for remote servers a person writes it and names it in KEYSTONE_SETTINGS.
`keystone env --json` prints it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from keystone_platform.errors import InvalidSpec, Terminal
from keystone_platform.secret import REFERENCE

SETTINGS_VARIABLE = "KEYSTONE_SETTINGS"
"""Names a settings file; without it the embedded stack's own file is read."""

HOME_VARIABLE = "KEYSTONE_HOME"
"""Folder of the embedded stack's data and logs; default `.keystone` in the working directory."""

STREAMS_VARIABLE = "KEYSTONE_STREAMS"
"""Folder of the stream YAMLs; default `streams` in the working directory."""

SETTINGS_FILE = "settings.json"
"""Name of the settings file that `keystone up` writes below the home folder."""

LAST_GOOD_FOLDER = "last-good-streams"
"""Name of the folder below the home that holds each stream file as it was when last valid."""


REFERENCED_SECRETS = ("token", "credential")
"""Properties of a REST catalog that are secrets: a bearer token, and `id:secret` of an OAuth2 client."""

SecretReference = Annotated[str, StringConstraints(pattern=REFERENCE)]
"""Where a secret is found: `env:NAME` or `file:/absolute/path`."""


class S3Settings(BaseModel):
    """The object store that holds tables, checkpoints and savepoints."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str
    access_key_id: str
    secret_access_key: str = Field(repr=False)
    region: str = "us-east-1"
    path_style: bool = True
    bucket: str = "keystone"


class SearchSettings(BaseModel):
    """The search cluster (OpenSearch or Elasticsearch).

    Attributes:
        url: base URL.
        username: with `password`: basic authentication.
        password: where the password is found (see keystone_platform.secret), never the password itself. Whoever writes
            to the cluster looks there: the control plane, and each TaskManager on its own machine.
        ca_file: PEM file of the authorities that may have signed the cluster's certificate, on each of these machines;
            without it the public ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^/@\s]+(/[^?#\s]*)?$")]
    username: str | None = None
    password: SecretReference | None = None
    ca_file: str | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> SearchSettings:
        if (self.username is None) != (self.password is None):
            message = "`username` and `password` belong together"
            raise ValueError(message)
        return self


class RegistrySettings(BaseModel):
    """The schema registry (Confluent's API) that events in Avro and Protobuf name their writers' schemas in.

    Attributes:
        url: base URL, under which `/schemas/ids/1` is.
        username: with `password`: basic authentication.
        password: where the password is found, as for `search`; each TaskManager that runs such a stream looks there.
        ca_file: as for `search`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^/@\s]+(/[^?#\s]*)?$")]
    username: str | None = None
    password: SecretReference | None = None
    ca_file: str | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> RegistrySettings:
        if (self.username is None) != (self.password is None):
            message = "`username` and `password` belong together"
            raise ValueError(message)
        return self


class Resources(BaseModel):
    """What a process of a router's own cluster gets: CPU cores, and memory as Kubernetes writes it (`2g`, `1536Mi`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: Annotated[float, Field(gt=0)]
    memory: Annotated[str, StringConstraints(pattern=r"^[0-9]+([kKmMgG](i?[bB]?))?$")]


class KubernetesSettings(BaseModel):
    """Routers on Kubernetes: each has a Flink cluster of its own, run by the Flink Kubernetes Operator.

    Attributes:
        namespace: where the FlinkDeployments are made; the operator has to watch it.
        image: container image with Flink, this project and its jars (docs/kubernetes.md).
        service_account: of the routers' pods; it must be allowed to make pods and config maps.
        kubeconfig: file with the API server's address and credentials; without it KUBECONFIG or the user's own, and in
            a pod the pod's service account.
        context: of the kubeconfig; without it the current one.
        flink_version: what the operator is told the image's Flink is, e.g. `v2_2`.
        slots: how many slots all routers may take together; one is one unit of parallelism.
        task_slots: slots of one TaskManager.
        job_manager: of each router.
        task_manager: of each of its TaskManagers.
        secrets: names of Secrets whose entries become environment variables of the routers' pods, such as
            AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Their values are never read here.
        flink_configuration: further Flink options of every router.
        pod_template: what else the pods need (volumes, tolerations …), as the operator's `podTemplate` takes it.
        flink_python_jar: URI in the image of the jar with PyFlink's driver.
        rest: base URL of a router's Flink REST API, with `{name}` and `{namespace}` in it, for a control plane that
            reaches the cluster's services; without it the API server's proxy is asked.
        start_timeout_s: how long a router may take until all of it runs, pods and image included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    image: str
    service_account: str = "flink"
    kubeconfig: str | None = None
    context: str | None = None
    flink_version: Annotated[str, StringConstraints(pattern=r"^v\d+_\d+$")] = "v2_2"
    slots: Annotated[int, Field(gt=0)] = 1000
    task_slots: Annotated[int, Field(gt=0)] = 1
    job_manager: Resources = Resources(cpu=0.5, memory="1g")
    task_manager: Resources = Resources(cpu=1, memory="2g")
    secrets: tuple[str, ...] = ()
    flink_configuration: dict[str, str] = {}
    pod_template: dict[str, JsonValue] = {}
    flink_python_jar: str = "local:///opt/flink/opt/flink-python-2.3.0.jar"
    rest: str | None = None
    start_timeout_s: Annotated[float, Field(gt=0)] = 300.0


class Settings(BaseModel):
    """Everything a client needs to attach.

    Attributes:
        kafka: properties as a Kafka client takes them; at least `bootstrap.servers`.
        s3: the object store.
        catalog: properties as pyiceberg's load_catalog takes them (`type`, `uri`, `warehouse`, `s3.*`); `token` and
            `credential` of a REST catalog by reference only (docs/catalogs.md).
        flink_rest: base URL of the Flink session cluster's REST API; empty where `kubernetes` is set.
        dagster_url: base URL of the Dagster webserver.
        ledger_url: SQLAlchemy URL of the database of deployments.
        flink_python: interpreter on the TaskManagers that has this project installed; without it the path of the one
            that submits. Search routes need it, others run no Python.
        search: None where there is no search cluster; search routes are then refused.
        registry: None where there is no schema registry; streams in Avro and Protobuf are then refused.
        kubernetes: where each router has a Flink cluster of its own; None where all share a session cluster.
        checkpoints: S3 URI below which checkpoints and savepoints go; not a bucket's root, which Flink refuses.
        slot_quotas: how many slots the routers of an owner may have, by `owner` of the streams; `*` is for each owner
            that is not named. A start beyond it is refused; what runs already is left alone.
        compact_on_flink_above_gb: an hour with more than this to rewrite, in compressed GB, is compacted on the Flink
            session cluster; None: never by itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: dict[str, str]
    s3: S3Settings
    catalog: dict[str, str] = Field(repr=False)
    flink_rest: str = ""
    dagster_url: str
    ledger_url: str = Field(repr=False)
    checkpoints: str = "s3://keystone/flink"
    flink_python: str | None = None
    search: SearchSettings | None = None
    registry: RegistrySettings | None = None
    slot_quotas: dict[str, Annotated[int, Field(ge=0)]] = {}
    kubernetes: KubernetesSettings | None = None
    compact_on_flink_above_gb: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_place_for_routers(self) -> Settings:
        if bool(self.flink_rest) is (self.kubernetes is not None):
            message = "one of `flink_rest` and `kubernetes` says where routers run"
            raise ValueError(message)
        return self

    @field_validator("kafka")
    @classmethod
    def _names_a_broker(cls, value: dict[str, str]) -> dict[str, str]:
        if not value.get("bootstrap.servers"):
            message = "`bootstrap.servers` is missing"
            raise ValueError(message)
        return value

    @field_validator("catalog")
    @classmethod
    def _names_a_catalog(cls, value: dict[str, str]) -> dict[str, str]:
        missing = [key for key in ("type", "uri") if not value.get(key)]
        if missing:
            message = f"`{'` and `'.join(missing)}` missing"
            raise ValueError(message)
        bare = [key for key in REFERENCED_SECRETS if value.get(key) and not re.match(REFERENCE, value[key])]
        if bare:
            message = f"`{bare[0]}` says where the secret is found, `env:NAME` or `file:/PATH`, not what it is"
            raise ValueError(message)
        return value

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's `host:port[,host:port…]`."""
        return self.kafka["bootstrap.servers"]

    @property
    def kafka_further(self) -> dict[str, str]:
        """What the settings say of Kafka beside its address."""
        return {key: value for key, value in self.kafka.items() if key != "bootstrap.servers"}


def home_folder(env: Mapping[str, str]) -> Path:
    """Return the embedded stack's folder, absolute; it need not exist."""
    return Path(env.get(HOME_VARIABLE) or ".keystone").absolute()


def streams_folder(env: Mapping[str, str]) -> Path:
    """Return the folder of the stream YAMLs, absolute; it need not exist."""
    return Path(env.get(STREAMS_VARIABLE) or "streams").absolute()


def last_good_folder(env: Mapping[str, str]) -> Path:
    """Return where the stream files are remembered as they were when last valid; it need not exist."""
    return home_folder(env) / LAST_GOOD_FOLDER


def settings_file(env: Mapping[str, str]) -> Path:
    """Return the settings file that `env` names, or the embedded stack's."""
    named = env.get(SETTINGS_VARIABLE)
    return Path(named) if named else home_folder(env) / SETTINGS_FILE


def names_settings(env: Mapping[str, str]) -> bool:
    """Whether there are settings to be read: somebody named a file, or a stack was up once."""
    return bool(env.get(SETTINGS_VARIABLE)) or settings_file(env).is_file()


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        env: the process's environment unless given.

    Raises:
        Terminal: the file is not there (the stack was never started, or the variable names a wrong path).
        InvalidSpec: the file is not of this form.
    """
    path = settings_file(os.environ if env is None else env)
    if not path.is_file():
        message = f"no settings at {path}"
        mend = f"Start the embedded stack with `keystone up`, or name a settings file in {SETTINGS_VARIABLE}."
        raise Terminal(message, mend=mend)
    try:
        return Settings.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidSpec(
            first["msg"].removeprefix("Value error, "),
            file=str(path),
            field=".".join(map(str, first["loc"])),
            mend="`keystone env --json` of an embedded stack shows the form.",
        ) from error
