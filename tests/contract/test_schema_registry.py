"""What is asked of a schema registry, of a real one (Apicurio) and of the stand-in alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keystone_platform.errors import Terminal, Transient
from keystone_platform.gateways.schema_registry import (
    HttpSchemaRegistry,
    NoRegistry,
    Reference,
    RegisteredSchema,
    registry_of,
)
from keystone_platform.settings import RegistrySettings
from tests.contract.registry_servers import FakeRegistry, fake_registry, register

RECORD = '{"type":"record","name":"E","namespace":"t","fields":[{"name":"n","type":"long"}]}'
INNER = 'syntax = "proto3";\npackage shared;\nmessage Place { string name = 1; }\n'
OUTER = 'syntax = "proto3";\nimport "shared/place.proto";\nmessage Event { shared.Place place = 1; }\n'


@pytest.fixture(params=["fake", pytest.param("apicurio", marks=pytest.mark.stack)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "apicurio":
        yield request.getfixturevalue("registry_url")
        return
    with fake_registry() as (found, _):
        yield found


@pytest.fixture
def fake() -> Iterator[tuple[HttpSchemaRegistry, FakeRegistry]]:
    with fake_registry() as (found, registry):
        register(found, "e-value", RECORD)
        yield HttpSchemaRegistry(RegistrySettings(url=f"{found}/")), registry


def test_a_schema_is_found_by_its_id(url: str) -> None:
    schema_id = register(url, "plain-value", RECORD)
    assert HttpSchemaRegistry(RegistrySettings(url=url)).by_id(schema_id) == RegisteredSchema("AVRO", RECORD)


def test_what_a_schema_refers_to_is_found_by_subject_and_version(url: str) -> None:
    register(url, "place", INNER, "PROTOBUF")
    reference = {"name": "shared/place.proto", "subject": "place", "version": 1}
    schema_id = register(url, "event-value", OUTER, "PROTOBUF", [reference])
    registry = HttpSchemaRegistry(RegistrySettings(url=url))
    found = registry.by_id(schema_id)
    assert found == RegisteredSchema("PROTOBUF", OUTER, (Reference("shared/place.proto", "place", 1),))
    assert registry.by_subject("place", 1) == RegisteredSchema("PROTOBUF", INNER)


def test_what_the_registry_does_not_have_is_none(url: str) -> None:
    registry = HttpSchemaRegistry(RegistrySettings(url=url))
    assert registry.by_id(999_999) is None
    assert registry.by_id(-5) is None
    assert registry.by_subject("no such/subject", 1) is None


def test_an_answer_is_kept_and_its_absence_is_not(fake: tuple[HttpSchemaRegistry, FakeRegistry]) -> None:
    registry, server = fake
    before = len(server.asked)
    assert [registry.by_id(1), registry.by_id(1)] == [RegisteredSchema("AVRO", RECORD)] * 2
    assert [registry.by_id(2), registry.by_id(2)] == [None, None]
    assert server.asked[before:] == ["/schemas/ids/1", "/schemas/ids/2", "/schemas/ids/2"]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_registry_that_refuses_is_no_answer(fake: tuple[HttpSchemaRegistry, FakeRegistry], status: int) -> None:
    registry, server = fake
    server.silent = status
    with pytest.raises(Transient, match=str(status)):
        registry.by_id(1)
    server.silent = 0
    assert registry.by_id(1) is not None


def test_a_registry_that_is_away_is_no_answer() -> None:
    with pytest.raises(Transient, match="ConnectError"):
        HttpSchemaRegistry(RegistrySettings(url="http://127.0.0.1:9")).by_id(1)


def test_without_a_registry_it_is_said_what_to_do() -> None:
    assert isinstance(registry_of(None), NoRegistry)
    with pytest.raises(Terminal) as missing:
        registry_of(None).by_id(1)
    assert "`registry`" in missing.value.mend


def test_a_password_that_is_not_there_is_a_persons_matter(tmp_path: Path) -> None:
    settings = RegistrySettings(url="http://127.0.0.1:9", username="u", password=f"file:{tmp_path}/none")
    with pytest.raises(Terminal, match="can't be read"):
        HttpSchemaRegistry(settings).by_id(1)


@pytest.mark.parametrize(
    "wrong",
    [{"url": "ftp://x"}, {"url": "http://u:p@x"}, {"url": "http://x", "username": "u"}],
)
def test_settings_that_hold_a_secret_or_half_of_one_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="RegistrySettings"):
        RegistrySettings.model_validate(wrong)
