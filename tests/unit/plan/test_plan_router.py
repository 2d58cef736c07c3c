from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.plan.plan_router import UnsupportedRoute, plan_fleet, plan_router
from keystone_platform.plan.router_plan import Expression, KafkaTarget, RouterPlan, SearchTarget, WarehouseTarget
from keystone_platform.spec.loader import load_streams
from keystone_platform.spec.models import StreamSpec
from keystone_platform.spec.types import Field, Scalar, Struct

SCHEMA = {
    "user_id": "bigint",
    "country": "string",
    "device": {"type": "string", "os": "string", "app": {"version": "string", "build": "int"}},
}


def planned(schema: object = None, stream: dict[str, object] | None = None, **route: object) -> RouterPlan:
    declared = {"sink": {"warehouse": {"table": "events.plays"}}, **route}
    document = {"stream": "plays", "owner": "team:a", "schema": schema, "routes": [declared]}
    spec = StreamSpec.model_validate(document | (stream or {}))
    return plan_router(spec, spec.routes[0])


def test_without_select_every_declared_column_is_landed() -> None:
    plan = planned(SCHEMA)
    assert [column.name for column in plan.columns] == ["user_id", "country", "device"]
    assert [column.path for column in plan.columns] == [("user_id",), ("country",), ("device",)]
    assert plan.source.columns == plan_columns(plan)
    assert (plan.source.raw, plan.target) == (False, WarehouseTarget(table="events.plays"))


def plan_columns(plan: RouterPlan) -> tuple[Field, ...]:
    return tuple(Field(column.name, column.type) for column in plan.columns)


def test_without_schema_the_payload_is_landed_as_bytes() -> None:
    plan = planned()
    assert (plan.source.raw, plan.source.columns, plan.columns, plan.filter) == (True, (), (), None)


def test_a_raw_table_gets_the_payload_as_bytes_whatever_the_schema_says() -> None:
    plan = planned(SCHEMA, sink={"warehouse": {"table": "raw.plays", "raw": True}})
    assert plan.model_copy(update={"target": planned().target}) == planned()


def test_a_route_that_decodes_reads_its_own_replays_beside_the_topic() -> None:
    assert planned(SCHEMA).source.topics == ("plays", "plays.replay.warehouse")
    assert planned(SCHEMA, name="eu").source.topics == ("plays", "plays.replay.eu")
    assert planned().source.topics == ("plays",)


def test_only_what_filter_and_projection_need_is_decoded() -> None:
    plan = planned(SCHEMA, filter="device.app.build > 3", select=["user_id", {"os": "device.os"}])
    app = Field("app", Struct((Field("build", Scalar.INT),)))
    assert plan.source.columns == (
        Field("user_id", Scalar.BIGINT),
        Field("device", Struct((Field("os", Scalar.STRING), app))),
    )
    assert [(column.name, column.path, column.type) for column in plan.columns] == [
        ("user_id", ("user_id",), Scalar.BIGINT),
        ("os", ("device", "os"), Scalar.STRING),
    ]


def test_computed_columns_are_rendered_for_both_engines_and_decode_what_they_read() -> None:
    computed = [{"name": "lower(country)"}, {"is_tv": "device.type = 'tv'"}, {"source": "'player'"}, {"v": 2}]
    plan = planned(SCHEMA, select=["user_id", *computed])
    device = Field("device", Struct((Field("type", Scalar.STRING),)))
    assert plan.source.columns == (Field("user_id", Scalar.BIGINT), Field("country", Scalar.STRING), device)
    _, name, is_tv, source, version = plan.columns
    assert (name.path, name.type, is_tv.type, version.type) == ((), Scalar.STRING, Scalar.BOOLEAN, Scalar.INT)
    assert is_tv.expression == Expression(
        text="device.type = 'tv'", flink="(`device`.`type` = 'tv')", duckdb='(("device")."type" = \'tv\')'
    )
    assert source.expression
    assert source.expression.flink == "'player'"
    assert RouterPlan.model_validate_json(plan.canonical_json()) == plan


def test_a_word_alone_is_a_field_and_true_and_false_are_constants() -> None:
    plan = planned(SCHEMA, select=["user_id", {"a": "country"}, {"b": True}, {"c": "false"}])
    assert [column.path for column in plan.columns] == [("user_id",), ("country",), (), ()]


NULLED = {
    "nothing said": (SCHEMA, "dead_letter", None),
    "all of the stream": (SCHEMA, None, ("*",)),
    "one field": (SCHEMA | {"user_id": {"type": "bigint", "on_type_error": None}}, "dead_letter", ("user_id",)),
    "all but one": (
        SCHEMA | {"country": {"type": "string", "on_type_error": "dead_letter"}},
        "null",
        ("user_id", "device", "device.type"),
    ),
    "an object with a field that is told apart": (
        SCHEMA
        | {"device": {"type": {"type": {"type": "string", "on_type_error": "dead_letter"}}, "on_type_error": None}},
        "null",
        ("user_id", "country"),
    ),
    "an object with all in it": (
        SCHEMA | {"device": {"type": SCHEMA["device"], "on_type_error": "null"}},
        "dead_letter",
        ("device", "device.type"),
    ),
}


@pytest.mark.parametrize(("schema", "policy", "nulled"), NULLED.values(), ids=NULLED.keys())
def test_what_becomes_null_on_a_type_error_is_told_by_path(
    schema: object, policy: object, nulled: tuple[str, ...] | None
) -> None:
    select = ["user_id", "country", "device.type"]
    plan = planned(schema, select=select, stream={"on_type_error": policy})
    assert plan.source.null_on_type_error == nulled
    assert plan.source.columns == planned(SCHEMA, select=select).source.columns


def test_an_object_may_have_fields_called_like_our_words() -> None:
    plan = planned({"o": {"type": "int", "on_type_error": "string"}})
    assert plan.columns[0].type == Struct((Field("type", Scalar.INT), Field("on_type_error", Scalar.STRING)))


def test_a_selected_object_is_decoded_whole_although_a_part_is_filtered_by() -> None:
    plan = planned(SCHEMA, filter="device.type = 'tv'", select=["device"])
    assert plan.source.columns == (Field("device", plan.columns[0].type),)
    assert isinstance(plan.columns[0].type, Struct)


def test_a_kafka_route_without_filter_decodes_nothing() -> None:
    plan = planned(SCHEMA, sink={"kafka": {"topic": "out"}})
    assert (plan.source.raw, plan.source.columns, plan.columns) == (True, (), ())
    assert plan.target == KafkaTarget(topic="out")
    assert plan.route == "plays.kafka"


def test_a_kafka_route_with_filter_decodes_the_filters_fields_only() -> None:
    plan = planned(SCHEMA, sink={"kafka": {"topic": "out"}}, filter="country = 'US'")
    assert (plan.source.raw, plan.columns) == (False, ())
    assert plan.source.columns == (Field("country", Scalar.STRING),)
    assert plan.filter
    assert plan.filter.flink == "(`country` = 'US')"
    assert plan.filter.duckdb == "(\"country\" = 'US')"


def test_a_kafka_route_with_select_decodes_its_columns_and_its_key() -> None:
    sink = {"kafka": {"topic": "out", "key": "device.type", "delivery": "exactly_once"}}
    plan = planned(SCHEMA, sink=sink, select=["user_id"])
    assert [column.name for column in plan.columns] == ["user_id"]
    assert [str(field) for field in plan.source.columns] == ["user_id: bigint", "device: {type: string}"]
    assert plan.target == KafkaTarget(topic="out", key="device.type", transaction_timeout_s=900)


def test_a_search_route_indexes_what_is_selected() -> None:
    plan = planned(SCHEMA, sink={"search": {"index": "plays-{date}"}}, select=["user_id", {"os": "device.os"}])
    assert (plan.route, plan.target) == ("plays.search", SearchTarget(index="plays-{date}"))
    assert [column.name for column in plan.columns] == ["user_id", "os"]


def test_a_search_route_of_a_stream_without_schema_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnsupportedRoute, match="declares no schema"):
        planned(sink={"search": {"index": "plays"}})


def test_a_route_that_cannot_run_does_not_keep_others_from_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "stream: a\nowner: team:a\nroutes:\n  - sink: {search: {index: a}}\n  - sink: {warehouse: {table: events.a}}\n"
    )
    fleet_plan = plan_fleet(load_streams(tmp_path))
    assert [plan.route for plan in fleet_plan.plans] == ["a.warehouse"]
    (error,) = fleet_plan.errors
    assert (Path(error.file).name, error.line, error.field) == ("a.yaml", 4, "routes[0].sink")


def test_the_same_route_gives_the_same_bytes() -> None:
    route = {"filter": "country in ('US', 'BR')", "select": ["user_id"]}
    assert planned(SCHEMA, **route).canonical_json() == planned(SCHEMA, **route).canonical_json()
    assert planned(SCHEMA, **route).digest != planned(SCHEMA).digest


def test_a_plan_reads_back_from_its_json() -> None:
    plan = planned(SCHEMA, filter="device.type = 'tv'")
    assert RouterPlan.model_validate_json(plan.canonical_json()) == plan


def test_only_what_is_decoded_has_an_encoding_and_json_is_none() -> None:
    avro: dict[str, object] = {"format": "avro"}
    assert planned(SCHEMA, avro).source.format == "avro"
    assert planned(SCHEMA).source.format is None
    assert planned(SCHEMA, {"format": "json"}).digest == planned(SCHEMA).digest
    onward = planned(SCHEMA, avro, sink={"kafka": {"topic": "onward"}})
    assert (onward.source.raw, onward.source.format) == (True, None)
    assert planned(SCHEMA, avro).digest != planned(SCHEMA).digest
