"""Tables from plans: what a new route's table looks like, and what an existing one needs."""

from __future__ import annotations

import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

from keystone_platform.gateways.iceberg_schema import Evolution, evolution, hourly, is_hourly, table_schema
from keystone_platform.plan.router_plan import METADATA_COLUMNS
from keystone_platform.spec.types import Array, Field, FieldType, Scalar, Struct
from tests.contract.lake_tables import warehouse_plan


def schema(*columns: tuple[str, FieldType]) -> Schema:
    return table_schema(warehouse_plan(*columns))


def test_selected_columns_come_first_then_the_metadata_and_none_is_required() -> None:
    found = schema(("user_id", Scalar.BIGINT), ("country", Scalar.STRING))
    assert tuple(found.column_names) == ("user_id", "country", *METADATA_COLUMNS)
    assert not any(field.required for field in found.fields)


def test_a_raw_route_lands_the_bytes() -> None:
    found = table_schema(warehouse_plan(raw=True))
    assert next((field.name, str(field.field_type)) for field in found.fields) == ("_value", "binary")


@pytest.mark.parametrize(
    ("declared", "landed"),
    [
        (Scalar.STRING, "string"),
        (Scalar.BOOLEAN, "boolean"),
        (Scalar.INT, "int"),
        (Scalar.BIGINT, "long"),
        (Scalar.FLOAT, "float"),
        (Scalar.DOUBLE, "double"),
        (Scalar.DATE, "date"),
        (Scalar.TIMESTAMP, "timestamptz"),
        (Array(Scalar.DATE), "list<date>"),
    ],
)
def test_every_declared_type_has_a_column_type(declared: Scalar, landed: str) -> None:
    assert str(schema(("value", declared)).find_type("value")) == landed


def test_an_array_is_the_same_whatever_ids_the_catalog_gave_it() -> None:
    has = schema(("x", Scalar.INT), ("tags", Array(Scalar.INT)))
    assert evolution(has, schema(("tags", Array(Scalar.INT)))) == Evolution()
    widened = evolution(has, schema(("tags", Array(Scalar.BIGINT)))).widened
    assert [str(change) for change in widened] == ["tags.element long"]


def test_field_ids_are_unique_with_nested_structs() -> None:
    inner = Struct((Field("os", Struct((Field("name", Scalar.STRING),))), Field("type", Scalar.STRING)))
    found = schema(("device", inner), ("last", Scalar.INT))
    assert len(found.field_ids) == len(set(found.field_ids)) == 12


def test_partitions_are_the_hours_of_the_event_time() -> None:
    found = schema()
    spec = hourly(found)
    assert is_hourly(spec, found)
    assert str(spec.fields[0].transform) == "hour"


def test_a_new_order_of_columns_changes_nothing() -> None:
    one, other = ("a", Scalar.INT), ("b", Scalar.STRING)
    assert evolution(schema(one, other), schema(other, one)) == evolution(schema(one), schema(one))


def test_a_column_that_the_plan_dropped_stays() -> None:
    change = evolution(schema(("a", Scalar.INT), ("b", Scalar.INT)), schema(("a", Scalar.INT)))
    assert (change.added, change.widened, change.incompatible) == ((), (), ())


def test_new_and_widened_columns_are_found_in_structs_too() -> None:
    before = schema(("device", Struct((Field("n", Scalar.INT),))))
    after = schema(("device", Struct((Field("n", Scalar.BIGINT), Field("os", Scalar.STRING)))), ("x", Scalar.DATE))
    change = evolution(before, after)
    assert sorted(map(str, change.added)) == ["device.os string", "x date"]
    assert [str(widened) for widened in change.widened] == ["device.n long"]


def test_a_wider_column_takes_a_narrower_plan_without_change() -> None:
    change = evolution(
        schema(("a", Scalar.BIGINT), ("b", Scalar.DOUBLE)), schema(("a", Scalar.INT), ("b", Scalar.FLOAT))
    )
    assert (change.added, change.widened, change.incompatible) == ((), (), ())


@pytest.mark.parametrize(
    ("has", "wanted"),
    [
        (Scalar.STRING, Scalar.BIGINT),
        (Scalar.BIGINT, Scalar.STRING),
        (Scalar.INT, Scalar.DOUBLE),
        (Scalar.TIMESTAMP, Scalar.DATE),
        (Array(Scalar.STRING), Scalar.STRING),
        (Scalar.STRING, Struct((Field("x", Scalar.INT),))),
        (Struct((Field("x", Scalar.INT),)), Scalar.STRING),
    ],
)
def test_any_other_change_of_type_is_incompatible(has: FieldType, wanted: FieldType) -> None:
    change = evolution(schema(("a", has)), schema(("a", wanted)))
    assert [problem.path for problem in change.incompatible] == [("a",)]


def test_a_table_that_is_not_ours_is_not_taken_for_hourly() -> None:
    foreign = Schema(NestedField(1, "id", LongType()), NestedField(99, "_time", StringType()))
    assert not is_hourly(hourly(schema()), Schema(NestedField(1, "id", LongType())))
    assert not is_hourly(hourly(schema()), foreign)
