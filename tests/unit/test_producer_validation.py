"""A producer's validation says of an event what the platform's own decoder says, and needs no library for that."""

from __future__ import annotations

import ast
import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystone_platform.audit.decode import Decoder
from keystone_platform.audit.parse import Dead
from keystone_platform.plan.plan_router import plan_router
from keystone_platform.producer import typed_values, validation
from keystone_platform.producer.validation import validator
from keystone_platform.schemas.document import Contract
from keystone_platform.spec.models import RouteSpec, StreamSpec
from keystone_platform.spec.sinks import KafkaSink, SinkSpec, WarehouseSink
from keystone_platform.spec.types import OnTypeError, Struct
from tests.unit.schemas.strategies import SCHEMAS, payloads
from tests.unit.test_audit_decode import COLUMNS, DEAD

WHOLE = RouteSpec(sink=SinkSpec(warehouse=WarehouseSink(table="a.b")))
PLAYS = StreamSpec(stream="plays", owner="team:x", routes=(WHOLE,), fields=Struct(COLUMNS))


def router_of(stream: StreamSpec) -> Decoder:
    """Return the decoder of a route that reads every field."""
    source = plan_router(stream, WHOLE).source
    return Decoder(source.columns, source.null_on_type_error or ())


@settings(max_examples=300, deadline=None)
@given(st.data(), SCHEMAS, st.sampled_from(list(OnTypeError)))
def test_validation_and_decoder_agree_on_random_events(
    data: st.DataObject, schema: Struct, policy: OnTypeError
) -> None:
    stream = PLAYS.model_copy(update={"fields": schema, "on_type_error": policy})
    validate, decoder = validator(Contract.of(stream).canonical()), router_of(stream)
    for payload in data.draw(st.lists(payloads(schema), min_size=1, max_size=5)):
        reason, decoded = validate(payload), decoder.decode(payload)
        assert reason and reason.split(":")[0] == decoded.code if isinstance(decoded, Dead) else reason is None


@pytest.mark.parametrize("event", DEAD, ids=lambda event: event[:40])
def test_what_the_router_calls_dead_is_told_with_the_routers_code(event: str) -> None:
    payload = event.encode("utf-8", "surrogatepass")
    decoded = router_of(PLAYS).decode(payload)
    reason = validator(Contract.of(PLAYS).document())(payload)
    assert isinstance(decoded, Dead)
    assert reason is not None
    assert reason.split(":")[0] == decoded.code


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ('{"o":{"p":{"y":"5"}}}', "wrong_type: o.p.y: expected bigint, got string"),
        ('{"i":2147483648}', "out_of_range: i: does not fit int"),
        ('{"day":"2026-02-30"}', "wrong_type: day: expected a date like 2026-03-01"),
        ('{"tags":[1]}', "wrong_type: tags[]: expected string, got integer"),
        ('{"o":{"x":null,"x":"b"}}', "duplicate_field: o.x"),
        ('{"i":1', "not_json"),
    ],
)
def test_a_reason_names_the_field_and_nothing_of_the_payload(event: str, reason: str) -> None:
    assert validator(Contract.of(PLAYS).document())(event.encode()) == reason


def test_a_stream_without_schema_takes_everything() -> None:
    validate = validator(Contract("plays", None).canonical())
    assert [validate(each) for each in (b"", b"\xff", b"{")] == [None, None, None]


@pytest.mark.parametrize(("encoding", "least"), [("avro", 5), ("protobuf", 6)])
def test_a_framed_payload_is_checked_for_its_frame(encoding: str, least: int) -> None:
    document = {**Contract.of(PLAYS).document(), "x-keystone-format": encoding}
    validate = validator(document)
    assert validate(b"\0" * least) is None
    assert validate(b"") == "empty"
    for bad in (b"\0" * (least - 1), b"\1" * 9, b'{"a":1}'):
        assert (validate(bad) or "").startswith("not_framed")


def test_sampling_looks_at_its_share_and_off_at_nothing() -> None:
    document = Contract.of(PLAYS).document()
    sampled = validator(document, "sample", 0.1, random.Random(5).random)
    found = [sampled(b"nope") for _ in range(10_000)]
    assert 900 < sum(each is not None for each in found) < 1_100
    assert validator(document, "off")(b"nope") is None
    assert validator(document, "sample", 0)(b"nope") is None
    assert validator(document, "sample", 1)(b"nope") == "not_json"


@pytest.mark.parametrize("document", ["{}", "[]", '{"type":"object","properties":{}}', '{"x-keystone-format":"xml"}'])
def test_a_document_of_somebody_else_is_an_error(document: str) -> None:
    with pytest.raises(ValueError, match="keystone schema show"):
        validator(document)


def test_wrong_arguments_are_an_error_before_any_event() -> None:
    with pytest.raises(ValueError, match="off, sample or all"):
        validator(Contract.of(PLAYS).document(), "some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="share from 0 to 1"):
        validator(Contract.of(PLAYS).document(), "sample", 2)


def test_a_route_that_reads_less_takes_more() -> None:
    sink = SinkSpec(kafka=KafkaSink(topic="x"))
    route = RouteSpec(sink=sink, filter="i > 1")
    source = plan_router(PLAYS, route).source
    event = b'{"i":2,"s":5}'
    assert isinstance(Decoder(source.columns).decode(event), dict)
    assert validator(json.dumps(Contract.of(PLAYS).document()))(event) is not None


@pytest.mark.parametrize("module", [validation, typed_values])
def test_it_needs_nothing_but_the_standard_library(module: object) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())  # type: ignore[attr-defined]
    found = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if not name.startswith("keystone_platform.producer.")
    }
    assert found <= set(sys.stdlib_module_names)
