"""A draft from events is a stream file that the loader takes, and says what it is made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from keystone_platform.cli import app
from keystone_platform.schemas.draft import Draft, draft
from keystone_platform.schemas.evidence import MOST_FIELDS, SHOWN_PLACES, Evidence
from keystone_platform.spec.loader import load_streams_leniently
from keystone_platform.spec.schema import struct_of
from keystone_platform.spec.types import Struct

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "A", "type", "null", "_x", "é\n#", "a: b", "", "on_type_error"]), inner)
    ),
    max_leaves=15,
)


def drafted(*events: Any, stream: str = "plays") -> Draft:
    evidence = Evidence()
    for number, event in enumerate(events, 1):
        evidence.add(event if isinstance(event, bytes) else json.dumps(event).encode(), f"events:{number}")
    return draft(evidence, stream=stream, owner="team:x", table="events.plays", source="events")


def loaded(folder: Path, made: Draft) -> Struct | None:
    (folder / "plays.yaml").write_text(made.yaml(), encoding="utf-8")
    fleet = load_streams_leniently(folder)
    assert fleet.errors == (), made.yaml()
    return fleet.stream("plays").spec.fields


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=8) | st.sampled_from(["a", "A", "b"]), JSON), min_size=1, max_size=5))
def test_the_loader_takes_every_draft(tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]]) -> None:
    loaded(tmp_path_factory.mktemp("streams"), drafted(*events))


def test_types_follow_from_all_values(tmp_path: Path) -> None:
    made = drafted(
        {"i": 1, "d": 1, "s": "x", "b": True, "t": "2026-03-01T12:00:00Z", "day": "2026-03-01", "o": {"x": 1, "y": []}},
        {"i": 2**40, "d": 1.5, "s": "2026-03-01", "b": None, "l": [None, 1, 2.5], "o": {"x": 2, "y": ["a"]}},
        {"big": 2**70},
    )
    expected = {
        "i": "bigint",
        "d": "double",
        "s": "string",
        "b": "boolean",
        "t": "timestamp",
        "day": "date",
        "o": {"x": "bigint", "y": "array<string>"},
        "l": "array<double>",
        "big": "double",
    }
    assert loaded(tmp_path, made) == struct_of(expected)


def test_shares_of_presence_and_of_nulls_stand_beside() -> None:
    made = drafted({"a": 1, "o": {"x": 1}}, {"a": None, "o": {}}, {"b": 1})
    by_name = {".".join(each.path): each for each in (*made.fields, *made.fields[1].inner)}
    assert (round(by_name["a"].share, 2), by_name["a"].null_share) == (0.67, 0.5)
    assert by_name["o.x"].share == 0.5
    assert "a: bigint" in made.yaml()
    assert "67 %, null in 50 %" in made.yaml()


def test_conflicting_types_are_told_with_their_first_places(tmp_path: Path) -> None:
    made = drafted({"a": "x"}, {"a": 5}, {"a": "y"})
    assert loaded(tmp_path, made) == struct_of({"a": "string"})
    note = "values do not all fit string: string 67 % (first at events:1), integer 33 % (first at events:2)"
    assert made.fields[0].note == note


@pytest.mark.parametrize(
    ("event", "note"),
    [
        ({"x": 1, "_id": 1}, "reserved for Keystone's own columns"),
        ({"x": 1, "a-b": 1}, "is no field name"),
        ({"x": 1, "n": None}, "never has a value"),
        ({"x": 1, "l": []}, "an array that never has a value in it"),
        ({"x": 1, "l": [{"a": 1}]}, "an array of objects, which can't be declared"),
        ({"x": 1, "o": {}}, "an object without a field that can be declared"),
        ({"x": 1, "o": {f"k{n}": 1 for n in range(3)}}, ""),
        (b'{"x":1,"n":1e999}', "no type takes any of its values"),
        ({"X": 1, "x": 1}, "can't be declared beside 'X', which differs only by case"),
        (b'{"x":1,"x":2}', "twice in one object in 1 events, which would be dead letters"),
    ],
)
def test_what_can_not_be_declared_is_a_comment_with_its_reason(tmp_path: Path, event: Any, note: str) -> None:
    made = drafted(event)
    assert note in "\n".join(each.note for each in made.fields)
    assert loaded(tmp_path, made) is not None


def test_what_is_nested_too_deep_is_a_comment(tmp_path: Path) -> None:
    event: dict[str, Any] = {"x": 1}
    for _ in range(60):
        event = {"o": event, "x": 1}
    assert loaded(tmp_path, drafted(event)) is not None


def test_an_object_whose_keys_are_data_is_no_schema(tmp_path: Path) -> None:
    events = [{"x": 1, "by_user": {f"u{number}_{part}": 1 for part in range(20)}} for number in range(100)]
    made = drafted(*events)
    assert f"keys look like data: over {MOST_FIELDS:,}" in made.fields[1].note
    assert loaded(tmp_path, made) == struct_of({"x": "bigint"})


def test_what_is_no_event_is_counted_with_its_place() -> None:
    made = drafted({"a": 1}, b"nope", b"[1]", b"\xff", *[b"{"] * 100)
    assert made.evidence.bad == {"not_json": 101, "not_object": 1, "not_utf8": 1}
    assert made.evidence.bad_places[:3] == [
        ("events:2", "not_json"),
        ("events:3", "not_object"),
        ("events:4", "not_utf8"),
    ]
    assert len(made.evidence.bad_places) == SHOWN_PLACES


def test_the_command_reads_stdin_and_tells_bad_lines(tmp_path: Path) -> None:
    text = '{"a":1}\n\n{"a":2,"b":"x"}\nnope\n'
    ran = CliRunner().invoke(app, ["schema", "infer", "-", "--json", "--stream", "plays"], input=text)
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert (found["events"], found["bad_places"]) == (2, [{"place": "stdin:4", "reason": "not_json"}])
    assert [(each["field"], each["type"], each["share"]) for each in found["fields"]] == [
        ("a", "bigint", 1.0),
        ("b", "string", 0.5),
    ]
    file = tmp_path / "events.ndjson"
    file.write_text(text)
    ran = CliRunner().invoke(app, ["schema", "infer", str(file), "--stream", "plays", "--max-events", "1"])
    assert "Drafted from 1 events" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "one of FILE and --topic"),
        (["-", "--topic", "x"], "one of FILE and --topic"),
        (["no-such-file"], "can't be read"),
        (["-", "--stream", "Plays"], "'Plays' is not allowed"),
        (["-"], "holds no event"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], what: str) -> None:
    ran = CliRunner().invoke(app, ["schema", "infer", *arguments], input="")
    assert what in str(ran.exception)
