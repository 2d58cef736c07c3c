"""What is ordered and what producers do, stream by stream: pure, from what the clusters told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from keystone_platform.plan.produced import AuditEvent
from keystone_platform.producer.orders import Order, Orders
from keystone_platform.spec.clusters import Clusters
from keystone_platform.spec.models import StreamSpec


@dataclass(frozen=True)
class Use:
    """How many producers use a cluster for a stream, and why."""

    cluster: str
    why: str
    producers: int


@dataclass(frozen=True)
class StreamLine:
    """One stream.

    Attributes:
        order: what holds for it; None if nothing was ordered.
        uses: as producers told lately, the most frequent first.
        wrong: why the order can't be followed; empty if it can.
    """

    stream: str
    primary: str
    standby: str | None
    order: Order | None
    uses: tuple[Use, ...]
    wrong: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "stream": self.stream,
            "primary": self.primary,
            "standby": self.standby,
            "order": self.order and self.order.value(),
            "producers": [asdict(use) for use in self.uses],
            "wrong": self.wrong,
        }


def stream_lines(
    streams: Iterable[StreamSpec], clusters: Clusters, orders: Orders, told: Sequence[AuditEvent]
) -> tuple[StreamLine, ...]:
    """Return a line for each stream, by name; `told` are audit events, of each producer the newest one counts."""
    uses = _uses(told)
    return tuple(
        _line(spec, clusters, orders.of(spec.stream), uses.get(spec.stream, Counter()))
        for spec in sorted(streams, key=lambda spec: spec.stream)
    )


def _line(spec: StreamSpec, clusters: Clusters, order: Order | None, uses: Counter[tuple[str, str]]) -> StreamLine:
    primary, standby = clusters.names(spec)
    wrong = ""
    if order and order.cluster and order.cluster not in (primary, standby):
        wrong = f"the stream does not live on {order.cluster}: producers don't follow"
    counted = tuple(Use(cluster, why, number) for (cluster, why), number in uses.most_common())
    return StreamLine(spec.stream, primary, standby, order if order and order.cluster else None, counted, wrong)


def _uses(told: Sequence[AuditEvent]) -> Mapping[str, Counter[tuple[str, str]]]:
    newest: dict[str, AuditEvent] = {}
    for event in told:
        if event.producer not in newest or event.sequence > newest[event.producer].sequence:
            newest[event.producer] = event
    found: dict[str, Counter[tuple[str, str]]] = {}
    for event in newest.values():
        for stream, cluster, why in () if event.final else event.using:
            found.setdefault(stream, Counter())[cluster, why] += 1
    return found
