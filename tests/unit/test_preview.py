"""What `keystone preview` says of events: their fate, the rows that would land, and what the schema lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from keystone_platform.audit.records import Record
from keystone_platform.cli import app
from keystone_platform.envelope import CE_ID, CE_SOURCE
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.gateways.schema_registry import HttpSchemaRegistry
from keystone_platform.plan.plan_router import plan_router
from keystone_platform.preview.evaluate import preview_route
from keystone_platform.preview.newest import Events, events_of_file, newest_offsets
from keystone_platform.preview.profile import Profile
from keystone_platform.preview.report import Preview
from keystone_platform.settings import RegistrySettings
from keystone_platform.spec.models import StreamSpec
from keystone_platform.spec.schema import struct_of
from tests.contract.registry_servers import fake_registry, register

SCHEMA = {"n": "bigint", "country": "string", "device": {"type": "string", "os": "string"}, "spare": "double"}
ROUTE = {
    "sink": {"warehouse": {"table": "events.plays"}},
    "filter": "n > 5",
    "select": ["n", {"kind": "device.type"}, "spare"],
}

STREAM = f"""\
stream: plays
owner: team:tests
schema: {json.dumps(SCHEMA)}
routes: [{json.dumps(ROUTE)}]
"""


def previewed(payloads: list[Any], route: dict[str, Any] = ROUTE, *, declared: bool = True, rows: int = 5) -> Preview:
    """Preview a route over payloads: bytes, or what is written as JSON."""
    schema = {"schema": SCHEMA} if declared else {}
    stream = StreamSpec.model_validate({"stream": "plays", "owner": "team:tests", **schema, "routes": [route]})
    values = [each if each is None or isinstance(each, bytes) else json.dumps(each).encode() for each in payloads]
    records = [
        Record(0, offset, value, {CE_ID: b"guid-%d" % offset, CE_SOURCE: b"h1/player"}, timestamp_ms=1_000 * offset)
        for offset, value in enumerate(values)
    ]
    events = Events("plays", iter([records[:2], records[2:]]))
    return preview_route(plan_router(stream, stream.routes[0]), stream.fields, events, rows)


def test_events_with_a_registry_are_judged_by_their_writers_schemas() -> None:
    document = {
        "stream": "plays",
        "owner": "team:tests",
        "format": "avro",
        "schema": {"n": "bigint"},
        "routes": [ROUTE],
    }
    stream = StreamSpec.model_validate({**document, "routes": [{**ROUTE, "select": ["n"]}]})
    writer = {"type": "record", "name": "E", "fields": [{"name": "n", "type": "int"}]}
    with fake_registry() as (url, _):
        frame = b"\0" + register(url, "plays-value", json.dumps(writer)).to_bytes(4, "big")
        records = [Record(0, offset, value, {}) for offset, value in enumerate((frame + b"\x0e", frame + b"\2", b"x"))]
        registry = HttpSchemaRegistry(RegistrySettings(url=url))
        plan = plan_router(stream, stream.routes[0])
        found = preview_route(plan, stream.fields, Events("plays", iter([records])), 5, registry=registry)
    assert (found.counts.kept, found.counts.filtered, found.counts.dead) == (1, 1, 1)
    assert [row["n"] for row in found.rows] == [7]
    assert [each.reason for each in found.dead_reasons] == ["not_framed"]
    assert found.differences.never_seen == ()


def test_each_event_is_kept_filtered_or_dead_and_why() -> None:
    found = previewed([{"n": 6}, {"n": 5}, {"n": None}, {"country": "US"}, {"n": "6"}, {"n": "7"}, b"{", None])
    counts = found.counts
    assert (counts.events, counts.kept, counts.filtered, counts.filter_null, counts.dead) == (8, 1, 3, 2, 4)
    assert [(each.reason, each.events, each.example) for each in found.dead_reasons] == [
        ("wrong_type: n", 2, "plays-0@4"),
        ("no_value", 1, "plays-0@7"),
        ("not_json", 1, "plays-0@6"),
    ]


def test_rows_are_the_newest_as_they_would_land() -> None:
    found = previewed([{"n": n, "device": {"type": "tv"}} for n in range(10)], rows=2)
    assert [list(row) for row in found.rows] == [[column.name for column in found.columns]] * 2
    newest = found.rows[0]
    assert (newest["n"], newest["kind"], newest["spare"]) == (9, "tv", None)
    assert (newest["_guid"], newest["_host"], newest["_app"]) == ("guid-9", "h1", "player")
    assert (newest["_topic"], newest["_partition"], newest["_offset"]) == ("plays", 0, 9)
    assert newest["_time"].isoformat() == "1970-01-01T00:00:09+00:00"
    assert found.rows[1]["n"] == 8


def test_computed_columns_are_computed() -> None:
    route = ROUTE | {"select": ["n", {"size": "abs(n)"}, {"os": "coalesce(device.os, 'none')"}]}
    found = previewed([{"n": 6, "device": {"os": "ios"}}, {"n": 7}], route)
    assert [(row["n"], row["size"], row["os"]) for row in found.rows] == [(7, 7, "none"), (6, 6, "ios")]


def test_columns_that_tell_nothing_are_named() -> None:
    found = previewed([{"n": n, "device": {"type": "tv"}} for n in range(10)])
    assert (found.always_null, found.constant) == (("spare",), ("kind",))
    assert previewed([{"n": 1}]).always_null == ()  # no row is kept, so nothing is known


def test_a_route_that_decodes_nothing_keeps_the_bytes() -> None:
    found = previewed([b"\xff", None, b"{}"], {"sink": {"warehouse": {"table": "events.plays"}}}, declared=False)
    assert (found.counts.kept, found.counts.dead) == (3, 0)
    assert [row["_value"] for row in found.rows] == [b"{}", None, b"\xff"]


def test_a_kafka_route_shows_the_records_as_they_go_on() -> None:
    route = {"sink": {"kafka": {"topic": "plays.big"}}, "filter": "n > 5"}
    found = previewed([b'{"n": 7, "x":  1}', {"n": 1}, {"n": "7"}], route)
    assert (found.counts.kept, found.counts.filtered, found.counts.dead) == (1, 1, 1)
    assert [row["value"] for row in found.rows] == [b'{"n": 7, "x":  1}']


def test_an_empty_topic_is_an_answer() -> None:
    found = previewed([])
    assert found.counts.events == 0
    assert found.as_json()["shares"] == {"kept": 0.0, "filtered": 0.0, "dead": 0.0}


def differences(*events: dict[str, Any]) -> Any:
    profile = Profile(struct_of(SCHEMA))
    for number, event in enumerate(events):
        profile.add(event, f"at {number}")
    return profile.differences()


@pytest.mark.parametrize(
    ("values", "suggested"),
    [
        ((1, 2**40, None), "bigint"),
        ((1, 1.5), "double"),
        ((2**70,), "double"),
        (("2026-03-01", "2026-03-02"), "date"),
        (("2026-03-01T12:00:00Z",), "timestamp"),
        (("2026-03-01", "soon"), "string"),
        ((True,), "boolean"),
        (({"a": 1}, {"b": "x"}), "{a: bigint, b: string}"),
        ((["a"], [], ["b", None]), "array<string>"),
        (([1, "a"],), "array"),
        (([{"a": 1}],), "array"),
        ((None,), "null"),
        ((1, "1"), "mixed (integer 50%, string 50%)"),
    ],
)
def test_an_undeclared_field_comes_with_the_type_that_fits(values: tuple[Any, ...], suggested: str) -> None:
    (field,) = differences(*({"extra": value} for value in values)).undeclared
    assert (field.field, field.type, field.share) == ("extra", suggested, 1.0)


def test_fields_within_a_declared_object_are_compared_too() -> None:
    found = differences({"device": {"os": 5, "model": "x", "odd-name": 1}}, {})
    assert [(field.field, field.share, field.declarable) for field in found.undeclared] == [
        ("device.model", 0.5, True),
        ("device.odd-name", 0.5, False),
    ]
    assert found.never_seen == ("n", "country", "device.type", "spare")
    assert [(each.field, each.declared, each.fits) for each in found.contradicted] == [
        ("device.os", "string", "bigint")
    ]


def test_a_declared_type_that_values_contradict_is_told_with_the_one_that_fits() -> None:
    found = differences({"n": 1, "country": None}, {"n": 1.5}, {"n": None})
    (wrong,) = found.contradicted
    assert (wrong.field, wrong.declared, wrong.fits, wrong.events, wrong.share) == ("n", "bigint", "double", 1, 0.5)
    assert wrong.example == "at 1"
    assert found.only_null == ("country",)


def test_an_object_whose_keys_are_data_does_not_fill_the_memory() -> None:
    found = differences(*({f"k{number}": 1} for number in range(5_000)))
    assert found.more
    assert len(found.undeclared) <= 1_100


@pytest.mark.parametrize(
    ("lengths", "last", "taken"),
    [
        ((100, 100), 10, (5, 5)),
        ((2, 100), 10, (2, 8)),
        ((100, 0, 3), 10, (7, 0, 3)),
        ((1, 2), 10, (1, 2)),
        ((100, 100, 100), 4, (2, 1, 1)),
        ((), 10, ()),
    ],
)
def test_the_newest_events_are_shared_among_partitions(
    lengths: tuple[int, ...], last: int, taken: tuple[int, ...]
) -> None:
    offsets = Offsets(begin=dict.fromkeys(range(len(lengths)), 7), end=dict(enumerate(7 + n for n in lengths)))
    newest = newest_offsets(offsets, last)
    assert tuple(newest.end[part] - newest.begin[part] for part in newest.end) == taken


def test_a_file_has_an_event_a_line_and_only_the_last_are_read(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b'{"n": 1}\r\n{"n": 2}\n\n{"n": 3}')
    records = [record for batch in events_of_file(file, last=3).batches for record in batch]
    assert [(record.offset, record.value) for record in records] == [(2, b'{"n": 2}'), (3, b""), (4, b'{"n": 3}')]


def run(folder: Path, *arguments: str) -> Result:
    (folder / "plays.yaml").write_text(STREAM)
    return CliRunner().invoke(app, ["preview", *arguments, "--streams", str(folder)])


def test_a_file_that_was_never_applied_is_previewed_without_any_server(tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    events.write_text('{"n": 7, "new\\u001b[31m": 1}\n{"n": 1}\n{"n": "7"}\n')
    ran = run(tmp_path, "plays.warehouse", "--from-file", str(events))
    assert ran.exit_code == 0, ran.output
    assert "wrong_type: n" in ran.stdout
    assert "\x1b" not in ran.stdout  # what events hold must not steer a terminal
    document = json.loads(run(tmp_path, "plays.warehouse", "--json", "--from-file", str(events)).stdout)
    assert (document["kept"], document["filtered"], document["dead"]) == (1, 1, 1)
    assert document["dead_reasons"] == [{"reason": "wrong_type: n", "events": 1, "example": f"{events}:3"}]


def test_a_route_that_nobody_declares_is_an_error_that_names_close_ones(tmp_path: Path) -> None:
    ran = run(tmp_path, "plays.warehous", "--from-file", "events.ndjson")
    assert isinstance(ran.exception, InvalidSpec)
    assert "plays.warehouse" in str(ran.exception)
