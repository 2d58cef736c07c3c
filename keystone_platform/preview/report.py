"""What a preview found, as values; `as_json` has the keys that scripts may rely on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from keystone_platform.plan.router_plan import METADATA_COLUMNS, RouterPlan
from keystone_platform.preview.profile import Differences


@dataclass(frozen=True)
class Counts:
    """Events; kept, filtered and dead add up to `events`.

    Attributes:
        filter_null: of the filtered ones, for how many the filter is neither true nor false: a field of it is null.
        without_headers: events that no CloudEvents producer sent: guid, host and app of their rows are null.
    """

    events: int
    kept: int
    filtered: int
    filter_null: int
    dead: int
    without_headers: int

    def share(self, events: int) -> float:
        """Return which part of all events that is."""
        return events / self.events if self.events else 0.0


@dataclass(frozen=True)
class DeadEvents:
    """Events that can't be decoded for one reason.

    Attributes:
        reason: `code`, or `code: field`, as docs/event-format.md lists them.
        example: place of one of them, `topic-partition@offset` or `file:line`.
    """

    reason: str
    events: int
    example: str


@dataclass(frozen=True)
class ColumnSeen:
    """A column of the sink, over the events that are kept.

    Attributes:
        values: rows in which it is not null.
        constant: whether it is the same in every row, of two rows or more; never for a column of nulls.
    """

    name: str
    type: str
    values: int
    constant: bool


@dataclass(frozen=True)
class Payloads:
    """Sizes in bytes; 0 and None where no event has a value."""

    median: int
    max: int
    max_at: str | None


@dataclass(frozen=True)
class Preview:
    """What a route would have done with the events that were read.

    Attributes:
        place: the topic or file that was read.
        missing: there is no such topic.
        is_file: the events are lines of a file.
        dead_reasons: the most frequent first.
        columns: of the sink, in its order; none where events go on untouched.
        rows: the newest that the sink would get, the newest first: values by column, or a record's parts.
    """

    plan: RouterPlan
    place: str
    missing: bool
    is_file: bool
    partitions: int
    counts: Counts
    first_time: datetime | None
    last_time: datetime | None
    dead_reasons: tuple[DeadEvents, ...]
    columns: tuple[ColumnSeen, ...]
    rows: tuple[Mapping[str, Any], ...]
    declares_schema: bool
    differences: Differences
    payloads: Payloads

    @property
    def always_null(self) -> tuple[str, ...]:
        """Selected columns without a value in any row, where there are rows."""
        return tuple(each.name for each in self._selected() if self.counts.kept and not each.values)

    @property
    def constant(self) -> tuple[str, ...]:
        """Selected columns with one value in all rows."""
        return tuple(each.name for each in self._selected() if each.constant)

    def _selected(self) -> Iterator[ColumnSeen]:
        return (each for each in self.columns if each.name not in METADATA_COLUMNS)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, but for the values of rows and times, which are as Python has them."""
        counts = self.counts
        return {
            "route": self.plan.route,
            "plan_digest": self.plan.digest,
            "target": self.plan.target.model_dump(mode="json"),
            "decodes": not self.plan.source.raw,
            "source": {"place": self.place, "missing": self.missing, "partitions": self.partitions},
            "first_time": self.first_time,
            "last_time": self.last_time,
            **asdict(counts),
            "shares": {name: round(counts.share(getattr(counts, name)), 6) for name in ("kept", "filtered", "dead")},
            "dead_reasons": [asdict(each) for each in self.dead_reasons],
            "columns": [asdict(each) for each in self.columns],
            "always_null": self.always_null,
            "constant": self.constant,
            "rows": self.rows,
            "schema": {"declared": self.declares_schema, **asdict(self.differences)},
            "payload_bytes": asdict(self.payloads),
        }
