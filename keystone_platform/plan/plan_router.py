"""From a declared route to its RouterPlan: pure, so the same spec always gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.router_plan import (
    Expression,
    KafkaTarget,
    OutputColumn,
    Renamed,
    RouterPlan,
    SearchTarget,
    Source,
    Target,
    WarehouseTarget,
)
from keystone_platform.spec.clusters import PRIMARY
from keystone_platform.spec.filters import Expr, duckdb_sql, field_paths, flink_sql, parse_expression, parse_filter
from keystone_platform.spec.fleet import Fleet, LoadedRoute
from keystone_platform.spec.models import RouteSpec, SelectItem, StreamSpec, replay_topic, route_id
from keystone_platform.spec.types import Field, FieldType, OnTypeError, Struct

FieldPath = tuple[str, ...]


class UnsupportedRoute(InvalidSpec):
    """The route is declared right, but this version can't run it. Other routes are not concerned."""


@dataclass(frozen=True)
class PlannedRoute:
    """A route with its plan, or with the reason why it has none: exactly one of the two."""

    loaded: LoadedRoute
    plan: RouterPlan | None
    error: UnsupportedRoute | None


@dataclass(frozen=True)
class FleetPlan:
    """The plans of a fleet, in the fleet's order."""

    routes: tuple[PlannedRoute, ...]

    @property
    def plans(self) -> tuple[RouterPlan, ...]:
        """The plans of all routes that can run."""
        return tuple(route.plan for route in self.routes if route.plan)

    @property
    def errors(self) -> tuple[UnsupportedRoute, ...]:
        """Why the others can't."""
        return tuple(route.error for route in self.routes if route.error)


def plan_fleet(fleet: Fleet) -> FleetPlan:
    """Plan every valid route; one that can't run doesn't keep the others from it. `fleet.errors` is not looked at."""
    return FleetPlan(tuple(plan_loaded(route) for route in fleet.routes))


def plan_loaded(loaded: LoadedRoute) -> PlannedRoute:
    """Plan one route; an error names its place."""
    try:
        return PlannedRoute(loaded, plan_router(loaded.stream, loaded.route, loaded.clusters), None)
    except UnsupportedRoute as error:
        field = f"routes[{loaded.stream.routes.index(loaded.route)}].{error.field}"
        placed = UnsupportedRoute(error.what, mend=error.mend, file=str(loaded.file), line=loaded.line, field=field)
        return PlannedRoute(loaded, None, placed)


def plan_router(stream: StreamSpec, route: RouteSpec, clusters: tuple[str, str | None] = (PRIMARY, None)) -> RouterPlan:
    """Return the plan of a route that the loader has accepted.

    Args:
        stream: what is declared.
        route: one of its routes.
        clusters: names of the stream's primary cluster and of its standby.

    Raises:
        UnsupportedRoute: this version has no router for the sink.
        InvalidSpec: the filter or a selected field does not fit the schema (the loader would have said so).
    """
    primary, standby = clusters
    target = _target(stream, route)
    filter_, needed = _filter(stream, route)
    selected = () if route.sink.kafka and route.select is None else _columns(stream, route)
    paths = needed.union(*(read for _, read in selected))
    if isinstance(target, KafkaTarget) and target.key_path:
        paths |= {target.key_path}
    fields = stream.fields.fields if stream.fields else ()
    columns = _pruned(fields, paths)
    return RouterPlan(
        route=route_id(stream, route),
        stream=stream.stream,
        owner=stream.owner,
        source=Source(
            topic=stream.topic_name,
            columns=columns,
            raw=not paths,
            null_on_type_error=_null_on_type_error(stream, columns),
            format=stream.format if paths and stream.format != "json" else None,
            replay_topic=replay_topic(stream, route) if paths else None,
            cluster=primary if primary != PRIMARY else None,
            standby=standby,
        ),
        filter=filter_,
        columns=tuple(column for column, _ in selected),
        target=target,
        dead_letter_topic=stream.dead_letter_topic,
        parallelism=route.parallelism,
        checkpoint_interval_s=route.checkpoint_interval_s,
    )


def _target(stream: StreamSpec, route: RouteSpec) -> Target:
    if route.sink.warehouse:
        warehouse = route.sink.warehouse
        renamed = tuple(Renamed(name=each.name, was=each.was) for each in warehouse.renamed)
        return WarehouseTarget(table=warehouse.table, renamed=renamed or None, dropped=warehouse.dropped or None)
    if route.sink.kafka:
        sink = route.sink.kafka
        timeout_s = sink.transaction_timeout_s if sink.delivery == "exactly_once" else None
        return KafkaTarget(topic=sink.topic, key=sink.key, transaction_timeout_s=timeout_s)
    if route.sink.search and stream.fields:
        return SearchTarget(index=route.sink.search.index)
    message = "a search route needs to know the stream's fields, and the stream declares no schema"
    raise UnsupportedRoute(message, mend="Declare `schema`, or remove the route.", field="sink")


def _filter(stream: StreamSpec, route: RouteSpec) -> tuple[Expression | None, frozenset[FieldPath]]:
    if route.filter is None:
        return None, frozenset()
    tree = parse_filter(route.filter, stream.fields or Struct(()))
    return _rendered(route.filter, tree), field_paths(tree)


def _rendered(text: str, tree: Expr) -> Expression:
    return Expression(text=text, flink=flink_sql(tree), duckdb=duckdb_sql(tree))


def _columns(stream: StreamSpec, route: RouteSpec) -> tuple[tuple[OutputColumn, frozenset[FieldPath]], ...]:
    """Return the selected columns, each with the fields that it reads.

    Every declared field without `select`; nothing of a stream without schema, and nothing into a raw table.
    """
    if stream.fields is None or (route.sink.warehouse and route.sink.warehouse.raw):
        return ()
    selected = route.select or tuple(SelectItem(name=each.name, path=each.name) for each in stream.fields.fields)
    return tuple(_column(stream.fields, item) for item in selected)


def _column(schema: Struct, item: SelectItem) -> tuple[OutputColumn, frozenset[FieldPath]]:
    if item.expression is not None:
        tree = parse_expression(item.expression, schema)
        return (
            OutputColumn(name=item.name, type=tree.type, expression=_rendered(item.expression, tree)),
            field_paths(tree),
        )
    path = tuple((item.path or "").split("."))
    return OutputColumn(name=item.name, path=path, type=_plain(_type_at(schema, path))), frozenset({path})


def _plain(type_: FieldType) -> FieldType:
    """Return the type without what its fields say of errors, which the source says already."""
    if isinstance(type_, Struct):
        return Struct(tuple(Field(each.name, _plain(each.type)) for each in type_.fields))
    return type_


def _type_at(schema: Struct, path: FieldPath) -> FieldType:
    kind = schema.at(path)
    if kind is None:
        message = f"unknown field {'.'.join(path)!r}"
        raise InvalidSpec(message, mend=f"The schema has: {schema}.", field="select")
    return kind


def _pruned(fields: Iterable[Field], paths: Iterable[FieldPath]) -> tuple[Field, ...]:
    """Keep of the fields, in declared order, what the paths need; a path that ends at an object needs all of it."""
    kept = []
    for field in fields:
        rests = {path[1:] for path in paths if path[0] == field.name}
        type_ = _plain(field.type)
        if isinstance(type_, Struct) and rests and () not in rests:
            type_ = Struct(_pruned(type_.fields, rests))
        if rests:
            kept.append(Field(field.name, type_))
    return tuple(kept)


def _null_on_type_error(stream: StreamSpec, read: tuple[Field, ...]) -> tuple[str, ...] | None:
    """Return which of the fields that are read become null where they don't fit; a field goes by what is around it."""
    policies: dict[str, OnTypeError] = {}

    def look(declared: Struct, fields: Iterable[Field], prefix: str, around: OnTypeError) -> None:
        for field in fields:
            said = declared.field(field.name)
            policy = (said and said.on_type_error) or around
            policies[f"{prefix}{field.name}"] = policy
            if said and isinstance(said.type, Struct) and isinstance(field.type, Struct):
                inside = f"{prefix}{field.name}."
                look(said.type, field.type.fields, inside, policy)
                # an object that is listed becomes null for what is in it, too
                if any(path.startswith(inside) and each is not policy for path, each in policies.items()):
                    policies[f"{prefix}{field.name}"] = OnTypeError.DEAD_LETTER

    look(stream.fields or Struct(()), read, "", stream.on_type_error)
    nulled = tuple(path for path, policy in policies.items() if policy is OnTypeError.NULL)
    if nulled and len(nulled) == len(policies):
        return ("*",)
    return nulled or None
