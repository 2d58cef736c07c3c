"""Orders of the control plane: which cluster a stream, or every stream, has to use.

One form in two places: a JSON document in a file, and a compacted topic with a record for each stream and one for all.
Of two orders for the same the newer holds, wherever it comes from, so that an old one on a cluster that was away does
no harm. `keystone failover` writes them; docs/failover.md has the form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ORDERS_TOPIC = "keystone.failover"
"""The compacted topic of orders, under this name on every cluster."""

EVERY_STREAM = "*"
"""Stands for all streams where a stream is named."""

VERSION = 1

NOTHING_BUT = (
    "an order is `cluster` (a name, or null for the producers' own choice), `at` (Unix milliseconds), `by`, `why`"
)


class BadOrder(ValueError):
    """A document or a record is no order; says what is wrong with it."""


@dataclass(frozen=True)
class Order:
    """What was ordered.

    Attributes:
        cluster: to use, whatever a producer thinks of it; None: what it thinks best.
        at: when, Unix milliseconds.
        by: who.
        why: for people.
    """

    cluster: str | None
    at: int
    by: str = ""
    why: str = ""

    @classmethod
    def of(cls, value: Any) -> Order:  # noqa: ANN401 - JSON
        """Read an order's JSON value.

        Raises:
            BadOrder: it is none.
        """
        if not isinstance(value, dict) or "cluster" not in value:
            raise BadOrder(NOTHING_BUT)
        cluster, at, by, why = value["cluster"], value.get("at"), value.get("by", ""), value.get("why", "")
        is_order = isinstance(cluster, str | None) and isinstance(by, str) and isinstance(why, str)
        if not is_order or isinstance(at, bool) or not isinstance(at, int):
            raise BadOrder(NOTHING_BUT)
        return cls(cluster or None, at, by, why)

    def value(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"cluster": self.cluster, "at": self.at, "by": self.by, "why": self.why}


@dataclass(frozen=True)
class Orders:
    """The newest order for each stream, and for every stream."""

    by_stream: Mapping[str, Order] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | bytes) -> Orders:
        """Read the document of a file.

        Raises:
            BadOrder: it is none.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            message = f"no JSON: {error}"
            raise BadOrder(message) from error
        if not isinstance(document, dict) or document.get("version") != VERSION:
            message = f"no document of version {VERSION}"
            raise BadOrder(message)
        orders = document.get("orders")
        if not isinstance(orders, dict):
            message = "`orders` is no mapping of streams"
            raise BadOrder(message)
        return cls({stream: Order.of(value) for stream, value in orders.items()})

    @classmethod
    def of_record(cls, key: bytes | None, value: bytes | None) -> Orders:
        """Read a record of the topic; one without a value says nothing.

        Raises:
            BadOrder: it is none.
        """
        if value is None:
            return cls()
        try:
            stream, order = (key or b"").decode(), json.loads(value)
        except ValueError as error:
            message = f"neither text nor JSON: {error}"
            raise BadOrder(message) from error
        if not stream:
            message = "a record without key"
            raise BadOrder(message)
        return cls({stream: Order.of(order)})

    def text(self) -> str:
        """Return the document of a file."""
        orders = {stream: order.value() for stream, order in sorted(self.by_stream.items())}
        return json.dumps({"version": VERSION, "orders": orders}, indent=1) + "\n"

    def with_newer(self, other: Orders) -> Orders:
        """Return both, of each stream the newer order."""
        found = dict(self.by_stream)
        for stream, order in other.by_stream.items():
            if stream not in found or order.at > found[stream].at:
                found[stream] = order
        return Orders(found)

    def of(self, stream: str) -> Order | None:
        """Return what holds for the stream: the newer one of its own order and that for every stream."""
        found = [self.by_stream[name] for name in (stream, EVERY_STREAM) if name in self.by_stream]
        return max(found, key=lambda order: order.at, default=None)
