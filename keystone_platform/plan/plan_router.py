"""From a declared route to its RouterPlan: pure, so the same spec always gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.router_plan import Filter, KafkaTarget, OutputColumn, RouterPlan, Source, WarehouseTarget
from keystone_platform.spec.filters import duckdb_sql, field_paths, flink_sql, parse_filter
from keystone_platform.spec.fleet import Fleet, LoadedRoute
from keystone_platform.spec.models import RouteSpec, StreamSpec, route_id
from keystone_platform.spec.types import Field, FieldType, Struct

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
        return PlannedRoute(loaded, plan_router(loaded.stream, loaded.route), None)
    except UnsupportedRoute as error:
        field = f"routes[{loaded.stream.routes.index(loaded.route)}].{error.field}"
        placed = UnsupportedRoute(error.what, mend=error.mend, file=str(loaded.file), line=loaded.line, field=field)
        return PlannedRoute(loaded, None, placed)


def plan_router(stream: StreamSpec, route: RouteSpec) -> RouterPlan:
    """Return the plan of a route that the loader has accepted.

    Raises:
        UnsupportedRoute: this version has no router for the sink.
        InvalidSpec: the filter or a selected field does not fit the schema (the loader would have said so).
    """
    target = _target(route)
    filter_, needed = _filter(stream, route)
    columns = () if route.sink.kafka and route.select is None else _columns(stream, route)
    paths = needed | {column.path for column in columns}
    if isinstance(target, KafkaTarget) and target.key_path:
        paths |= {target.key_path}
    fields = stream.fields.fields if stream.fields else ()
    return RouterPlan(
        route=route_id(stream, route),
        stream=stream.stream,
        source=Source(topic=stream.topic_name, columns=_pruned(fields, paths), raw=not paths),
        filter=filter_,
        columns=columns,
        target=target,
        dead_letter_topic=stream.dead_letter_topic,
        parallelism=route.parallelism,
        checkpoint_interval_s=route.checkpoint_interval_s,
    )


def _target(route: RouteSpec) -> WarehouseTarget | KafkaTarget:
    if route.sink.warehouse:
        return WarehouseTarget(table=route.sink.warehouse.table)
    if route.sink.kafka:
        sink = route.sink.kafka
        timeout_s = sink.transaction_timeout_s if sink.delivery == "exactly_once" else None
        return KafkaTarget(topic=sink.topic, key=sink.key, transaction_timeout_s=timeout_s)
    message = "the search sink is not available in this version"
    raise UnsupportedRoute(message, mend="Remove the route until it is; the others are not concerned.", field="sink")


def _filter(stream: StreamSpec, route: RouteSpec) -> tuple[Filter | None, frozenset[FieldPath]]:
    if route.filter is None:
        return None, frozenset()
    tree = parse_filter(route.filter, stream.fields or Struct(()))
    rendered = Filter(text=route.filter, flink=flink_sql(tree), duckdb=duckdb_sql(tree))
    return rendered, field_paths(tree)


def _columns(stream: StreamSpec, route: RouteSpec) -> tuple[OutputColumn, ...]:
    """Return the selected columns; every declared one without `select`; none of a stream without schema."""
    if stream.fields is None:
        return ()
    if route.select is None:
        return tuple(OutputColumn(name=each.name, path=(each.name,), type=each.type) for each in stream.fields.fields)
    paths = [(item.name, tuple(item.path.split("."))) for item in route.select]
    return tuple(OutputColumn(name=name, path=path, type=_type_at(stream.fields, path)) for name, path in paths)


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
        if isinstance(field.type, Struct) and rests and () not in rests:
            field = Field(field.name, Struct(_pruned(field.type.fields, rests)))
        if rests:
            kept.append(field)
    return tuple(kept)
