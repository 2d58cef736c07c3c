"""The schema registry: Confluent's REST API, which Apicurio, Karapace and Redpanda serve too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from keystone_platform.errors import Terminal, Transient
from keystone_platform.secret import read_secret
from keystone_platform.settings import RegistrySettings

_NOT_THERE = (40401, 40402, 40403)
"""Error codes of a subject, a version and a schema that are not there."""

_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Reference:
    """Another schema that a schema names: `name` as it calls it, and where the registry has it."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True)
class RegisteredSchema:
    """A schema as it is registered; `type` is AVRO, PROTOBUF or JSON."""

    type: str
    text: str
    references: tuple[Reference, ...] = ()


class SchemaRegistry(Protocol):
    """What is asked of a registry; ids and versions never change their meaning, so answers are kept."""

    def by_id(self, schema_id: int) -> RegisteredSchema | None:
        """Return the schema, None if the registry says that there is none; raises Transient when it does not answer."""
        ...

    def by_subject(self, subject: str, version: int) -> RegisteredSchema | None:
        """Return a version of a subject, also a deleted one; else like `by_id`."""
        ...


class NoRegistry:
    """Stands for a registry where the settings name none."""

    def by_id(self, schema_id: int) -> RegisteredSchema | None:
        return self.by_subject(str(schema_id), 0)

    def by_subject(self, subject: str, version: int) -> RegisteredSchema | None:
        message = "no schema registry is named, and events in Avro or Protobuf can't be read without it"
        raise Terminal(message, mend="Add `registry` to the settings; docs/schemas.md says who reads them.")


class HttpSchemaRegistry:
    """A registry at a URL."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._client = httpx.Client(
            base_url=settings.url.rstrip("/"), verify=settings.ca_file or True, timeout=_TIMEOUT_S
        )
        self._kept = lru_cache(maxsize=10_000)(self._asked)

    def by_id(self, schema_id: int) -> RegisteredSchema | None:
        return self._schema(f"/schemas/ids/{schema_id}") if schema_id >= 0 else None

    def by_subject(self, subject: str, version: int) -> RegisteredSchema | None:
        return self._schema(f"/subjects/{quote(subject, safe='')}/versions/{version}?deleted=true")

    def _schema(self, path: str) -> RegisteredSchema | None:
        try:
            return self._kept(path)
        except _NotThereError:
            return None

    def _asked(self, path: str) -> RegisteredSchema:
        user = self._settings.username
        auth = (user, read_secret(self._settings.password)) if user and self._settings.password else None
        try:
            answer = self._client.get(path, auth=auth)
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._silent(type(error).__name__) from error
        if answer.status_code == httpx.codes.OK and isinstance(body, dict) and isinstance(body.get("schema"), str):
            return _read(body)
        if answer.status_code == httpx.codes.NOT_FOUND and body.get("error_code") in _NOT_THERE:
            raise _NotThereError
        raise self._silent(answer.status_code)

    def _silent(self, status: int | str) -> Transient:
        message = f"the schema registry at {self._settings.url} does not answer as one does: {status}"
        return Transient(message, mend="Look at its log, and at `registry` in the settings.")


class _NotThereError(Exception):
    """The registry says that it has no such schema; not kept, since it may be registered later."""


def _read(body: dict[str, Any]) -> RegisteredSchema:
    references = tuple(
        Reference(str(each["name"]), str(each["subject"]), int(each["version"]))
        for each in body.get("references") or ()
    )
    return RegisteredSchema(str(body.get("schemaType") or "AVRO"), str(body["schema"]), references)


def registry_of(settings: RegistrySettings | None) -> SchemaRegistry:
    """Return the registry of the settings; it is asked at the first event that needs it."""
    return HttpSchemaRegistry(settings) if settings else NoRegistry()
