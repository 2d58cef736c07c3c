"""Where a route leads: a table, a topic, or a search index, as a team declares it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from keystone_platform.spec.base import Spec
from keystone_platform.spec.names import ColumnName, FieldPath, TableName, TopicName

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
