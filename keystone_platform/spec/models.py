"""What a team declares: a stream, its events' schema and where they go.

These are values only. `loader` reads them from YAML with places for errors, `filters` is the language of `filter`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from keystone_platform.spec.base import Spec
from keystone_platform.spec.producer import DEFAULT_PRODUCER, ProducerSpec
from keystone_platform.spec.schema import struct_of
from keystone_platform.spec.types import OnTypeError, Struct

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Name of a stream, a route or a column of our own making."""

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,127}$")]
"""Name of a field of the payload, as producers spell it. A leading underscore is reserved for metadata columns."""

TopicName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,244}[A-Za-z0-9_-]$")]
"""A Kafka topic; four characters are kept free for the dead letters' suffix; `.` and `..` are none."""

LONGEST_TOPIC = 249
"""Characters of a Kafka topic's name, at most."""

DEAD_LETTER_NAMESPACE = "dead_letters"
"""Namespace of the tables of landed dead letters, one a stream."""

REPLAY_INFIX = ".replay."
"""Between a stream's topic and a route's name: the topic of the route's replayed dead letters."""

TableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$")]
"""`namespace.table`."""

FieldPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*$")]
"""A field of the payload, dotted when nested: `device.type`."""

FIRST_HOUR = datetime(2026, 1, 1, tzinfo=UTC)
"""Default of `since`: the first hour that Dagster shows as a partition."""


ColumnName = Annotated[str, StringConstraints(pattern=r"^_?[A-Za-z][A-Za-z0-9_]{0,127}$")]
"""A column of a sink: one that is selected, or one of Keystone's own."""

SORTABLE_METADATA = ("_time", "_guid", "_host", "_app")
"""Keystone's own columns by which a table's files may be sorted; the identity always comes last."""


class RenamedColumn(Spec):
    """A column of the table with the name that it had before."""

    name: str
    was: str


def _renamed(value: Any) -> Any:  # noqa: ANN401 - raw YAML
    """Turn the YAML's mapping of new names to old ones into RenamedColumns; rules.py looks at the names."""
    if isinstance(value, dict) and all(isinstance(each, str) for pair in value.items() for each in pair):
        return [{"name": name, "was": was} for name, was in value.items()]
    if isinstance(value, tuple):
        return value
    message = "a mapping of new names to old ones"
    raise ValueError(message)


class WarehouseSink(Spec):
    """Lands rows in an Iceberg table, exactly once."""

    table: TableName
    sort_by: tuple[ColumnName, ...] = Field(default=(), max_length=4)
    """Columns that compaction sorts an hour's files by, before topic, partition and offset."""
    keep_days: int | None = Field(default=None, ge=1, le=36_500, strict=True)
    """Days after which an hour of rows is deleted, by the rows' time; without it they stay."""
    renamed: Annotated[tuple[RenamedColumn, ...], BeforeValidator(_renamed)] = ()
    """Columns that the table may still have under an old name; harmless once it has the new one."""
    dropped: tuple[str, ...] = ()
    """Columns, no longer selected, that the table shall have no more."""
    raw: bool = Field(default=False, strict=True)
    """Lands every event's payload as it came, as bytes, and decodes nothing, whatever schema the stream declares."""


CHECKPOINT_TIMEOUT_S = 300
"""How long a checkpoint may take before Flink gives it up."""

RECOVERY_MARGIN_S = 300
"""How long a router may be away after a checkpoint without its Kafka transaction timing out, at the least."""

TRANSACTION_TIMEOUT_S = 900
"""Default of `transaction_timeout_s`, and what a broker allows at most unless its configuration says otherwise."""

Delivery = Literal["at_least_once", "exactly_once"]


class KafkaSink(Spec):
    """Passes events on to another topic."""

    topic: TopicName
    key: FieldPath = "keep"
    """The record's key: `keep` (as it came), `none`, or a field of the payload, dotted when nested."""
    delivery: Delivery = "at_least_once"
    """`exactly_once` writes in transactions: consumers have to read with `isolation.level=read_committed`."""
    transaction_timeout_s: int = Field(default=TRANSACTION_TIMEOUT_S, ge=1, le=7 * 24 * 3600, strict=True)
    """Seconds after which Kafka gives up a transaction of a router that is away; of `exactly_once` only."""

    @model_validator(mode="after")
    def _has_transactions(self) -> KafkaSink:
        if self.delivery == "at_least_once" and "transaction_timeout_s" in self.model_fields_set:
            message = "`transaction_timeout_s` is for `delivery: exactly_once`; remove one or add the other"
            raise ValueError(message)
        return self


DATE_PLACEHOLDER = "{date}"
"""In an index's name: the day (UTC) of the event's time, `2026.11.22`."""

IndexName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._-]|\{date\})*$", max_length=200)]
"""Stricter than the server, which takes no upper case, none of \\/*?"<>| ,#: and no leading `_`, `-`, `+` either."""


class SearchSink(Spec):
    """Indexes events under their guid, so that an event read twice is one document."""

    index: IndexName


SinkKind = Literal["warehouse", "kafka", "search"]


class SinkSpec(Spec):
    """Exactly one of the sinks."""

    warehouse: WarehouseSink | None = None
    kafka: KafkaSink | None = None
    search: SearchSink | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> SinkSpec:
        if sum(sink is not None for sink in (self.warehouse, self.kafka, self.search)) != 1:
            message = "name exactly one sink: warehouse, kafka or search"
            raise ValueError(message)
        return self

    @property
    def kind(self) -> SinkKind:
        """Which sink it is."""
        if self.warehouse:
            return "warehouse"
        return "kafka" if self.kafka else "search"


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
