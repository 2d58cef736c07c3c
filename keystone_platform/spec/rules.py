"""Rules beyond the form of one value, within a stream: its fields, columns and filters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.candidate import Candidate
from keystone_platform.spec.filters import field_paths, parse_expression, parse_filter
from keystone_platform.spec.fleet_rules import across
from keystone_platform.spec.models import AutoscaleSpec, RouteSpec, SelectItem, StreamSpec, replay_topic
from keystone_platform.spec.names import LONGEST_TOPIC, REPLAY_INFIX
from keystone_platform.spec.sinks import (
    CHECKPOINT_TIMEOUT_S,
    RECOVERY_MARGIN_S,
    SORTABLE_METADATA,
    KafkaSink,
    WarehouseSink,
)
from keystone_platform.spec.table_rules import raw_table, table_changes
from keystone_platform.spec.types import Array, FieldType, Scalar, Struct
from keystone_platform.spec.yaml_tree import NodePath

RESERVED_KEYS = ("keep", "none")
"""Values of a kafka sink's `key` that are no fields."""

KEY_TYPES = frozenset({Scalar.STRING, Scalar.BOOLEAN, Scalar.INT, Scalar.BIGINT, Scalar.DATE})
"""Types whose equal values have one text each, so that equal keys meet in one partition."""


def check(candidates: Sequence[Candidate]) -> tuple[InvalidSpec, ...]:
    """Return every breach. Where places contradict each other, each of them gets an error that names the others."""
    within = (error for candidate in candidates for error in _within(candidate))
    return (*within, *across(candidates))


def _within(stream: Candidate) -> Iterator[InvalidSpec]:
    names: dict[str, int] = {}
    for index, route in enumerate(stream.spec.routes):
        path: NodePath = ("routes", index)
        first = names.setdefault(route.route_name, index)
        if first != index:
            what = (
                f"a second route named {route.route_name!r}, the first is on line {stream.tree.line(('routes', first))}"
            )
            yield stream.error((*path, "name"), what, "Add a `name:` of its own to the route.")
        yield from _replay_topic(stream, route, path)
        yield from _columns(stream, route, path)
        if route.autoscale:
            yield from _autoscale(stream, route, route.autoscale, path)
        if route.sink.warehouse:
            yield from raw_table(stream, route, route.sink.warehouse, path)
            yield from _sort_columns(stream, route, route.sink.warehouse, (*path, "sink", "warehouse", "sort_by"))
            selected = _column_types(stream.spec, route)
            yield from table_changes(stream, route.sink.warehouse, selected, (*path, "sink", "warehouse"))
        if route.sink.kafka:
            yield from _record_key(stream, route.sink.kafka, (*path, "sink", "kafka", "key"))
            yield from _transactions(stream, route, route.sink.kafka, path)
        if route.filter is not None:
            yield from _filter(stream, route.filter, (*path, "filter"))


def _replay_topic(stream: Candidate, route: RouteSpec, path: NodePath) -> Iterator[InvalidSpec]:
    excess = len(replay_topic(stream.spec, route)) - LONGEST_TOPIC
    if excess > 0:
        what = (
            f"the topic of its replayed dead letters, `<topic>{REPLAY_INFIX}<route>`, is {excess} characters too long"
        )
        yield stream.error((*path, "name"), what, f"Kafka takes {LONGEST_TOPIC}: shorten the route's or topic's name.")


def _columns(stream: Candidate, route: RouteSpec, path: NodePath) -> Iterator[InvalidSpec]:
    if route.select is None:
        return
    at = (*path, "select")
    if stream.spec.fields is None:
        what = "`select` needs to know the stream's fields, and the stream declares no schema"
        yield stream.error(at, what, "Declare `schema`, or remove `select` to land the payload as it is.")
        return
    seen: dict[str, SelectItem] = {}
    for index, item in enumerate(route.select):
        for what, mend in _value_problems(stream.spec.fields, item):
            yield stream.error((*at, index), what, mend)
        other = seen.setdefault(item.name.lower(), item)
        if other is not item:
            same = "there is" if other.name == item.name else f"{other.name!r} differs only by case from"
            what = f"{same} {'already a column' if other.name == item.name else 'the column'} {item.name!r}"
            yield stream.error((*at, index), what, f"Give it another name: `{{other_name: {item.path or '…'}}}`.")
    if all(item.path is None and not _reads(stream.spec.fields, item) for item in route.select):
        yield stream.error(at, "`select` takes nothing of the event", "Select at least one field.")


def _value_problems(schema: Struct, item: SelectItem) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a column's value, and the mend."""
    unknown = unknown_field(schema, tuple(item.path.split("."))) if item.path else None
    if unknown:
        yield unknown
    if item.expression is not None:
        try:
            parse_expression(item.expression, schema)
        except InvalidSpec as error:
            yield f"{item.name}: {error.what}", error.mend


def _reads(schema: Struct, item: SelectItem) -> bool:
    """Whether an expression reads a field; a wrong one counts, since it has its own error."""
    try:
        return bool(field_paths(parse_expression(item.expression or "", schema)))
    except InvalidSpec:
        return True


def _sort_columns(stream: Candidate, route: RouteSpec, sink: WarehouseSink, path: NodePath) -> Iterator[InvalidSpec]:
    columns = _column_types(stream.spec, route)
    known = {*columns, *SORTABLE_METADATA}
    for index, name in enumerate(sink.sort_by):
        if name not in known:
            close = get_close_matches(name, sorted(known), n=1)
            mend = f"Did you mean {close[0]!r}?" if close else f"It has: {', '.join(sorted(known))}."
            yield stream.error((*path, index), f"the table has no column {name!r} to be sorted by", mend)
        elif isinstance(columns.get(name), Struct | Array):
            what = f"{name!r} is a {columns[name]}, which has no order"
            yield stream.error((*path, index), what, "Name a column of a plain value.")
        elif name in sink.sort_by[:index]:
            yield stream.error((*path, index), f"{name!r} occurs twice", "Remove one of them.")


def _column_types(spec: StreamSpec, route: RouteSpec) -> dict[str, FieldType | None]:
    """Return the columns that a route lands with their types; None for those whose value is wrong, which is said."""
    if spec.fields is None or (route.sink.warehouse and route.sink.warehouse.raw):
        return {}
    if route.select is None:
        return {field.name: field.type for field in spec.fields.fields}
    return {item.name: _column_type(spec.fields, item) for item in route.select}


def _column_type(schema: Struct, item: SelectItem) -> FieldType | None:
    if item.path is not None:
        return schema.at(tuple(item.path.split(".")))
    try:
        return parse_expression(item.expression or "", schema).type
    except InvalidSpec:
        return None


def _record_key(stream: Candidate, sink: KafkaSink, path: NodePath) -> Iterator[InvalidSpec]:
    if sink.key in RESERVED_KEYS:
        return
    if stream.spec.fields is None:
        what = f"the key {sink.key!r} is a field of the payload, and the stream declares no schema"
        yield stream.error(path, what, "Declare `schema`, or write `keep` or `none`.")
        return
    names = tuple(sink.key.split("."))
    unknown = unknown_field(stream.spec.fields, names)
    if unknown:
        yield stream.error(path, *unknown)
        return
    kind = stream.spec.fields.at(names)
    if kind not in KEY_TYPES:
        what = f"{sink.key!r} is a {kind}, which is no key: equal values have to be equal bytes"
        yield stream.error(path, what, f"Name a field of type {', '.join(sorted(KEY_TYPES))}.")


def _transactions(stream: Candidate, route: RouteSpec, sink: KafkaSink, path: NodePath) -> Iterator[InvalidSpec]:
    """Kafka aborts a transaction that is older than its timeout, also one that a checkpoint counts as written."""
    least = route.checkpoint_interval_s + CHECKPOINT_TIMEOUT_S + RECOVERY_MARGIN_S
    if sink.delivery != "exactly_once" or sink.transaction_timeout_s >= least:
        return
    what = (
        f"a transaction of {sink.transaction_timeout_s} s may time out before its events are committed: a checkpoint "
        f"begins every {route.checkpoint_interval_s} s, may take {CHECKPOINT_TIMEOUT_S} s, and a restart takes time"
    )
    mend = f"Set `transaction_timeout_s` to {least} or more, or shorten `checkpoint_interval_s`."
    yield stream.error((*path, "sink", "kafka", "transaction_timeout_s"), what, mend)


def _autoscale(stream: Candidate, route: RouteSpec, bounds: AutoscaleSpec, path: NodePath) -> Iterator[InvalidSpec]:
    partitions = stream.spec.partitions
    if bounds.max > partitions:
        what = f"{bounds.max} subtasks for {partitions} partitions: those beyond have nothing to read"
        mend = f"Set `max` to {partitions} or less, or `partitions` to what the topic has."
        yield stream.error((*path, "autoscale", "max"), what, mend)
    if not bounds.min <= route.parallelism <= bounds.max:
        what = f"the route begins with {route.parallelism} subtasks, outside of its bounds {bounds.min} to {bounds.max}"
        yield stream.error((*path, "parallelism"), what, "Set `parallelism` within them.")


def unknown_field(schema: Struct, path: tuple[str, ...]) -> tuple[str, str] | None:
    """Return what is wrong and the mend if the schema has no such field, else None."""
    here: FieldType = schema
    for depth, name in enumerate(path):
        if not isinstance(here, Struct):
            parent = ".".join(path[:depth])
            return f"{parent!r} is a {here} and has no fields", f"Write {parent!r} alone."
        field = here.field(name)
        if field is None:
            known = {".".join((*path[:depth], each.name)) for each in here.fields}
            return f"unknown field {'.'.join(path)!r}", _suggestion(".".join(path), known)
        here = field.type
    return None


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else f"The schema has: {', '.join(sorted(known))}."


def _filter(stream: Candidate, text: str, path: NodePath) -> Iterator[InvalidSpec]:
    if stream.spec.fields is None:
        what = "a filter needs to know the stream's fields, and the stream declares no schema"
        yield stream.error(path, what, "Declare `schema`, or remove the filter.")
        return
    try:
        parse_filter(text, stream.spec.fields)
    except InvalidSpec as error:
        yield stream.error(path, error.what, error.mend)
