"""Which change of a schema each rule lets through."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from keystone_platform.schemas.compatibility import SchemaVersion, breaks
from keystone_platform.schemas.document import Contract
from keystone_platform.spec.models import Compatibility, PayloadFormat
from keystone_platform.spec.schema import struct_of


def contract(schema: dict[str, object] | None, encoding: PayloadFormat = "json") -> Contract:
    return Contract("plays", struct_of(schema), encoding)


def version(
    number: int, schema: dict[str, object] | None, rule: Compatibility = "backward", encoding: PayloadFormat = "json"
) -> SchemaVersion:
    made = contract(schema, encoding)
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return SchemaVersion("plays", number, made.digest, made.canonical(), rule, at)


WIDENED = ({"a": "int"}, {"a": "bigint"})
NARROWED = ({"a": "bigint"}, {"a": "int"})


@pytest.mark.parametrize(
    ("old", "new", "allowed_by"),
    [
        ({"a": "int"}, {"a": "int", "b": "string"}, "backward forward full"),
        ({"a": "int", "b": "string"}, {"a": "int"}, "backward forward full"),
        (*WIDENED, "backward"),
        (*NARROWED, "forward"),
        ({"a": "array<int>"}, {"a": "array<bigint>"}, "backward"),
        ({"a": "float"}, {"a": "double"}, "backward"),
        ({"a": "int"}, {"a": "double"}, "backward"),
        ({"a": "bigint"}, {"a": "double"}, ""),
        ({"a": "string"}, {"a": "bigint"}, ""),
        ({"a": "date"}, {"a": "timestamp"}, ""),
        ({"a": "int"}, {"a": "array<int>"}, ""),
        ({"a": {"b": "int"}}, {"a": "int"}, ""),
        ({"a": {"b": "int"}}, {"a": {"b": "bigint", "c": "int"}}, "backward"),
        ({"a": {"b": "int"}}, {"a": {"b": "string"}}, ""),
        ({"a": "int"}, {"a": {"type": "int", "on_type_error": "null"}}, "backward forward full"),
        (None, {"a": "int"}, "backward forward full"),
        ({"a": "int"}, None, "backward forward full"),
    ],
)
def test_a_rule_lets_through_what_it_says(
    old: dict[str, object] | None, new: dict[str, object] | None, allowed_by: str
) -> None:
    rules: tuple[Compatibility, ...] = ("backward", "forward", "full")
    found = [rule for rule in rules if not breaks([version(1, old)], contract(new), rule)]
    assert found == allowed_by.split()
    assert breaks([version(1, old)], contract(new), "none") == ()


def test_what_is_broken_names_field_version_and_mend() -> None:
    (found,) = breaks([version(3, {"d": {"x": "bigint"}})], contract({"d": {"x": "string"}}), "full")
    assert (found.field, found.version) == ("schema.d.x", 3)
    assert "string, and version 3 says bigint" in found.what
    assert found.mend.startswith("Keep bigint")


def test_a_field_that_comes_back_with_another_type_contradicts_the_events_of_then() -> None:
    versions = [version(1, {"a": "string", "b": "int"}), version(2, {"b": "int"})]
    (found,) = breaks(versions, contract({"a": "bigint", "b": "int"}), "backward")
    assert (found.field, found.version) == ("schema.a", 1)


def test_a_version_published_without_a_rule_begins_anew() -> None:
    versions = [version(1, {"a": "string"}), version(2, {"a": "bigint"}, "none")]
    assert breaks(versions, contract({"a": "bigint", "b": "int"}), "backward") == ()
    assert breaks(versions, contract({"a": "string"}), "backward")


def test_what_is_published_already_breaks_nothing_whatever_came_before() -> None:
    versions = [version(1, {"a": "string"}, "none"), version(2, {"a": "bigint"}, "none")]
    assert breaks(versions, contract({"a": "bigint"}), "full") == ()


def test_another_encoding_of_payloads_is_another_stream() -> None:
    (found,) = breaks([version(1, {"a": "int"})], contract({"a": "int"}, "avro"), "backward")
    assert (found.field, found.what) == ("format", "payloads are avro, and version 1 says json")
