"""Lines, and what they say as events."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystone_platform.errors import InvalidSpec
from keystone_platform.ndjson.lines import Line, Place, lines, open_lines
from keystone_platform.ndjson.reading import Bad, Draft, Reading

pieces = st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\r\n", b"c" * 9, b"c" * 12, b"d" * 30]), max_size=12).map(
    b"".join
)


@given(pieces)
def test_lines_are_those_of_splitting_and_their_places_add_up(content: bytes) -> None:
    found = list(lines(io.BytesIO(content), Place(), 10))
    expected = content.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert [line.end.line for line in found] == list(range(1, len(expected) + 1))
    assert (found[-1].end.byte if found else 0) == len(content)
    for line, text in zip(found, expected, strict=True):
        bare = text.rstrip(b"\r")
        assert line.text == (None if len(bare) > 10 else bare)
    assert [line.is_cut for line in found] == [False] * (len(found) - 1) + [not content.endswith(b"\n")] * bool(found)


@given(pieces, st.integers(0, 20))
def test_who_begins_at_a_line_s_end_reads_what_comes_after_it(content: bytes, skip: int) -> None:
    whole = list(lines(io.BytesIO(content), Place(), 10))
    start = whole[skip].end if skip < len(whole) else Place()
    file = io.BytesIO(content)
    file.seek(start.byte)
    assert list(lines(file, start, 10)) == (whole[skip + 1 :] if skip < len(whole) else whole)


def test_gzip_is_read_as_what_is_in_it_and_from_any_place(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson.gz"
    file.write_bytes(gzip.compress(b"one\ntwo\nthree\n"))
    with open_lines(str(file), Place(1, 4)) as opened:
        assert list(lines(opened, Place(1, 4), 100)) == [Line(Place(2, 8), b"two"), Line(Place(3, 14), b"three")]


def test_what_is_no_gzip_or_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"plain")
    with pytest.raises(InvalidSpec, match=r"a\.gz"):
        open_lines(str(tmp_path / "a.gz"), Place(1, 2))
    for name in ("missing", "."):
        with pytest.raises(InvalidSpec, match="can't be read"):
            open_lines(str(tmp_path / name), Place())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not_json"),
        (b"", "not_json"),
        (b'{"a": NaN}', "not_json"),
        (b'{"a": 1} {"b": 2}', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"1" * 5_000 + b"x", "not_json"),
        (b"\xff", "not_utf8"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b"5", "not_object"),
        (b"1" * 5_000, "not_object"),
        (b'{"k": [1]}', "bad_key"),
        (b'{"k": 1.5}', "bad_key"),
        (b'{"k": "\\ud800"}', "bad_key"),
        (b'{"t": "yesterday"}', "bad_time"),
        (b'{"t": 1772366400}', "bad_time"),
        (b'{"t": "2026-03-01T12:00:00"}', "bad_time"),
        (b'{"invalid": 1}', "invalid"),
    ],
)
def test_a_line_that_is_no_event_is_told_with_its_reason(line: bytes, reason: str) -> None:
    reading = Reading("k", "t", validate=lambda payload: "no" if b"invalid" in payload else None)
    found = reading.event(line)
    assert isinstance(found, Bad)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("line", "key", "time"),
    [
        ({"a": {"b": "é"}, "t": "2026-03-01T12:00:00Z"}, "é".encode(), datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ({"a": {"b": 2**70}}, b"%d" % 2**70, None),
        ({"a": {"b": True}}, b"true", None),
        ({"a": {"b": None}, "t": None}, None, None),
        ({"a": 5}, None, None),
        ({}, None, None),
    ],
)
def test_key_and_time_are_taken_from_fields(line: object, key: bytes | None, time: datetime | None) -> None:
    raw = json.dumps(line, ensure_ascii=False).encode()
    assert Reading("a.b", "t").event(raw) == Draft(raw, key, time)


def test_a_payload_is_the_line_byte_for_byte_however_odd_its_numbers() -> None:
    line = b'{ "n": %b, "f": 1.10, "f": 1e999 }' % (b"1" * 5_000)
    assert Reading().event(line) == Draft(line, None, None)
