"""How an existing table becomes one that takes a plan's rows: by field ids, so that no file is rewritten.

The table's own history of schemas says which names a column has had. A plan that names a column by a former name, as a
plan does that is started again after the one that renamed it, gets that column back under that name. Adding it anew
would split its values over two columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import NestedField

from keystone_platform.gateways.iceberg_schema import TABLE_PROPERTIES, Evolution, evolution
from keystone_platform.plan.column_effect import ColumnEffect, Effect
from keystone_platform.plan.router_plan import Renamed, WarehouseTarget


@dataclass(frozen=True)
class TableEvolution:
    """What an existing table needs; nothing when it takes the rows as it is.

    Attributes:
        renamed: names that change; the columns keep their ids.
        columns: what is to be added and widened, in paths of after the renames.
        dropped: columns that go.
        kept: columns that the plan does not write and that stay.
        refused: what can't be done; nothing is done then.
        before: types of the columns that exist, by path of after the renames.
    """

    renamed: tuple[Renamed, ...]
    columns: Evolution
    dropped: tuple[str, ...]
    kept: tuple[str, ...]
    refused: tuple[ColumnEffect, ...]
    before: tuple[tuple[str, str], ...]

    @property
    def is_change(self) -> bool:
        """Whether the schema changes."""
        return bool(self.renamed or self.dropped or self.columns.added or self.columns.widened)

    @property
    def effects(self) -> tuple[ColumnEffect, ...]:
        """What becomes of each column that changes or is no longer written, refused ones first."""
        types = dict(self.before)
        return (
            *self.refused,
            *(
                ColumnEffect(each.name, Effect.RENAMED, f"was {each.was}, whose values are read under the new name")
                for each in self.renamed
            ),
            *(
                ColumnEffect(".".join(each.path), Effect.ADDED, f"{each.type}, null in the rows that are there")
                for each in self.columns.added
            ),
            *(
                ColumnEffect(path, Effect.WIDENED, f"{types[path]} to {each.type}, every value stays")
                for each in self.columns.widened
                for path in (".".join(each.path),)
            ),
            *(ColumnEffect(name, Effect.DROPPED, "no query reads its values any more") for name in self.dropped),
            *(
                ColumnEffect(name, Effect.KEPT, "no longer written, null in new rows, its values stay")
                for name in self.kept
            ),
        )


def table_evolution(has: Schema, wanted: Schema, target: WarehouseTarget, schemas: Sequence[Schema]) -> TableEvolution:
    """Return what a table with the schema `has` needs so that rows of `wanted` can be written.

    Args:
        has: the table's schema.
        wanted: the plan's.
        target: says which columns were renamed and which shall go.
        schemas: all that the table has had.
    """
    renamed, refused = _renames(has, wanted, target, schemas)
    names = {each.was: each.name for each in renamed}
    after = Schema(*(_called(field, names.get(field.name, field.name)) for field in has.fields))
    columns = evolution(after, wanted)
    refused += [
        ColumnEffect(path, Effect.REFUSED, str(each), _mend(each.path[0]))
        for each in columns.incompatible
        for path in (".".join(each.path),)
    ]
    written = {field.name for field in wanted.fields}
    idle = [field.name for field in after.fields if field.name not in written]
    dropped = tuple(name for name in target.dropped or () if name in idle and not name.startswith("_"))
    return TableEvolution(
        renamed=tuple(renamed),
        columns=columns,
        dropped=dropped,
        kept=tuple(name for name in idle if name not in dropped),
        refused=tuple(refused),
        before=tuple((name, str(after.find_type(name))) for name in after.column_names),
    )


def apply_evolution(table: Table, needed: TableEvolution) -> None:
    """Change the table's schema, and add the properties that it lacks, in one commit; nothing where none is lacking."""
    missing = {key: value for key, value in TABLE_PROPERTIES.items() if key not in table.properties}
    missing.pop("format-version", None)  # a version of the metadata, never kept as a property
    if not (needed.is_change or missing):
        return
    was = {each.name: each.was for each in needed.renamed}
    with table.transaction() as transaction:
        if missing:
            transaction.set_properties(missing)
        if not needed.is_change:
            return
        with transaction.update_schema() as update:
            for rename in needed.renamed:
                update.rename_column(rename.was, rename.name)
            for change in needed.columns.added:  # what is there is found by the names of before
                update.add_column((was.get(change.path[0], change.path[0]), *change.path[1:]), change.type)
            for change in needed.columns.widened:
                update.update_column((was.get(change.path[0], change.path[0]), *change.path[1:]), change.type)
            for name in needed.dropped:
                update.delete_column(name)


def _renames(
    has: Schema, wanted: Schema, target: WarehouseTarget, schemas: Sequence[Schema]
) -> tuple[list[Renamed], list[ColumnEffect]]:
    """Return the columns that get another name: those that are declared so, and those that get a former one back."""
    ids = {field.name: field.field_id for field in has.fields}
    names = {field.field_id: field.name for field in has.fields}
    written = {field.name for field in wanted.fields}
    declared = {each.name: each.was for each in target.renamed or ()}
    renamed: list[Renamed] = []
    refused: list[ColumnEffect] = []
    for field in wanted.fields:
        name, was = field.name, declared.get(field.name)
        if name in ids:
            if was in ids and ids[name] not in _ids_of(was, schemas):
                what = f"the table has both {name} and {was}, and values of two columns can't become one"
                mend = f"Remove the entry: {was} stays beside it. Or rename it to a name that the table has not"
                refused.append(ColumnEffect(name, Effect.REFUSED, what, mend))
            continue
        former = {names[each] for each in _ids_of(name, schemas) if each in names} - written
        choices = sorted(former | ({was} if was in ids else set()))
        if len(choices) > 1:
            what = f"it may be any of {', '.join(choices)}: one is declared, or each had that name before"
            refused.append(ColumnEffect(name, Effect.REFUSED, what, "Select it under a name that the table never had"))
        elif choices:
            renamed.append(Renamed(name=name, was=choices[0]))
    twice = {was for was, count in Counter(each.was for each in renamed).items() if count > 1}
    refused += [
        ColumnEffect(each.name, Effect.REFUSED, f"{each.was} can't become two columns", "Rename it to one of them")
        for each in renamed
        if each.was in twice
    ]
    return [each for each in renamed if each.was not in twice], refused


def _ids_of(name: str | None, schemas: Sequence[Schema]) -> set[int]:
    """Return the ids of the columns that have ever had the name."""
    return {field.field_id for schema in schemas for field in schema.fields if field.name == name}


def _called(field: NestedField, name: str) -> NestedField:
    return field.model_copy(update={"name": name})


def _mend(column: str) -> str:
    return (
        f"Land it under another name, such as `{column}_new` in `select` (the old column stays), keep the column's "
        "type, or name another table"
    )
