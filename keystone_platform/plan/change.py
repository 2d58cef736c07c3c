"""What an apply would change of a router, field by field, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from keystone_platform.plan.cost import Cost
from keystone_platform.plan.router_plan import Expression, OutputColumn, PlanPart, Renamed, RouterPlan
from keystone_platform.spec.types import Field as SchemaField


class ChangeKind(StrEnum):
    """What an apply does to the router."""

    NOTHING = "nothing"
    RESCALE = "rescale"
    RESTART = "restart"
    NEW = "new"


_KINDS = {
    Cost.NOTHING: ChangeKind.NOTHING,
    Cost.RESCALE: ChangeKind.RESCALE,
    Cost.RESTART: ChangeKind.RESTART,
    Cost.NEW: ChangeKind.NEW,
}


@dataclass(frozen=True)
class Difference:
    """One field that differs; an empty side says that it is not there.

    Attributes:
        field: dotted path in the RouterPlan; a column by its name: `columns.device_type`.
    """

    field: str
    old: str
    new: str
    cost: Cost

    def __str__(self) -> str:
        return f"{self.field}: {self.old or '(none)'} -> {self.new or '(none)'}"


@dataclass(frozen=True)
class Change:
    """The way from one plan to another.

    Attributes:
        kind: the dearest of the differences; NEW without differences when there was no plan before.
        differences: in the order of the plan's fields. There may be some although the kind is NOTHING: the text of a
            filter that means the same.
    """

    kind: ChangeKind
    differences: tuple[Difference, ...] = ()


def diff_plans(old: RouterPlan | None, new: RouterPlan) -> Change:
    """Return what it takes to get from the running plan, or from none, to the new one."""
    if old is None:
        return Change(ChangeKind.NEW)
    differences = tuple(_of_parts(old, new, ""))
    return Change(_KINDS[max((each.cost for each in differences), default=Cost.NOTHING)], differences)


def _of_parts(old: PlanPart, new: PlanPart, prefix: str) -> Iterator[Difference]:
    if type(old) is not type(new):  # another kind of target: its fields don't correspond
        yield Difference(prefix.rstrip("."), _shown(old), _shown(new), Cost.NEW)
        return
    for name, info in type(new).model_fields.items():
        cost = next(each for each in info.metadata if isinstance(each, Cost))
        yield from _of_values(getattr(old, name), getattr(new, name), f"{prefix}{name}", cost)


def _of_values(old: Any, new: Any, field: str, cost: Cost) -> Iterator[Difference]:  # noqa: ANN401 - a field's value
    if old == new:
        return
    if isinstance(old, Expression) and isinstance(new, Expression):
        yield _of_expressions(old, new, field, cost)
    elif isinstance(old, PlanPart) and isinstance(new, PlanPart):
        yield from _of_parts(old, new, f"{field}.")
    elif isinstance(old, tuple) and isinstance(new, tuple) and not any(isinstance(each, str) for each in (*old, *new)):
        yield from _of_columns(old, new, field, cost)
    else:
        yield Difference(field, _shown(old), _shown(new), cost)


def _of_expressions(old: Expression, new: Expression, field: str, cost: Cost) -> Difference:
    """Return one difference, in the user's own words unless only what comes of them differs."""
    renderings = ((old.text, new.text), (old.flink, new.flink), (old.duckdb, new.duckdb))
    before, after = next(pair for pair in renderings if pair[0] != pair[1])
    return Difference(field, before, after, Cost.NOTHING if old.flink == new.flink else cost)


def _of_columns(
    old: tuple[OutputColumn | SchemaField | Renamed, ...],
    new: tuple[OutputColumn | SchemaField | Renamed, ...],
    field: str,
    cost: Cost,
) -> Iterator[Difference]:
    before, after = {each.name: each for each in old}, {each.name: each for each in new}
    for name in dict.fromkeys([*before, *after]):
        one, other = before.get(name), after.get(name)
        if one != other:
            is_spelling = (
                isinstance(one, OutputColumn) and isinstance(other, OutputColumn) and one.is_spelled_otherwise(other)
            )
            yield Difference(f"{field}.{name}", _shown(one), _shown(other), Cost.NOTHING if is_spelling else cost)
    if before.keys() == after.keys() and [*before] != [*after]:
        yield Difference(f"{field} (order)", ", ".join(before), ", ".join(after), cost)


def _shown(value: Any) -> str:  # noqa: ANN401 - a field's value
    match value:
        case None:
            return ""
        case OutputColumn():
            return f"{value.expression.text if value.expression else '.'.join(value.path)} ({value.type})"
        case SchemaField():
            return str(value.type)
        case Renamed():
            return value.was
        case tuple():
            return ", ".join(map(str, value))
        case BaseModel():
            values = value.model_dump(exclude_none=True)
            return str(values["text"]) if "text" in values else ", ".join(f"{k} {v}" for k, v in values.items())
        case _:
            return str(value)
