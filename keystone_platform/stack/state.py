"""What the embedded stack remembers between a `down` and the next `up`: its ports and its S3 keys."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from keystone_platform.errors import Terminal
from keystone_platform.gateways.flink_home import write_private
from keystone_platform.secret import REFERENCE
from keystone_platform.settings import REFERENCED_SECRETS, S3Settings, SearchSettings, Settings
from keystone_platform.spec.clusters import PRIMARY
from keystone_platform.stack.home import Home
from keystone_platform.stack.server import SEARCH, STANDBY

HOST = "127.0.0.1"
"""Everything listens on loopback only and advertises it."""


USUAL_SLOTS = 16
"""Slots of the TaskManager unless more are asked for; a router takes one per degree of parallelism."""

MOST_SLOTS = 128

SLOTS_VARIABLE = "KEYSTONE_FLINK_SLOTS"
"""Asks for another number of slots, at an `up` that starts the stack."""

CATALOG_VARIABLE = "KEYSTONE_CATALOG"
"""Asks for another catalog than a SQLite file, at an `up` that starts the stack: a JSON object of its properties."""


class Ports(BaseModel):
    """One port per listener."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: int
    kafka_controller: int
    s3: int
    flink: int
    flink_rpc: int
    search: int
    search_transport: int
    dagster: int
    code_platform: int
    code_warehouse: int
    # of stacks that were made before there were standbys: chosen at the next start
    kafka_standby: int = 0
    kafka_standby_controller: int = 0


class StackState(BaseModel):
    """The remembered part of a stack; everything else is computed from it and the home folder.

    Attributes:
        search: whether the search server belongs to it; once asked for, it does.
        standby: the same of a second Kafka cluster, on which streams have their standby.
        slots: of the TaskManager.
        catalog: properties of a catalog that is not the stack's own; empty for that. Secrets by reference only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ports: Ports
    search: bool = False
    standby: bool = False
    slots: int = USUAL_SLOTS
    catalog: dict[str, str] = {}
    secret_access_key: str = Field(repr=False, default_factory=lambda: secrets.token_hex(20))

    def with_servers(self, optional: Collection[str]) -> StackState:
        """Return the state of the stack with these servers too."""
        return self.model_copy(
            update={"search": self.search or SEARCH in optional, "standby": self.standby or STANDBY in optional}
        )


def asked_slots(env: Mapping[str, str]) -> int | None:
    """Return the number of slots that the environment asks for, None when it does not.

    Raises:
        Terminal: it is no such number.
    """
    text = env.get(SLOTS_VARIABLE)
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST_SLOTS:
        message = f"{SLOTS_VARIABLE}={text} is not a number of slots"
        raise Terminal(message, mend=f"Give a number from 1 to {MOST_SLOTS}, or unset it.")
    return int(text)


def asked_catalog(env: Mapping[str, str]) -> dict[str, str] | None:
    """Return the properties of the catalog that the environment asks for, None when it does not.

    Raises:
        Terminal: they are no JSON object of texts with `type` and `uri`, or hold a secret.
    """
    text = env.get(CATALOG_VARIABLE)
    if not text:
        return None
    try:
        asked = TypeAdapter(dict[str, str]).validate_json(text)
    except ValidationError as error:
        message = f"{CATALOG_VARIABLE} is no JSON object of texts"
        raise Terminal(message, mend="docs/catalogs.md shows one for each kind of catalog.") from error
    missing = [key for key in ("type", "uri") if not asked.get(key)]
    told = [key for key in REFERENCED_SECRETS if key in asked and not re.match(REFERENCE, asked[key])]
    told += ["uri"] if urlsplit(asked.get("uri", "")).password else []
    if missing or told:
        message = f"{CATALOG_VARIABLE} {f'lacks `{missing[0]}`' if missing else f'has a secret in `{told[0]}`'}"
        raise Terminal(message, mend="docs/catalogs.md shows one for each kind of catalog, and where its secrets go.")
    return asked


def with_wishes(env: Mapping[str, str], state: StackState) -> StackState:
    """Return the state with what the environment asks for at a start; Terminal when it asks for nonsense."""
    catalog = asked_catalog(env)
    wishes = {
        "slots": asked_slots(env) or state.slots,
        "catalog": state.catalog if catalog is None else catalog,
    }
    return state.model_copy(update=wishes)


def refuse_other_wishes(env: Mapping[str, str], running: StackState) -> None:
    """Raise Terminal when the environment asks for something else than what the stack is up with."""
    wished = with_wishes(env, running)
    if wished.slots != running.slots:
        message = f"{wished.slots} slots are asked for, but the stack is up with {running.slots}"
        raise Terminal(message, mend="`keystone down` first.")
    if wished.catalog != running.catalog:
        place = running.catalog.get("uri", "one of its own")
        message = f"the catalog {wished.catalog['uri']} is asked for, but the stack is up with {place}"
        raise Terminal(message, mend="`keystone down` first.")


def load_state(home: Home) -> StackState | None:
    """Return what the last `up` remembered, None before the first.

    Raises:
        Terminal: the file is damaged, or of another version.
    """
    if not home.state.is_file():
        return None
    try:
        return StackState.model_validate_json(home.state.read_text())
    except ValidationError as error:
        message = f"{home.state} is damaged, or of another version of Keystone: {error.errors()[0]['msg']}"
        mend = "Remove it: the next `keystone up` writes it anew, with a new S3 key."
        raise Terminal(message, mend=mend) from error


def save_state(home: Home, state: StackState) -> None:
    """Remember the state, readable by its owner only."""
    write_private(home.state, state.model_dump_json(indent=2))


def clusters_text(state: StackState) -> str:
    """Return the file of this stack's two Kafka clusters, on which all streams live unless they say otherwise."""
    ports = {PRIMARY: state.ports.kafka, STANDBY: state.ports.kafka_standby}
    lines = [f'  {name}: {{bootstrap_servers: "{HOST}:{port}"}}' for name, port in ports.items()]
    return "\n".join(["clusters:", *lines, f"streams: {{primary: {PRIMARY}, standby: {STANDBY}}}", ""])


def settings_of(home: Home, state: StackState) -> Settings:
    """Return how a client attaches to this stack."""
    ports = state.ports
    s3 = S3Settings(
        endpoint=f"http://{HOST}:{ports.s3}", access_key_id="keystone", secret_access_key=state.secret_access_key
    )
    catalog = {
        **(state.catalog or {"type": "sql", "uri": f"sqlite:///{home.catalog}"}),
        "warehouse": state.catalog.get("warehouse", f"s3://{s3.bucket}/warehouse"),
        "s3.endpoint": s3.endpoint,
        "s3.access-key-id": s3.access_key_id,
        "s3.secret-access-key": s3.secret_access_key,
        "s3.region": s3.region,
        "s3.path-style-access": "true",
        "client.region": s3.region,
    }
    return Settings(
        kafka={"bootstrap.servers": f"{HOST}:{ports.kafka}"},
        s3=s3,
        catalog=catalog,
        flink_rest=f"http://{HOST}:{ports.flink}",
        dagster_url=f"http://{HOST}:{ports.dagster}",
        ledger_url=f"sqlite:///{home.ledger}",
        search=SearchSettings(url=f"http://{HOST}:{ports.search}") if state.search else None,
    )
