from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.spec.loader import load_streams, load_streams_leniently
from tests.unit.spec.files import MINIMAL, errors_of, places, write


def stream(name: str, *sinks: str, topic: str = "") -> str:
    """Return a stream file without schema and with these sinks."""
    routes = "".join(f"  - {{name: r{number}, sink: {sink}}}\n" for number, sink in enumerate(sinks))
    return f"stream: {name}\nowner: team:a\n" + (f"topic: {topic}\n" if topic else "") + f"routes:\n{routes}"


def table(name: str) -> str:
    return f"{{warehouse: {{table: events.{name}}}}}"


def kafka(topic: str) -> str:
    return f"{{kafka: {{topic: {topic}}}}}"


WITHIN = {
    "an unknown field in select": ("    select: [usr_id]\n", "routes[0].select[0]", "Did you mean 'user_id'?"),
    "an unknown nested field": ("    select: [device.tpe]\n", "routes[0].select[0]", "Did you mean 'device.type'?"),
    "a field of a scalar": ("    select: [country.x]\n", "routes[0].select[0]", "has no fields"),
    "a column twice": ("    select: [user_id, {user_id: country}]\n", "routes[0].select[1]", "already a column"),
    "columns that differ by case": (
        "    select: [user_id, {User_Id: country}]\n",
        "routes[0].select[1]",
        "only by case",
    ),
    "more subtasks than partitions": (
        "    autoscale: {max: 8}\n",
        "routes[0].autoscale.max",
        "8 subtasks for 4 partitions",
    ),
    "a beginning outside of the bounds": (
        "    autoscale: {min: 2, max: 4}\n    parallelism: 1\n",
        "routes[0].parallelism",
        "begins with 1 subtasks, outside of its bounds 2 to 4",
    ),
    "bounds the wrong way round": ("    autoscale: {min: 3, max: 2}\n", "routes[0].autoscale", "`min` is 3"),
    "a wrong filter": ("    filter: usr_id > 1\n", "routes[0].filter", "column 1: unknown field usr_id"),
    "a wrong expression": ("    select: [{x: lower(usr)}]\n", "routes[0].select[0]", "x: column 7: unknown field usr"),
    "an object as a value": ("    select: [{x: (device)}]\n", "routes[0].select[0]", "an object where a plain value"),
    "constants only": ("    select: [{x: \"'a'\"}, {y: 1}]\n", "routes[0].select", "nothing of the event"),
    "a filter before a raw table": (
        "  - {name: raw, sink: {warehouse: {table: raw.a, raw: true}}, filter: user_id > 1}\n",
        "routes[1].filter",
        "holds every event as it came",
    ),
    "columns of a raw table": (
        "  - {name: raw, sink: {warehouse: {table: raw.a, raw: true}}, select: [user_id]}\n",
        "routes[1].select",
        "Remove `select`",
    ),
    "two routes of one name": (
        "  - sink: {warehouse: {table: events.two}}\n",
        "routes[1]",
        "Add a `name:` of its own",
    ),
    "a column to sort by that the table has not": (
        "  - {name: two, sink: {warehouse: {table: a.b, sort_by: [contry]}}}\n",
        "routes[1].sink.warehouse.sort_by[0]",
        "Did you mean 'country'?",
    ),
    "a column to sort by that has no order": (
        "  - {name: two, sink: {warehouse: {table: a.b, sort_by: [_time, device]}}}\n",
        "routes[1].sink.warehouse.sort_by[1]",
        "has no order",
    ),
    "a column to sort by twice": (
        "  - {name: two, sink: {warehouse: {table: a.b, sort_by: [_time, _time]}}}\n",
        "routes[1].sink.warehouse.sort_by[1]",
        "occurs twice",
    ),
    "a rename to a column that the route lands not": (
        "  - {name: two, sink: {warehouse: {table: a.b, renamed: {contry: land}}}}\n",
        "routes[1].sink.warehouse.renamed.contry",
        "Did you mean 'country'?",
    ),
    "a rename of a column that is still selected": (
        "  - {name: two, sink: {warehouse: {table: a.b, renamed: {country: user_id}}}}\n",
        "routes[1].sink.warehouse.renamed.country",
        "'user_id' is still selected",
    ),
    "one column renamed to two": (
        "  - {name: two, sink: {warehouse: {table: a.b, renamed: {country: x, user_id: x}}}}\n",
        "routes[1].sink.warehouse.renamed.user_id",
        "'x' is renamed twice",
    ),
    "a rename of one of Keystone's own columns": (
        "  - {name: two, sink: {warehouse: {table: a.b, renamed: {country: _host}}}}\n",
        "routes[1].sink.warehouse.renamed.country",
        "'_host' is one of Keystone's own columns",
    ),
    "a rename within an object": (
        "  - {name: two, sink: {warehouse: {table: a.b, renamed: {country: device.land}}}}\n",
        "routes[1].sink.warehouse.renamed.country",
        "no field within one",
    ),
    "renames that are a list": (
        "  - {name: two, sink: {warehouse: {table: a.b, renamed: [country]}}}\n",
        "routes[1].sink.warehouse.renamed",
        "a mapping of new",
    ),
    "a drop of a column that is still selected": (
        "  - {name: two, sink: {warehouse: {table: a.b, dropped: [old, country]}}}\n",
        "routes[1].sink.warehouse.dropped[1]",
        "Take it out of `select`",
    ),
    "a drop of one of Keystone's own columns": (
        "  - {name: two, sink: {warehouse: {table: a.b, dropped: [_offset]}}}\n",
        "routes[1].sink.warehouse.dropped[0]",
        "one of Keystone's own columns",
    ),
    "a drop of what is renamed": (
        "  - {name: two, sink: {warehouse: {table: a.b, renamed: {country: x}, dropped: [x]}}}\n",
        "routes[1].sink.warehouse.dropped[0]",
        "nothing to drop",
    ),
    "a drop twice": (
        "  - {name: two, sink: {warehouse: {table: a.b, dropped: [x, x]}}}\n",
        "routes[1].sink.warehouse.dropped[1]",
        "occurs twice",
    ),
    "a key that the schema has not": (
        "  - {sink: {kafka: {topic: x, key: device.tpe}}}\n",
        "routes[1].sink.kafka.key",
        "Did you mean 'device.type'?",
    ),
    "a key that has no one text": (
        "  - {sink: {kafka: {topic: x, key: device}}}\n",
        "routes[1].sink.kafka.key",
        "which is no key",
    ),
    "transactions that time out before a slow checkpoint": (
        "  - sink: {kafka: {topic: x, delivery: exactly_once, transaction_timeout_s: 60}}\n",
        "routes[1].sink.kafka.transaction_timeout_s",
        "Set `transaction_timeout_s` to 610 or more",
    ),
    "rare checkpoints with transactions": (
        "  - {sink: {kafka: {topic: x, delivery: exactly_once}}, checkpoint_interval_s: 3600}\n",
        "routes[1].sink.kafka",
        "Set `transaction_timeout_s` to 4200 or more",
    ),
    "a transaction's timeout without transactions": (
        "  - sink: {kafka: {topic: x, transaction_timeout_s: 900}}\n",
        "routes[1].sink.kafka",
        "is for `delivery: exactly_once`",
    ),
}


@pytest.mark.parametrize(("added", "field", "said"), WITHIN.values(), ids=WITHIN.keys())
def test_what_does_not_fit_within_a_stream_is_refused(tmp_path: Path, added: str, field: str, said: str) -> None:
    write(tmp_path, plays=MINIMAL + added)
    (error,) = errors_of(tmp_path)
    assert error.field == field
    assert error.line >= 9
    assert said in str(error)
    assert not load_streams_leniently(tmp_path).streams


@pytest.mark.parametrize("key", ["keep", "none", "user_id", "device.type"])
def test_a_key_is_kept_or_left_out_or_a_field(tmp_path: Path, key: str) -> None:
    write(tmp_path, plays=MINIMAL + f"  - {{sink: {{kafka: {{topic: x, key: {key}}}}}, select: [country]}}\n")
    assert errors_of(tmp_path) == ()


def test_a_key_from_the_payload_needs_a_schema(tmp_path: Path) -> None:
    write(tmp_path, a=stream("a", "{kafka: {topic: x, key: user_id}}"))
    (error,) = errors_of(tmp_path)
    assert (error.field, error.mend) == ("routes[0].sink.kafka.key", "Declare `schema`, or write `keep` or `none`.")


@pytest.mark.parametrize(("key", "value"), [("filter", "a > 1"), ("select", "[a]")])
def test_filter_and_select_need_a_schema(tmp_path: Path, key: str, value: str) -> None:
    write(tmp_path, a=stream("a", table("a")).replace("}}}", f"}}}}, {key}: {value}}}"))
    (error,) = errors_of(tmp_path)
    assert error.field == f"routes[0].{key}"
    assert "Declare `schema`" in error.mend


def test_one_table_of_two_streams_stops_both_and_names_both_places(tmp_path: Path) -> None:
    write(tmp_path, a=stream("a", table("t")), b=stream("b", table("t")), c=stream("c", table("c")))
    fleet = load_streams_leniently(tmp_path)
    assert [each.spec.stream for each in fleet.streams] == ["c"]
    assert places(tmp_path) == [
        ("a.yaml", 4, "routes[0].sink.warehouse.table"),
        ("b.yaml", 4, "routes[0].sink.warehouse.table"),
    ]
    assert "b.yaml:4" in fleet.errors[0].what
    assert "a.yaml:4" in fleet.errors[1].what


def test_one_table_twice_within_a_stream_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a=stream("a", table("t"), table("t")))
    assert [place[1] for place in places(tmp_path)] == [4, 5]


def test_one_stream_name_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a=stream("x", table("a"), topic="a"), b=stream("x", table("b"), topic="b"))
    assert [(place[0], place[2]) for place in places(tmp_path)] == [("a.yaml", "stream"), ("b.yaml", "stream")]


def test_one_topic_of_two_streams_is_refused_also_where_it_is_the_default(tmp_path: Path) -> None:
    write(tmp_path, a=stream("a", table("a")), b=stream("b", table("b"), topic="a"))
    assert [place[0] for place in places(tmp_path)] == ["a.yaml", "b.yaml"]
    assert "belongs to another stream" in str(errors_of(tmp_path)[0])


def test_topics_that_kafka_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    write(tmp_path, a=stream("a", table("a"), topic="x.y"), b=stream("b", table("b"), topic="x_y"))
    assert all("Kafka refuses" in str(error) for error in errors_of(tmp_path))
    assert len(errors_of(tmp_path)) == 2


@pytest.mark.parametrize(("topic", "breaches"), [("t" * 239, 0), ("t" * 240, 1)])
def test_the_topic_of_replayed_letters_fits_what_kafka_takes(tmp_path: Path, topic: str, breaches: int) -> None:
    write(tmp_path, a=stream("a", table("a"), topic=topic))
    assert len(errors_of(tmp_path)) == breaches


def test_the_tables_of_dead_letters_are_nobody_elses(tmp_path: Path) -> None:
    write(tmp_path, a=stream("a", "{warehouse: {table: dead_letters.a}}"))
    assert places(tmp_path) == [("a.yaml", 4, "routes[0].sink.warehouse.table")]


def test_a_kafka_sink_never_writes_into_a_routes_replays(tmp_path: Path) -> None:
    write(tmp_path, a=stream("a", kafka("b.replay.r0")), b=stream("b", table("b")))
    assert places(tmp_path) == [("a.yaml", 4, "routes[0].sink.kafka.topic")]


@pytest.mark.parametrize("target", ["a.dlq", "b.dlq", "elsewhere.dlq"])
def test_a_kafka_sink_never_writes_into_dead_letters(tmp_path: Path, target: str) -> None:
    write(tmp_path, a=stream("a", kafka(target)), b=stream("b", table("b")))
    assert places(tmp_path) == [("a.yaml", 4, "routes[0].sink.kafka.topic")]


def test_events_that_would_go_in_a_circle_are_refused(tmp_path: Path) -> None:
    write(tmp_path, own=stream("own", kafka("own")), a=stream("a", kafka("b")), b=stream("b", kafka("a"), table("b")))
    assert [place[0] for place in places(tmp_path)] == ["a.yaml", "b.yaml", "own.yaml"]
    assert "a -> b -> a" in str(errors_of(tmp_path)[0])


def test_a_kafka_sink_may_feed_another_stream(tmp_path: Path) -> None:
    write(tmp_path, a=stream("a", kafka("b"), kafka("c")), b=stream("b", kafka("c")), c=stream("c", table("c")))
    assert len(load_streams(tmp_path).routes) == 4


def test_the_example_streams_are_valid() -> None:
    fleet = load_streams(Path(__file__).parents[3] / "streams")
    assert {route.id for route in fleet.routes} == {
        "ad_impressions.warehouse",
        "client_errors.warehouse",
        "playback.warehouse",
    }
