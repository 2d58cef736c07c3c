"""What an existing table needs for a plan: by field ids, and never a column's values in two columns."""

from __future__ import annotations

import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField

from keystone_platform.gateways.iceberg_schema import table_schema
from keystone_platform.gateways.table_evolution import TableEvolution, table_evolution
from keystone_platform.plan.router_plan import Renamed, WarehouseTarget
from keystone_platform.spec.types import Array, Field, FieldType, Scalar, Struct
from tests.contract.lake_tables import warehouse_plan

ID = ("user_id", Scalar.BIGINT)
KIND = ("kind", Scalar.STRING)
TYPE = ("type", Scalar.STRING)


def schema(*columns: tuple[str, FieldType]) -> Schema:
    return table_schema(warehouse_plan(*columns))


def called(has: Schema, **names: str) -> Schema:
    """The schema after renames, old name to new, with the ids as they were."""
    return Schema(*(field.model_copy(update={"name": names.get(field.name, field.name)}) for field in has.fields))


def with_column(has: Schema, name: str, field_id: int = 99) -> Schema:
    return Schema(*has.fields, NestedField(field_id, name, has.find_type("_host"), required=False))


def without(has: Schema, name: str) -> Schema:
    return Schema(*(field for field in has.fields if field.name != name))


def needed(
    has: Schema,
    wanted: Schema,
    *former: Schema,
    renamed: dict[str, str] | None = None,
    dropped: tuple[str, ...] = (),
) -> TableEvolution:
    renames = tuple(Renamed(name=name, was=was) for name, was in (renamed or {}).items())
    target = WarehouseTarget(table="a.b", renamed=renames or None, dropped=dropped or None)
    return table_evolution(has, wanted, target, (*former, has))


def renames(found: TableEvolution) -> list[str]:
    assert not found.refused, found.refused
    return list(map(str, found.renamed))


def test_a_declared_rename_adds_no_second_column() -> None:
    found = needed(schema(ID, TYPE), schema(ID, KIND), renamed={"kind": "type"})
    assert (renames(found), found.columns.added, found.kept) == (["kind (was type)"], (), ())


def test_a_rename_that_is_done_is_harmless_also_when_the_old_name_is_used_again() -> None:
    before = schema(ID, TYPE)
    after = called(before, type="kind")
    assert not needed(after, schema(ID, KIND), before, renamed={"kind": "type"}).is_change
    again = with_column(after, "type")  # another column that got the old name later
    found = needed(again, schema(ID, KIND), before, renamed={"kind": "type"})
    assert (found.is_change, found.refused, found.kept) == (False, (), ("type",))


def test_a_rename_of_what_a_new_table_never_had_is_a_column_like_any_other() -> None:
    found = needed(schema(ID), schema(ID, KIND), renamed={"kind": "type"})
    assert (renames(found), [str(each) for each in found.columns.added]) == ([], ["kind string"])


def test_a_rename_onto_a_column_that_exists_is_refused() -> None:
    (refused,) = needed(schema(ID, TYPE, KIND), schema(ID, KIND), renamed={"kind": "type"}).refused
    assert "the table has both kind and type" in str(refused)


def test_a_plan_of_before_a_rename_gets_its_column_back_and_no_second_one() -> None:
    before = schema(ID, TYPE)
    found = needed(called(before, type="kind"), before, before)
    assert (renames(found), found.columns.added) == (["type (was kind)"], ())


def test_a_new_column_may_take_the_old_name_beside_the_renamed_one() -> None:
    before = schema(ID, TYPE)
    found = needed(called(before, type="kind"), schema(ID, KIND, TYPE), before)
    assert (renames(found), [str(each) for each in found.columns.added]) == ([], ["type string"])


def test_two_columns_that_both_had_the_name_are_refused_rather_than_guessed() -> None:
    first = schema(ID, TYPE)
    second = with_column(called(first, type="kind"), "type")
    third = called(second, type="form")
    (refused,) = needed(third, first, first, second).refused
    assert "form, kind" in str(refused)


def test_one_column_does_not_become_two() -> None:
    before = schema(ID, TYPE)
    has = called(before, type="kind")
    wanted = schema(ID, TYPE, ("form", Scalar.STRING))
    assert {each.column for each in needed(has, wanted, before, renamed={"form": "kind"}).refused} == {"type", "form"}


def test_a_column_is_renamed_and_widened_at_once() -> None:
    found = needed(schema(("n", Scalar.INT)), schema(("count", Scalar.BIGINT)), renamed={"count": "n"})
    assert renames(found) == ["count (was n)"]
    assert [(each.column, each.effect.value, each.what) for each in found.effects] == [
        ("count", "renamed", "was n, whose values are read under the new name"),
        ("count", "widened", "int to long, every value stays"),
    ]


def test_only_what_is_listed_is_dropped() -> None:
    found = needed(schema(ID, TYPE, KIND), schema(ID), dropped=("kind", "never_there"))
    assert (found.dropped, found.kept) == (("kind",), ("type",))


def test_what_the_route_lands_and_keystones_own_columns_are_never_dropped() -> None:
    found = needed(schema(ID, TYPE), schema(ID), dropped=("user_id", "_time"))
    assert (found.dropped, found.kept) == ((), ("type",))


def test_a_name_that_was_dropped_comes_back_as_a_new_column() -> None:
    before = schema(ID, TYPE)
    found = needed(without(before, "type"), before, before)
    assert (renames(found), [str(each) for each in found.columns.added]) == ([], ["type string"])


@pytest.mark.parametrize(
    ("has", "wanted"),
    [
        (Scalar.STRING, Scalar.BIGINT),
        (Scalar.BIGINT, Scalar.STRING),
        (Scalar.STRING, Struct((Field("x", Scalar.INT),))),
        (Struct((Field("x", Scalar.INT),)), Scalar.STRING),
        (Array(Scalar.STRING), Scalar.STRING),
        (Scalar.DOUBLE, Scalar.INT),
    ],
)
def test_an_unsafe_change_is_refused_with_the_way_around(has: FieldType, wanted: FieldType) -> None:
    (refused,) = needed(schema(("a", has)), schema(("a", wanted))).refused
    assert not refused.is_safe
    assert "`a_new` in `select`" in refused.mend
