"""What is published of a schema is a valid JSON Schema, says all of it, and is the same bytes for the same schema."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from keystone_platform.audit.decode import Decoder
from keystone_platform.schemas.document import Contract
from keystone_platform.spec.types import Array, Field, OnTypeError, Scalar, Struct
from tests.unit.schemas.strategies import SCHEMAS, payloads

CONTRACTS = st.builds(
    Contract,
    st.just("plays"),
    SCHEMAS,
    st.sampled_from(["json", "avro", "protobuf"]),
    st.sampled_from(list(OnTypeError)),
)


@settings(deadline=None)
@given(CONTRACTS)
def test_a_document_is_valid_and_reads_back_as_what_was_declared(contract: Contract) -> None:
    Draft202012Validator.check_schema(contract.document())
    assert Contract.read(contract.canonical()) == contract
    assert Contract.read(json.dumps(contract.document(7))) == contract


@settings(deadline=None)
@given(st.data(), SCHEMAS)
def test_what_a_router_decodes_any_validator_lets_through(data: st.DataObject, schema: Struct) -> None:
    payload = data.draw(payloads(schema))
    if isinstance(Decoder(schema.fields).decode(payload), dict):
        assert list(Draft202012Validator(Contract("plays", schema).document()).iter_errors(json.loads(payload))) == []


def test_a_stream_without_schema_promises_an_object() -> None:
    assert Contract.read(Contract("plays", None).canonical()) == Contract("plays", None)


@pytest.mark.parametrize("document", ["{}", "[]", '{"title":"x","x-keystone-format":"json","properties":{"a":{}}}'])
def test_a_document_of_somebody_else_is_an_error(document: str) -> None:
    with pytest.raises(ValueError, match="no document of a stream's schema"):
        Contract.read(document)


def test_the_digest_changes_with_the_schema_alone() -> None:
    one = Contract("plays", Struct((Field("a", Array(Scalar.INT)),)))
    assert one.digest == Contract("plays", Struct((Field("a", Array(Scalar.INT)),))).digest
    assert one.digest != Contract("plays", Struct((Field("a", Array(Scalar.BIGINT)),))).digest
