"""The audit's decoder agrees with the format `keystone-json` on what is dead; the cases are those of its Java tests."""

from __future__ import annotations

from datetime import date

import pytest

from keystone_platform.audit.decode import Decoder
from keystone_platform.audit.parse import Dead
from keystone_platform.spec.types import Array, Field, Scalar, Struct

COLUMNS = (
    Field("s", Scalar.STRING),
    Field("b", Scalar.BOOLEAN),
    Field("i", Scalar.INT),
    Field("l", Scalar.BIGINT),
    Field("f", Scalar.FLOAT),
    Field("d", Scalar.DOUBLE),
    Field("day", Scalar.DATE),
    Field("at", Scalar.TIMESTAMP),
    Field("o", Struct((Field("x", Scalar.STRING), Field("p", Struct((Field("y", Scalar.BIGINT),)))))),
    Field("tags", Array(Scalar.STRING)),
    Field("days", Array(Scalar.DATE)),
    Field("ints", Array(Scalar.INT)),
)
DECODER = Decoder(COLUMNS)

DEAD = (
    '{"l":"5"}',
    '{"l":5.0}',
    '{"i":1e2}',
    '{"i":true}',
    '{"i":2147483648}',
    '{"l":9223372036854775808}',
    '{"d":1e400}',
    '{"f":1e39}',
    '{"d":"1.5"}',
    '{"b":"true"}',
    '{"b":1}',
    '{"s":5}',
    '{"s":{"x":1}}',
    '{"s":[]}',
    '{"o":"x"}',
    '{"o":{"p":{"y":false}}}',
    '{"day":"2026-02-30"}',
    '{"day":"2026-W09-7"}',
    '{"day":20513}',
    '{"at":"2026-03-01T12:00:00"}',
    '{"at":"2026-03-01 12:00:00Z"}',
    '{"at":"+12026-03-01T12:00:00Z"}',
    '{"at":"2026-03-01T24:00:00Z"}',
    '{"at":"2026-03-01T12:00:00+18:01"}',
    '{"at":1772366400}',
    '{"s":"\\ud800"}',
    '{"s":"a","s":"a"}',
    '{"o":{"x":null,"x":"b"}}',
    '{"tags":"x"}',
    '{"tags":{}}',
    '{"tags":["x",5]}',
    '{"tags":["x",["y"]]}',
    '{"tags":["\\ud800"]}',
    '{"ints":[1,2147483648]}',
    '{"ints":[1,1.0]}',
    '{"days":["2026-02-30"]}',
    "[]",
    '"s"',
    "null",
    "17",
    "hello",
    '{"l":5}{}',
    '{"l":5',
    '{"z":NaN}',
    '{"l":05}',
    '{"l":5,}',
    "{'l':5}",
    "{l:5}",
    '{"l":5} x',
    '{"l":5}\u0000',
    '{"l":+5}',
    '{"z":"\u0001"}',
    "/**/{}",
    "\ufeff{}",
    "",
    " \n",
    '{"z":' + "[" * 64 + "]" * 64 + "}",
    '{"z":' * 100_000,
    '{"l":' + "9" * 100_000 + "}",
    '{"d":' + "9" * 100_000 + ".5}",
)


@pytest.mark.parametrize("event", DEAD, ids=lambda event: event[:40])
def test_what_the_router_calls_dead_is_dead(event: str) -> None:
    assert isinstance(DECODER.decode(event.encode("utf-8", "surrogatepass")), Dead)


@pytest.mark.parametrize("payload", [None, b'{"s":"\xff"}', b'{"z":"\xed\xa0\x80"}', "{}".encode("utf-16-be")])
def test_no_value_and_no_utf8_are_dead(payload: bytes | None) -> None:
    assert isinstance(DECODER.decode(payload), Dead)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (None, "no_value"),
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b'{"z":"\xff"}', "not_utf8"),
        (b'{"s":"\\ud800"}', "not_utf8: s"),
        (b"{", "not_json"),
        (b"[]", "not_object"),
        (b'{"z":' + b"[" * 64 + b"]" * 64 + b"}", "too_deep"),
        (b'{"z":' * 100_000, "too_deep"),
        (b'{"l":"5"}', "wrong_type: l"),
        (b'{"l":1e400}', "wrong_type: l"),
        (b'{"tags":["a",null,5]}', "wrong_type: tags[2]"),
        (b'{"o":5}', "wrong_type: o"),
        (b'{"o":{"p":{"y":false}}}', "wrong_type: o.p.y"),
        (b'{"l":9223372036854775808}', "out_of_range: l"),
        (b'{"l":' + b"9" * 100_000 + b"}", "out_of_range: l"),
        (b'{"d":1e400}', "out_of_range: d"),
        (b'{"o":{"x":null,"x":"b"}}', "duplicate_field: o.x"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_reason_is_the_routers(event: bytes | None, reason: str) -> None:
    assert str(DECODER.decode(event)) == reason


def test_every_type_decodes() -> None:
    event = (
        '{"s":"h\\u00e9 \\ud83d\\ude00","b":true,"i":-7,"l":9223372036854775807,"f":1.5,"d":2,'
        '"day":"2026-03-01","at":"2026-03-01T12:00:00.1234567+02:00","o":{"x":"in","p":{"y":3}},'
        '"tags":["a",null,""],"days":["1970-01-02"],"ints":[]}'
    )
    assert DECODER.decode(event.encode()) == {
        "s": "hé 😀",
        "b": True,
        "i": -7,
        "l": 2**63 - 1,
        "f": 1.5,
        "d": 2.0,
        "day": 20513,
        "at": 1772359200_123456,
        "o": {"x": "in", "p": {"y": 3}},
        "tags": ["a", None, ""],
        "days": [1],
        "ints": [],
    }


def test_missing_and_null_are_null_and_undeclared_fields_do_not_matter() -> None:
    huge = "9" * 100_000
    event = f' {{"z":[1,{{"s":5}}],"zz":{{"l":"x","o":{{}}}},"b":null,"n":1e999,"z":{huge},"l":1,"o":{{}}}} \n'
    assert DECODER.decode(event.encode()) == {
        **dict.fromkeys(field.name for field in COLUMNS),
        "l": 1,
        "o": {"x": None, "p": None},
    }


@pytest.mark.parametrize(
    ("event", "nulled", "expected"),
    [
        ('{"ints":5}', ("ints",), {"ints": None}),
        ('{"l":"5","i":1}', ("l",), {"l": None, "i": 1}),
        ('{"l":"5","i":2147483648}', ("*",), {"l": None, "i": None}),
        ('{"o":5}', ("o",), {"o": None}),
        ('{"o":{"x":5,"p":{"y":1}}}', ("o.x",), {"o": {"x": None, "p": {"y": 1}}}),
        ('{"ints":[1,"x",3]}', ("ints",), {"ints": None}),
        ('{"l":"5"}', ("i",), "wrong_type: l"),
        ('{"o":{"x":5}}', ("o",), {"o": None}),
        ('{"o":{"x":5}}', ("o.p",), "wrong_type: o.x"),
        ('{"l":5,"l":5}', ("*",), "duplicate_field: l"),
        ('{"s":"\\ud800"}', ("*",), "not_utf8: s"),
        ('{"day":"\\ud800"}', ("*",), "not_utf8: day"),
        ('{"at":"\\ud800"}', ("*",), "not_utf8: at"),
        ("[]", ("*",), "not_object"),
    ],
)
def test_a_value_that_does_not_fit_is_null_where_the_stream_says_so(
    event: str, nulled: tuple[str, ...], expected: dict[str, object] | str
) -> None:
    decoded = Decoder(COLUMNS, nulled).decode(event.encode())
    if isinstance(expected, str):
        assert str(decoded) == expected
    else:
        assert decoded == {**dict.fromkeys(field.name for field in COLUMNS), **expected}


def test_nesting_up_to_the_bound_is_fine() -> None:
    assert isinstance(DECODER.decode(('{"z":' + "[" * 63 + "]" * 63 + "}").encode()), dict)


@pytest.mark.parametrize(
    "event",
    [
        '{"day":"0000-12-31"}',
        '{"at":"0000-12-31T23:59:59Z"}',
        '{"at":"0001-01-01T00:00:00+00:01"}',
        '{"at":"9999-12-31T23:59:59-00:01"}',
    ],
)
def test_a_time_that_no_python_reader_can_hold_is_dead_and_stops_no_compaction(event: str) -> None:
    assert isinstance(DECODER.decode(event.encode()), Dead)


def test_the_first_and_the_last_day_are_fine() -> None:
    for text in ("0001-01-01", "9999-12-31"):
        decoded = DECODER.decode(f'{{"day":"{text}","at":"{text}T00:00:00Z"}}'.encode())
        assert isinstance(decoded, dict)
        assert date.fromordinal(decoded["day"] + date(1970, 1, 1).toordinal()).isoformat() == text
