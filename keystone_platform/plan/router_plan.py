"""RouterPlan: everything that decides what a router does, as one serialisable document.

It is what is diffed, hashed, shown in the UI, submitted to Flink and tested against golden files. It holds no address
and no secret: those come from the settings where it runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.main import IncEx

from keystone_platform.plan.cost import Cost
from keystone_platform.spec.clusters import standby_topic
from keystone_platform.spec.types import Field as SchemaField
from keystone_platform.spec.types import FieldType


class PlanPart(BaseModel):
    """Base of the plan's parts: frozen, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(PlanPart):
    """The topic that is read and what is decoded of an event.

    Attributes:
        topic: the Kafka topic.
        columns: top-level fields that filter or projection need, nested ones pruned to what is needed, in declared
            order; empty when `raw`.
        raw: the payload stays bytes and nothing is decoded, so nothing can become a dead letter.
        null_on_type_error: dotted paths of the columns, and of fields in them, whose value becomes null where it does
            not fit its type; `*` alone for all of them, None for none.
        format: how payloads are encoded where it is not JSON; of a raw source it does not matter.
        replay_topic: read beside it: dead letters that were given to this route again; None when there are none.
        cluster: name of the cluster that these are on; None for `primary`.
        standby: name of a second cluster, where the topics have its name in front (`spec.clusters`); None without one.
    """

    # the state of the source is positions in partitions of the old topic, and Flink would go on reading those
    topic: Annotated[str, Cost.NEW]
    columns: Annotated[tuple[SchemaField, ...], Cost.RESTART] = ()
    raw: Annotated[bool, Cost.RESTART] = False
    null_on_type_error: Annotated[tuple[str, ...] | None, Cost.RESTART] = None
    format: Annotated[Literal["avro", "protobuf"] | None, Cost.RESTART] = None
    replay_topic: Annotated[str | None, Cost.RESTART] = None
    # its topic has no cluster in its name: rows of another cluster would be taken for those that are there
    cluster: Annotated[str | None, Cost.NEW] = None
    # each cluster's positions are a state of their own
    standby: Annotated[str | None, Cost.RESTART] = None

    @property
    def topics(self) -> tuple[str, ...]:
        """All that the router reads, on all clusters; rows have these names."""
        return self.primary_topics + self.standby_topics

    @property
    def primary_topics(self) -> tuple[str, ...]:
        """What it reads of the primary cluster."""
        return (self.topic, self.replay_topic) if self.replay_topic else (self.topic,)

    @property
    def standby_topics(self) -> tuple[str, ...]:
        """What it reads of the standby cluster; nothing without one."""
        return tuple(standby_topic(self.standby, each) for each in self.primary_topics) if self.standby else ()

    @property
    def event_topics(self) -> tuple[str, ...]:
        """The topics that services send to: one a cluster."""
        return self.on_each(self.topic)

    @property
    def replay_topics(self) -> tuple[str, ...]:
        """The topics of replayed dead letters: one a cluster, none of a source that decodes nothing."""
        return self.on_each(self.replay_topic) if self.replay_topic else ()

    def on_each(self, topic: str) -> tuple[str, ...]:
        """Return what a topic of the primary is called on each cluster of the stream, the primary first."""
        return (topic, standby_topic(self.standby, topic)) if self.standby else (topic,)


class Expression(PlanPart):
    """A filter or a computed value, rendered from one typed tree for both engines."""

    text: Annotated[str, Cost.NOTHING]
    """As the user wrote it; shown, never executed."""
    flink: Annotated[str, Cost.RESTART]
    """Over the source's columns, in Flink SQL."""
    duckdb: Annotated[str, Cost.NOTHING]
    """The same in DuckDB SQL, over columns of the same names and types."""


Filter = Expression
"""A condition."""

_WITHOUT_COST: IncEx = {name for name, info in Expression.model_fields.items() if Cost.NOTHING in info.metadata}


class OutputColumn(PlanPart):
    """A column of the sink under the sink's `name`: `path` of the payload, or what `expression` gives.

    A computed column has an expression and no path. Engines are told to cast it to `type`.
    """

    name: str
    path: tuple[str, ...] = ()
    type: FieldType
    expression: Expression | None = None

    def is_spelled_otherwise(self, other: OutputColumn) -> bool:
        """Whether the two run the same although their users wrote it differently."""
        if self.expression is None or other.expression is None:
            return False
        return self == other.model_copy(
            update={"expression": self.expression.model_copy(update={"flink": other.expression.flink})}
        )


class Renamed(PlanPart):
    """A column of the table that gets another name and keeps its values."""

    name: str
    was: str

    def __str__(self) -> str:
        return f"{self.name} (was {self.was})"


class WarehouseTarget(PlanPart):
    """An Iceberg table, `namespace.table`.

    Attributes:
        renamed: columns that the table may still have under an old name; None when none is.
        dropped: columns that the table shall have no more; None when there are none.
    """

    kind: Annotated[Literal["warehouse"], Cost.NEW] = "warehouse"
    # files that wait in the sink's state for their commit belong to the old table
    table: Annotated[str, Cost.NEW]
    # the new name is among the columns: the entry alone changes nothing that runs, before the rename or after it
    renamed: Annotated[tuple[Renamed, ...] | None, Cost.NOTHING] = None
    # a table is changed where a router is started for it, and nowhere else
    dropped: Annotated[tuple[str, ...] | None, Cost.RESTART] = None


class KafkaTarget(PlanPart):
    """Another topic; headers and timestamp go on as they are, and so does the payload of a plan without columns.

    Attributes:
        key: `keep`, `none`, or a dotted field that the source decodes.
        transaction_timeout_s: set when the router writes in transactions, so exactly once.
    """

    kind: Annotated[Literal["kafka"], Cost.NEW] = "kafka"
    # all transactions that are open at the savepoint are committed before the job ends, so none belongs to the state
    topic: Annotated[str, Cost.RESTART]
    key: Annotated[str, Cost.RESTART] = "keep"
    transaction_timeout_s: Annotated[int | None, Cost.RESTART] = None

    @property
    def key_path(self) -> tuple[str, ...]:
        """Path of the field that becomes the key; empty when none does."""
        return () if self.key in ("keep", "none") else tuple(self.key.split("."))


class SearchTarget(PlanPart):
    """A search index of which there is one a day where its name has `{date}` in it."""

    kind: Annotated[Literal["search"], Cost.NEW] = "search"
    # nothing waits in the sink: what was indexed stays where it is, what comes goes to the new index
    index: Annotated[str, Cost.RESTART]


Target = Annotated[WarehouseTarget | KafkaTarget | SearchTarget, Field(discriminator="kind")]


class RouterPlan(PlanPart):
    """One router: a stream's events to one sink.

    Attributes:
        route: identity, `<stream>.<route name>`.
        owner: who answers for it, as the stream's YAML says; its slots count against that owner's quota.
        columns: the sink's columns beside the metadata columns; empty when the source is raw.
        dead_letter_topic: where events go that can't be decoded; those of the standby go to `dead_letter_topics[1]`.
        parallelism: subtasks of each operator.
        checkpoint_interval_s: seconds between checkpoints and so between commits.
    """

    version: Annotated[Literal[1], Cost.RESTART] = 1
    route: Annotated[str, Cost.NEW]
    stream: Annotated[str, Cost.NEW]
    owner: Annotated[str, Cost.NOTHING] = ""
    source: Annotated[Source, Cost.NEW]
    filter: Annotated[Filter | None, Cost.RESTART] = None
    columns: Annotated[tuple[OutputColumn, ...], Cost.RESTART] = ()
    target: Annotated[Target, Cost.NEW]
    dead_letter_topic: Annotated[str, Cost.RESTART]
    parallelism: Annotated[int, Cost.RESCALE]
    checkpoint_interval_s: Annotated[int, Cost.RESTART]

    @property
    def digest(self) -> str:
        """SHA-256 of what the router does, as 64 hex digits: two plans are the same router iff it is equal.

        Fields whose cost is NOTHING are not part of it: the owner, a filter's spelling and its rendering for DuckDB,
        former names of columns change nothing that runs.
        """
        columns: IncEx = {"__all__": {"expression": _WITHOUT_COST}}
        unspelled: IncEx = {"owner": True, "filter": _WITHOUT_COST, "columns": columns, "target": {"renamed"}}
        document = self.model_dump_json(exclude_none=True, exclude=unspelled)
        return hashlib.sha256(document.encode()).hexdigest()

    @property
    def dead_letter_topics(self) -> tuple[str, ...]:
        """The topics of dead letters: an event's letter stays on the cluster that the event came by."""
        return self.source.on_each(self.dead_letter_topic)

    def letters_of(self, topics: Collection[str]) -> tuple[str, ...]:
        """Return the topics of dead letters on the clusters of these topics, which the router reads."""
        sides = (self.source.primary_topics, self.source.standby_topics)
        on_each = zip(self.dead_letter_topics, sides, strict=False)  # no standby, no letters there
        return tuple(letters for letters, read in on_each if not set(read).isdisjoint(topics))

    def canonical_json(self) -> str:
        """Return the plan as JSON whose bytes depend on its values only."""
        return self.model_dump_json(exclude_none=True)


METADATA_COLUMNS = ("_guid", "_time", "_host", "_app", "_topic", "_partition", "_offset")
"""Columns of every landed row beside the selected ones; (_topic, _partition, _offset) is the row's identity."""

RAW_COLUMN = "_value"
"""Holds the payload's bytes where a route selects nothing of a stream without a schema."""
