from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from keystone_platform.errors import InvalidSpec, InvalidSpecs
from keystone_platform.spec.loader import load_streams, load_streams_leniently
from keystone_platform.spec.models import SelectItem
from keystone_platform.spec.types import Field, Scalar, Struct
from tests.unit.spec.files import MINIMAL, errors_of, places, write

ROUTE = "routes:\n  - sink: {warehouse: {table: events.plays}}\n"


def test_a_stream_file_becomes_typed_values_with_their_places(tmp_path: Path) -> None:
    text = MINIMAL + "    filter: user_id > 1\n    select: [user_id, {kind: device.type}, {name: device.os}]\n"
    fleet = load_streams(write(tmp_path, plays=text))
    stream = fleet.stream("plays")
    assert (stream.file.name, stream.line) == ("plays.yaml", 1)
    device = Struct((Field("type", Scalar.STRING), Field("os", Scalar.STRING)))
    assert stream.spec.fields == Struct(
        (Field("user_id", Scalar.BIGINT), Field("country", Scalar.STRING), Field("device", device))
    )
    route = fleet.route("plays.warehouse")
    assert (route.line, route.id, route.route.filter) == (8, "plays.warehouse", "user_id > 1")
    assert route.route.select == (
        SelectItem(name="user_id", path="user_id"),
        SelectItem(name="kind", path="device.type"),
        SelectItem(name="name", path="device.os"),
    )


WRONG_VALUES = {
    "unknown key": (MINIMAL + "    filtr: user_id > 1\n", 9, "routes[0].filtr", "Did you mean 'filter'?"),
    "unknown key at the top": (MINIMAL + "ownr: x\n", 9, "ownr", "Did you mean 'owner'?"),
    "unknown sink": (MINIMAL.replace("warehouse", "warehose"), 8, "routes[0].sink.warehose", "'warehouse'"),
    "the model's name for schema": (MINIMAL.replace("schema:", "fields:"), 3, "fields", "Allowed: stream, owner"),
    "a missing owner": (MINIMAL.replace("owner: team:player\n", ""), 1, "owner", "`team:NAME`"),
    "an owner of another form": (MINIMAL.replace("team:player", "player"), 2, "owner", "`team:NAME`"),
    "a stream name in capitals": (MINIMAL.replace("stream: plays", "stream: Plays"), 1, "stream", "lower-case"),
    "a table without namespace": (
        MINIMAL.replace("events.plays", "plays"),
        8,
        "routes[0].sink.warehouse.table",
        "namespace.name",
    ),
    "no sink": (MINIMAL.replace("{warehouse: {table: events.plays}}", "{}"), 8, "routes[0].sink", "one of"),
    "two sinks": (MINIMAL.replace("}}", "}, kafka: {topic: x}}"), 8, "routes[0].sink", "exactly one sink"),
    "a missing table": (
        MINIMAL.replace("{table: events.plays}", "{}"),
        8,
        "routes[0].sink.warehouse.table",
        "missing",
    ),
    "a number as text": (MINIMAL + "    parallelism: '2'\n", 9, "routes[0].parallelism", "a whole number"),
    "true as a number": (MINIMAL + "    parallelism: true\n", 9, "routes[0].parallelism", "a whole number"),
    "too many subtasks": (MINIMAL + "    parallelism: 5000\n", 9, "routes[0].parallelism", "from 1 to 1024"),
    "a number as a filter": (MINIMAL + "    filter: 3\n", 9, "routes[0].filter", "the number 3"),
    "an empty select": (MINIMAL + "    select: []\n", 9, "routes[0].select", "at least one field"),
    "no routes": (MINIMAL.split("routes:")[0] + "routes: []\n", 7, "routes", "at least one route"),
    "a select item of two": (
        MINIMAL + "    select:\n      - user_id\n      - {a: user_id, b: country}\n",
        11,
        "routes[0].select[1]",
        "one `column: field`",
    ),
    "a reserved column": (MINIMAL + "    select: [{_guid: user_id}]\n", 9, "routes[0].select[0]", "reserved"),
    "a type nobody knows": (MINIMAL.replace("bigint", "long"), 4, "schema.user_id", "Did you mean 'bigint'?"),
    "another policy": (MINIMAL + "on_type_error: drop\n", 9, "on_type_error", "`dead_letter` or `null`"),
    "an expression without a name": (
        MINIMAL + "    select: [lower(x)]\n",
        9,
        "routes[0].select[0]",
        "column: expression",
    ),
    "an array of objects": (MINIMAL.replace("bigint", "array<{}>"), 4, "schema.user_id", "written array<string>"),
    "an array of arrays": (MINIMAL.replace("bigint", "array<array<int>>"), 4, "schema.user_id", "array<string>"),
    "a nested type nobody knows": (
        MINIMAL.replace("os: string", "os: strin"),
        6,
        "schema.device.os",
        "Did you mean 'string'?",
    ),
    "a reserved field": (MINIMAL.replace("user_id: ", "_id: "), 4, "schema._id", "reserved"),
    "fields that differ by case": (MINIMAL.replace("country:", "User_ID:"), 5, "schema.User_ID", "only by case"),
    "since within an hour": (MINIMAL + "since: 2026-01-01T00:30:00Z\n", 9, "since", "full hour"),
    "since as a number": (MINIMAL + "since: 20260101\n", 9, "since", "full hour"),
    "a key twice": (MINIMAL + "owner: team:b\n", 9, "owner", "first on line 2"),
    "a tag": (MINIMAL.replace("stream: plays", "stream: !!python/name:os.system x"), 1, "stream", "not allowed"),
    "a merge key": (MINIMAL + "<<: {a: b}\n", 9, "<<", "unknown key"),
    "a topic that ends in a dot": (MINIMAL + "topic: 'x.'\n", 9, "topic", "no dot at the end"),
}


@pytest.mark.parametrize(("text", "line", "field", "said"), WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
def test_an_error_names_file_line_field_and_mend(tmp_path: Path, text: str, line: int, field: str, said: str) -> None:
    write(tmp_path, plays=text)
    found = {(error.line, error.field): str(error) for error in errors_of(tmp_path)}
    assert (line, field) in found, found
    assert said in found[line, field]
    assert "plays.yaml" in found[line, field]


WRONG_TEXTS = {
    "an empty file": ("", "empty"),
    "only comments": ("# later\n", "empty"),
    "a tab as indentation": ("stream: a\n\towner: b\n", "no valid YAML"),
    "an open bracket": ("stream: [a\n", "no valid YAML"),
    "two documents": (MINIMAL + "---\n" + MINIMAL, "second document"),
    "a list at the top": ("- a\n- b\n", "a list where a stream is expected"),
    "text at the top": ("just text\n", "where a stream is expected"),
    "an alias to itself": ("stream: &a [*a]\n", "alias"),
    "a control character": ("stream: a\x01b\n", "no valid YAML"),
    "nesting without end": ("- " * 5000, "nested too deep"),
    "nesting that libyaml still takes": ("[" * 990 + "]" * 990, "nested too deep"),
    "nesting that would end the process in libyaml": ("[" * 400_000, "nested too deep"),
}


@pytest.mark.parametrize(("text", "said"), WRONG_TEXTS.values(), ids=WRONG_TEXTS.keys())
def test_text_that_is_no_stream_is_reported_not_raised(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    fleet = load_streams_leniently(tmp_path)
    assert not fleet.streams
    assert said in str(fleet.errors[0])
    assert fleet.errors[0].line > 0


def test_aliases_of_aliases_do_not_eat_the_memory(tmp_path: Path) -> None:
    layers = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    (tmp_path / "bomb.yaml").write_text("l0: &l0 [x]\n" + layers)
    assert any("aliases grow too large" in str(error) for error in errors_of(tmp_path))


def test_text_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"stream: a\nowner: team:\xe9\n")
    assert places(tmp_path) == [("latin.yaml", 2, "")]


def test_every_error_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    bad = MINIMAL.replace("bigint", "long").replace("team:player", "player") + "    filtr: x\n"
    write(tmp_path, a=bad, b="stream: b\n", c=MINIMAL)
    assert places(tmp_path) == [
        ("a.yaml", 2, "owner"),
        ("a.yaml", 4, "schema.user_id"),
        ("a.yaml", 9, "routes[0].filtr"),
        ("b.yaml", 1, "owner"),
        ("b.yaml", 1, "routes"),
    ]
    with pytest.raises(InvalidSpecs) as caught:
        load_streams(tmp_path)
    assert len(str(caught.value).splitlines()) == 5


def test_a_bad_file_does_not_hide_the_good_streams(tmp_path: Path) -> None:
    write(tmp_path, bad="stream: [", good=MINIMAL)
    fleet = load_streams_leniently(tmp_path)
    assert [stream.spec.stream for stream in fleet.streams] == ["plays"]
    assert [Path(error.file).name for error in fleet.errors] == ["bad.yaml"]


def test_a_missing_folder_is_an_error_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecs, match="--streams"):
        load_streams(tmp_path / "nowhere")


def test_files_that_are_no_streams_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, plays=MINIMAL)
    (tmp_path / ".hidden.yaml").write_text("[")
    (tmp_path / "stream.schema.json").write_text("{}")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "other.yml").write_text(MINIMAL.replace("plays", "other"))
    assert [stream.spec.stream for stream in load_streams(tmp_path).streams] == ["other", "plays"]


def test_words_that_older_yaml_takes_for_booleans_stay_names(tmp_path: Path) -> None:
    write(tmp_path, plays=MINIMAL.replace("user_id: bigint", "on: bigint\n  no: string\n  y: {yes: string}"))
    fields = load_streams(tmp_path).stream("plays").spec.fields
    assert fields
    assert [field.name for field in fields.fields] == ["on", "no", "y", "country", "device"]


@pytest.mark.parametrize("written", ["2026-02-01T03:00:00Z", "2026-02-01T05:00:00+02:00", "2026-02-01T03:00:00"])
def test_since_is_utc_whatever_it_is_written_in(tmp_path: Path, written: str) -> None:
    write(tmp_path, plays=MINIMAL + f"since: {written}\n")
    assert load_streams(tmp_path).stream("plays").spec.since == datetime(2026, 2, 1, 3, tzinfo=UTC)


def test_an_unknown_route_is_refused_with_close_names(tmp_path: Path) -> None:
    fleet = load_streams(write(tmp_path, plays=MINIMAL))
    with pytest.raises(InvalidSpec, match=r"plays\.warehouse"):
        fleet.route("plays.warehose")
    with pytest.raises(InvalidSpec, match="'plays'"):
        fleet.stream("play")
