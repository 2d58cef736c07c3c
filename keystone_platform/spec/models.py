"""What a team declares: a stream, its events' schema and where they go.

These are values only. `loader` reads them from YAML with places for errors, `filters` is the language of `filter`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from keystone_platform.spec.base import Spec
from keystone_platform.spec.names import (
    REPLAY_INFIX,
    ClusterName,
    FieldName,
    FieldPath,
    Name,
    TopicName,
)
from keystone_platform.spec.producer import DEFAULT_PRODUCER, ProducerSpec
from keystone_platform.spec.schema import struct_of
from keystone_platform.spec.sinks import SinkSpec
from keystone_platform.spec.types import OnTypeError, Struct

FIRST_HOUR = datetime(2026, 1, 1, tzinfo=UTC)
"""Default of `since`: the first hour that Dagster shows as a partition."""


class SelectItem(Spec):
    """One selected column: `name` is what the sink calls it; either a field of the payload, or an expression."""

    name: FieldName
    path: FieldPath | None = None
    expression: str | None = None
    """In the language of `filter`, of any type: `lower(country)`, or a constant."""


_PATH = re.compile(FieldPath.__metadata__[0].pattern)  # type: ignore[attr-defined]


def _select_item(value: Any) -> Any:  # noqa: ANN401 - raw YAML
    """Turn the YAML's short forms into a SelectItem: `user_id`, `{device_type: device.type}`, `{tv: "type = 'tv'"}`.

    A mapping of one key is always the short form, so a column may be called `name` or `path`.
    """
    if isinstance(value, str) and _PATH.fullmatch(value):
        return {"name": value.rsplit(".", 1)[-1], "path": value}
    if isinstance(value, dict) and len(value) == 1:
        ((name, text),) = value.items()
        if isinstance(text, bool | int | float) or text in ("true", "false"):
            return {"name": name, "expression": str(text).lower()}
        if isinstance(text, str):
            return {"name": name, "path" if _PATH.fullmatch(text) else "expression": text}
    keys = set(value) if isinstance(value, dict) else set()
    if isinstance(value, SelectItem) or keys in ({"name", "path"}, {"name", "expression"}):
        return value
    message = "a field such as `device.type`, or one `column: field`, or one `column: expression`"
    raise ValueError(message)


def _on_type_error(value: Any) -> Any:  # noqa: ANN401 - raw YAML
    """Take YAML's own null for the word that it is here."""
    return OnTypeError.NULL if value is None else value


class DeadLetterLimit(Spec):
    """How many of a route's events may die, and what happens when more do."""

    max_ratio: float = Field(default=0.05, ge=0, le=1, strict=True)
    """Dead events by all events of the last minutes."""
    on_exceed: Literal["warn", "pause"] = "warn"
    """`warn`: the health check fails. `pause`: the router is stopped too, until a person applies the route again."""


DEFAULT_LIMIT = DeadLetterLimit()


class HealthSpec(Spec):
    """What a route's health check takes for well."""

    max_lag_s: int = Field(default=300, ge=10, le=7 * 24 * 3600, strict=True)
    """Seconds that the router may be behind without catching up, until the check `progress` fails."""


DEFAULT_HEALTH = HealthSpec()


class AutoscaleSpec(Spec):
    """Lets the platform choose a route's parallelism within bounds."""

    min: int = Field(default=1, ge=1, le=1024, strict=True)
    max: int = Field(ge=1, le=1024, strict=True)
    """No more than the topic has partitions: a subtask beyond them would have nothing to read."""
    mode: Literal["act", "observe"] = "observe"
    """`observe`: what the platform would do is shown with the router's health and nothing is changed."""
    max_lag_s: int = Field(default=120, ge=10, le=24 * 3600, strict=True)
    """Seconds that the router may be behind before its backlog counts; a rescale alone takes half a minute."""
    catch_up_s: int = Field(default=900, ge=60, le=24 * 3600, strict=True)
    """Seconds in which a backlog is to be worked off, e.g. after an outage."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> AutoscaleSpec:
        if self.min > self.max:
            message = f"`min` is {self.min} and `max` is {self.max}"
            raise ValueError(message)
        return self


class RouteSpec(Spec):
    """One way of a stream's events to one sink."""

    sink: SinkSpec
    name: Name | None = None
    """Distinguishes two routes of one stream into the same kind of sink; default: the sink's kind."""
    filter: str | None = None
    """Keeps the events for which it is true; without it all are kept."""
    select: tuple[Annotated[SelectItem, BeforeValidator(_select_item)], ...] | None = Field(default=None, min_length=1)
    """Columns to keep; without it every declared column."""
    parallelism: int = Field(default=1, ge=1, le=1024, strict=True)
    autoscale: AutoscaleSpec | None = None
    """Without it the parallelism stays as it is declared; with it that is where the route begins."""
    checkpoint_interval_s: int = Field(default=10, ge=1, le=3600, strict=True)
    """Seconds between checkpoints and so between commits: the age of a landed row, against the number of files."""

    dead_letters: DeadLetterLimit = DEFAULT_LIMIT
    health: HealthSpec = DEFAULT_HEALTH
    state: Literal["running", "suspended"] = "running"
    """`suspended`: an apply stops the router with a savepoint; without the key it goes on from there."""

    @property
    def route_name(self) -> str:
        """The route's name within its stream."""
        return self.name or self.sink.kind


class StreamClustersSpec(Spec):
    """Which clusters the stream lives on, where they are not the fleet's default."""

    primary: ClusterName | None = None
    standby: ClusterName | None = None
    """`none`: no standby, although streams have one by default."""


PayloadFormat = Literal["json", "avro", "protobuf"]

Compatibility = Literal["backward", "forward", "full", "none"]


def _since(value: Any) -> Any:  # noqa: ANN401 - raw YAML
    if isinstance(value, datetime | str):
        return value
    message = "a date and time such as 2026-01-01T00:00:00Z"
    raise ValueError(message)


def _whole_hour(value: datetime) -> datetime:
    """Take a time without zone as UTC; refuse one within an hour, because partitions are hours."""
    value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if value != value.replace(minute=0, second=0, microsecond=0):
        message = "a full hour, such as 2026-01-01T00:00:00Z"
        raise ValueError(message)
    return value


class StreamSpec(Spec):
    """A stream: its topic, what its events hold, and its routes."""

    stream: Name
    owner: Annotated[str, StringConstraints(pattern=r"^(team:[A-Za-z0-9_.-]+|[^@\s]+@[^@\s]+)$")]
    """`team:NAME` or an e-mail address, as Dagster takes owners."""
    description: str = ""
    topic: TopicName | None = None
    """Default: the stream's name."""
    partitions: int = Field(default=4, ge=1, le=10_000, strict=True)
    """Partitions of the topic when Keystone creates it; an existing topic is left as it is."""
    since: Annotated[datetime, BeforeValidator(_since), AfterValidator(_whole_hour)] = FIRST_HOUR
    """First hour that is shown as a partition; UTC unless it says otherwise."""
    fresh_within_s: int | None = Field(default=None, ge=60, le=30 * 24 * 3600, strict=True)
    """Seconds without new rows after which landed hours count as not fresh; without it they may be silent."""
    fields: Annotated[Struct | None, BeforeValidator(struct_of)] = Field(default=None, alias="schema")
    """What the payload holds; without it routes carry the payload's bytes untouched."""
    on_type_error: Annotated[OnTypeError, BeforeValidator(_on_type_error)] = OnTypeError.DEAD_LETTER
    """What becomes of a value that does not fit its declared type, where the field itself does not say."""
    producer: ProducerSpec = DEFAULT_PRODUCER
    """How services send its events."""
    format: PayloadFormat = "json"
    """How payloads are encoded; of the others each event names its writer's schema in the schema registry."""
    compatibility: Compatibility = "backward"
    """What a change of `schema` has to keep readable (docs/schemas.md)."""
    clusters: StreamClustersSpec | None = None
    """Where it lives, by names of clusters.yaml; without it where streams live by default (docs/failover.md)."""
    routes: tuple[RouteSpec, ...] = Field(min_length=1)

    @property
    def topic_name(self) -> str:
        """The Kafka topic that the events are in."""
        return self.topic or self.stream

    @property
    def dead_letter_topic(self) -> str:
        """Where events go that a route could not decode."""
        return f"{self.topic_name}.dlq"


def replay_topic(stream: StreamSpec, route: RouteSpec) -> str:
    """Return the topic from which the route, and no other, reads dead letters again."""
    return f"{stream.topic_name}{REPLAY_INFIX}{route.route_name}"


def route_id(stream: StreamSpec, route: RouteSpec) -> str:
    """Return the route's identity, `<stream>.<route name>`, unique in the fleet."""
    return f"{stream.stream}.{route.route_name}"
