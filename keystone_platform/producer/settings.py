"""A producer's bounds and times, who it is, and what it knows of streams: values."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from keystone_platform import envelope
from keystone_platform.producer.health import FailoverLimits
from keystone_platform.producer.roster import renamed
from keystone_platform.producer.terms import StreamTerms, Terms

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True)
class ProducerSettings:
    """Bounds and times; each with the default that docs/producer.md explains.

    Attributes:
        max_buffer_bytes: what events on their way may take in memory, all streams, tiers and clusters together:
            payload, key, extensions, and EVENT_BYTES for each.
        max_buffer_events: how many events may be on their way with one `acks` on one cluster.
        max_block_s: how long `send` may wait for room, whatever a stream's terms grant; None: as long as they do.
        exit_flush_s: how long the interpreter's exit may wait for events that are on their way.
        audit_interval_s: between two audit events.
        resend: whether what waits for a cluster that is sick is sent again, with its guid, to the one used instead.
        failover: when a cluster counts as sick, and as healthy again.
    """

    max_buffer_bytes: int = 256 * 1024 * 1024
    max_buffer_events: int = 500_000
    max_block_s: float | None = None
    exit_flush_s: float = 5.0
    audit_interval_s: float = 60.0
    resend: bool = False
    failover: FailoverLimits = field(default_factory=FailoverLimits)

    @property
    def queue_bounds(self) -> Mapping[str, str | int]:
        """The bounds of a client's queue; bytes are bounded over all clients, by what an event really takes."""
        return {
            "queue.buffering.max.messages": self.max_buffer_events,
            "queue.buffering.max.kbytes": 2**31 - 1,
            "message.max.bytes": envelope.MAX_EVENT_BYTES,
        }


@dataclass(frozen=True)
class Source:
    """Which service on which machine; as text what the header `ce_source` says."""

    host: str
    app: str

    @classmethod
    def of(cls, host: str | None, app: str) -> Source:
        """Return the source, on this machine unless it is another.

        Raises:
            ValueError: the service has no name; or a slash, which would cut one of them in the table.
        """
        if not isinstance(app, str) or not app:
            message = f"app={app!r} is no name of a service: pass a text that says which one sends"
            raise ValueError(message)
        host = host or socket.gethostname()
        if "/" in host or "/" in app:
            message = f"a slash in {host!r} or {app!r}: it parts host and app in the header {envelope.CE_SOURCE}"
            raise ValueError(message)
        return cls(host, app)

    def __str__(self) -> str:
        return f"{self.host}/{self.app}"


@dataclass(frozen=True)
class Streams:
    """How each stream is sent.

    Attributes:
        terms: the declared streams; None where everything is known.
        topics: over what the terms say.
    """

    terms: Terms | None = None
    topics: Mapping[str, str] = field(default_factory=dict)

    def of(self, stream: object, max_block_s: float | None) -> StreamTerms | None:
        """Return the stream's terms, with no longer a wait than `max_block_s`; None if it is unknown.

        A stream of which no terms are known waits as long as the caller says.
        """
        if not isinstance(stream, str):
            return None
        found = self.terms.streams.get(stream) if self.terms else None
        if found is None:
            topic = self.topics.get(stream, stream if self.terms is None else None)
            is_topic = topic is not None and _TOPIC.fullmatch(topic)
            return StreamTerms(topic, max_block_s=max_block_s or 0.0) if topic and is_topic else None
        wait = found.max_block_s if max_block_s is None else min(max_block_s, found.max_block_s)
        found = replace(found, max_block_s=wait)
        return renamed(found, self.topics[stream]) if stream in self.topics else found
