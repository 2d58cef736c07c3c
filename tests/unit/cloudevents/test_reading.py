"""Events as they come over HTTP: the payload stays byte for byte, and what is no event is told with its place."""

from __future__ import annotations

import base64
import json
import string
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystone_platform.cloudevents.binary import read_binary
from keystone_platform.cloudevents.event import CloudEvent, Malformed, point_in_time
from keystone_platform.cloudevents.json_format import TooMany, read_batch, read_structured

CORE = {"specversion": "1.0", "id": "e-1", "source": "h1/player", "type": "playback"}

texts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=50)
names = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20).filter(
    lambda name: name not in {*CORE, "time", "data", "datacontenttype", "partitionkey"}
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def structured(**members: object) -> bytes:
    return json.dumps({**CORE, **members}).encode()


def raw(data: str) -> bytes:
    return f'{json.dumps(CORE)[:-1]}, "data" : {data} }}'.encode()


@pytest.mark.parametrize(
    "data",
    ["1.10", "1e400", '{"a": 1, "a": 2}', '"\\ud800"', "[ 1 , 2 ]", "null", '"text"', "1" * 5_000, '{"é": "ü"}', "-0"],
)
def test_data_is_the_payload_as_it_stands(data: str) -> None:
    event = read_structured(raw(data))
    assert event.payload == data.encode()
    assert event.extensions == {"datacontenttype": "application/json"}


@given(json_values, st.sampled_from([None, 1, 4]), st.booleans())
def test_any_data_in_any_layout_is_the_payload_as_it_stands(data: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    try:
        document = raw(text)
    except UnicodeEncodeError:
        return
    assert read_structured(document).payload == text.encode()
    (event,) = read_batch(b"[ " + document + b" ]", 10)
    assert isinstance(event, CloudEvent)
    assert event.payload == text.encode()


@given(st.binary(max_size=200))
def test_binary_data_comes_out_of_base64(payload: bytes) -> None:
    assert read_structured(structured(data_base64=base64.b64encode(payload).decode())).payload == payload


@given(texts, texts, texts, st.dictionaries(names, texts, max_size=4), st.binary(max_size=50))
def test_binary_and_structured_mode_say_the_same(
    guid: str, source: str, kind: str, extensions: dict[str, str], payload: bytes
) -> None:
    attributes = {"specversion": "1.0", "id": guid, "source": source, "type": kind, **extensions}
    headers = [(f"ce-{name}".encode(), quote(value, safe="").encode()) for name, value in attributes.items()]
    encoded = base64.b64encode(payload).decode()
    document = json.dumps({**attributes, "datacontenttype": "a/b", "data_base64": encoded}).encode()
    assert read_binary([*headers, (b"content-type", b"a/b")], payload) == read_structured(document)


@given(st.binary(max_size=300) | texts.map(str.encode))
def test_no_body_is_more_than_malformed(body: bytes) -> None:
    for read in (read_structured, lambda each: read_batch(each, 5), lambda each: read_batch(b"[" + each + b"]", 5)):
        with suppress(Malformed, TooMany):
            read(body)


@given(st.dictionaries(st.sampled_from([*CORE, "time", "data", "data_base64", "x"]), json_values))
def test_no_object_is_more_than_malformed(members: dict[str, object]) -> None:
    with suppress(Malformed):
        read_structured(json.dumps({**CORE, **members}).encode())


@given(st.lists(st.tuples(st.sampled_from([b"ce-id", b"ce-time", b"ce-x", b"ce-", b"content-type"]), st.binary())))
def test_no_headers_are_more_than_malformed(headers: list[tuple[bytes, bytes]]) -> None:
    with suppress(Malformed):
        read_binary([(b"ce-specversion", b"1.0"), (b"ce-source", b"s"), (b"ce-type", b"t"), *headers], b"")


def test_attributes_keep_their_canonical_text_and_null_is_unset() -> None:
    event = read_structured(structured(flag=True, number=-12, subject="a", unset=None, partitionkey="k1"))
    expected = {"flag": "true", "number": "-12", "subject": "a", "partitionkey": "k1"}
    assert event == CloudEvent("e-1", "h1/player", "playback", b"", None, b"k1", expected)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (b"", ""),
        (b"[]", ""),
        (b"{", ""),
        (b'{"specversion": "1.0",}', ""),
        (b'{"data": NaN}', ""),
        (b'{"data": ' + b"[" * 100_000, ""),
        (structured() + b"x", ""),
        (b"\xff", ""),
        (structured(specversion="0.3"), "specversion"),
        (structured(id=None), "id"),
        (structured(source=""), "source"),
        (structured(type="x" * 3_000), "type"),
        (structured(time="yesterday"), "time"),
        (structured(time="2026-02-30T00:00:00Z"), "time"),
        (structured(time="0001-01-01T00:00:00+01:00"), "time"),
        (structured(Upper="x"), "Upper"),
        (structured(rather_long_name_of_an_attribute="x"), "rather_long_name_of_an_attribute"),
        (structured(x=1.5), "x"),
        (structured(x=[1]), "x"),
        (structured(x="a\u0000"), "x"),
        (structured(x="\ud800"), "x"),
        (structured(data=1, data_base64="AA=="), "data_base64"),
        (structured(data_base64="no base64!"), "data_base64"),
        (structured(data_base64=5), "data_base64"),
        (structured(datacontenttype="text/plain", data=5), "data"),
        (b'{"id": "1", "id": "2"}', "id"),
    ],
)
def test_what_is_no_event_is_told_with_its_place(document: bytes, place: str) -> None:
    with pytest.raises(Malformed) as told:
        read_structured(document)
    assert told.value.place == place


def test_one_bad_event_of_a_batch_leaves_its_neighbours_alone() -> None:
    batch = json.dumps([CORE, {**CORE, "time": "soon"}, 5, CORE]).encode()
    first, second, third, fourth = read_batch(batch, 10)
    assert first == fourth
    assert isinstance(second, Malformed) and isinstance(third, Malformed)
    assert (second.place, third.place) == ("[1].time", "[2]")
    assert read_batch(b" [ ] ", 10) == []
    with pytest.raises(TooMany):
        read_batch(batch, 3)


@pytest.mark.parametrize(
    ("headers", "place"),
    [
        ([], ""),
        ([("ce-id", "1")], ""),
        ([("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s")], "ce-type"),
        ([("ce-specversion", "1.0"), ("ce-specversion", "1.0")], "ce-specversion"),
        ([("ce-specversion", "1.0"), ("ce-id", "%C0%A0")], "ce-id"),
        ([("ce-specversion", "1.0"), ("ce-datacontenttype", "a/b")], "ce-datacontenttype"),
        ([("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "t"), ("ce-", "")], "ce-"),
    ],
)
def test_headers_that_make_no_event_are_told_with_their_name(headers: list[tuple[str, str]], place: str) -> None:
    with pytest.raises(Malformed) as told:
        read_binary([(name.encode(), value.encode()) for name, value in headers], b"{}")
    assert told.value.place == place


def test_quoted_and_percent_encoded_headers_are_read_once() -> None:
    headers = {"specversion": "1.0", "id": '"a \\"b\\""', "source": "Euro%20%E2%82%AC", "type": "100%25", "x": "5%"}
    event = read_binary([(f"ce-{name}".encode(), value.encode()) for name, value in headers.items()], b"")
    assert (event.id, event.source, event.type, event.extensions) == ('a "b"', "Euro €", "100%", {"x": "5%"})


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-18 * 60, 18 * 60))
def test_times_are_the_points_in_time_that_they_say(moment: datetime, minutes: int) -> None:
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    try:
        local = (moment + timedelta(minutes=minutes)).replace(tzinfo=None)
    except OverflowError:
        return
    assert point_in_time(f"{local.isoformat()}{sign}{hours:02d}:{rest:02d}") == moment


def test_digits_below_a_microsecond_are_cut_off_and_a_leap_second_is_the_next_one() -> None:
    assert point_in_time("2026-03-01T12:00:00.1234569z") == datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
    assert point_in_time("2016-12-31T23:59:60Z") == datetime(2017, 1, 1, tzinfo=UTC)
