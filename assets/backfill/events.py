"""What a backfill asks of the events that it runs again, wherever they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from pyiceberg.table import Table

from keystone_platform.audit.records import Record
from keystone_platform.errors import Terminal
from keystone_platform.plan.backfill import EventSource, Outline, Request, Scope
from keystone_platform.plan.recovery import NextOffsets


class Events(Protocol):
    """A route's events in one place.

    Every method blocks for servers. Transient when one does not answer, Terminal when events are gone for good.
    """

    @property
    def source(self) -> EventSource:
        """Where the job reads them."""
        ...

    @property
    def lacks_none(self) -> bool:
        """Whether all events of a scope are there, so that a row without one should not be."""
        ...

    def outline(self, request: Request, table: Table, committed: NextOffsets) -> Outline:
        """Return what of the request can be replaced now, and what not.

        Args:
            request: what somebody asks for.
            table: the route's own, as it is now.
            committed: up to where that table shows the route's events to be dealt with.

        Raises:
            InvalidSpec: there is no such partition.
        """
        ...

    def records(self, scope: Scope) -> Iterator[tuple[str, Sequence[Record]]]:
        """Yield topic and records, batch by batch; of the scope's spans, maybe of other times.

        For the proof: it shares nothing with what the job reads by.
        """
        ...

    def nothing(self, outlined: Outline) -> Terminal:
        """Return why an outline has nothing to replay."""
        ...


def bounded(ends: NextOffsets, committed: NextOffsets) -> NextOffsets:
    """Return up to where events are both there and dealt with by the live router.

    What lies behind, the router may have read and not committed yet: its rows would land a second time.
    """
    return {
        topic: {part: min(end, committed.get(topic, {}).get(part, 0)) for part, end in of_topic.items()}
        for topic, of_topic in ends.items()
    }
