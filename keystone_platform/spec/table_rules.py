"""Rules about what a warehouse sink says of its table's columns: which have another name now, and which shall go."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.models import RouteSpec
from keystone_platform.spec.names import FieldName
from keystone_platform.spec.sinks import WarehouseSink
from keystone_platform.spec.yaml_tree import NodePath

if TYPE_CHECKING:
    from keystone_platform.spec.candidate import Candidate

_NAME = re.compile(FieldName.__metadata__[0].pattern)  # type: ignore[attr-defined]

Problem = tuple[str, str]
"""What is wrong, and the mend."""


def table_changes(
    stream: Candidate, sink: WarehouseSink, selected: Collection[str], path: NodePath
) -> Iterator[InvalidSpec]:
    """Yield what is wrong with `renamed` and `dropped`, given the columns that the route lands."""
    before: set[str] = set()
    for rename in sink.renamed:
        problem = _rename_problem(rename.name, rename.was, selected, before)
        if problem:
            yield stream.error((*path, "renamed", rename.name), *problem)
        before.add(rename.was)
    for index, name in enumerate(sink.dropped):
        problem = _drop_problem(name, selected, before, sink.dropped[:index])
        if problem:
            yield stream.error((*path, "dropped", index), *problem)


def raw_table(stream: Candidate, route: RouteSpec, sink: WarehouseSink, path: NodePath) -> Iterator[InvalidSpec]:
    """Yield what of a raw table's route needs a decoded event: filtered, the table would lack events unseen."""
    for key, value in (("filter", route.filter), ("select", route.select)):
        if sink.raw and value is not None:
            what = f"a raw table holds every event as it came, so its route has no `{key}`"
            yield stream.error((*path, key), what, f"Remove `{key}`, or `raw: true`.")


def _rename_problem(name: str, was: str, selected: Collection[str], before: Collection[str]) -> Problem | None:
    for each in (name, was):
        if problem := _name_problem(each):
            return problem
    if name not in selected:
        close = get_close_matches(name, sorted(selected), n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        return f"the route lands no column {name!r}", f"{hint}Write `new_name: old_name`, and select the new one."
    if was in selected:
        mend = f"Select it no more, or leave {was!r} as it is; two columns that swap names take two applies."
        return f"{was!r} is still selected, so it can't become {name!r}", mend
    if was in before:
        return f"{was!r} is renamed twice", "One column gets its values; remove the other entry."
    return None


def _drop_problem(
    name: str, selected: Collection[str], renamed: Collection[str], before: Collection[str]
) -> Problem | None:
    if problem := _name_problem(name):
        return problem
    if name in selected:
        return f"{name!r} is still selected", "Take it out of `select` and apply; drop it with a later apply."
    if name in renamed:
        return f"{name!r} is renamed, so there is nothing to drop", "Remove one of the two entries."
    if name in before:
        return f"{name!r} occurs twice", "Remove one of them."
    return None


def _name_problem(name: str) -> Problem | None:
    if name.startswith("_"):
        return f"{name!r} is one of Keystone's own columns", "They keep their names and stay."
    if not _NAME.fullmatch(name):
        return f"{name!r} is no column of the table", "Name a column of the top level, no field within one."
    return None
