"""What a producer knows of the declared streams: a small document that `keystone producers` writes.

Read with the standard library alone, since a service installs no YAML or pydantic for it. What is not known here is
left aside, so that a later platform may say more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from keystone_platform.errors import InvalidSpec

VERSION = 1
"""Of the document's form; another one is refused."""

Acks = Literal["all", "1"]


@dataclass(frozen=True)
class Site:
    """A cluster that a stream lives on, and what its topic is called there."""

    cluster: str
    topic: str

    @classmethod
    def standby(cls, cluster: str, topic: str) -> Site:
        """Return where a topic is on a cluster that is not its primary: MirrorMaker 2's names for remote topics."""
        return cls(cluster, f"{cluster}.{topic}")


@dataclass(frozen=True)
class StreamTerms:
    """How a stream's events are sent.

    Attributes:
        topic: the Kafka topic.
        acks: `all`: acknowledged by every in-sync replica; `1`: by the partition's leader alone.
        max_block_s: how long `send` may wait for room in the buffer before it drops the event; 0: not at all.
        clusters: those that it lives on, the preferred one first; empty: on those that the producer is given.
    """

    topic: str
    acks: Acks = "all"
    max_block_s: float = 0.0
    clusters: tuple[Site, ...] = ()


@dataclass(frozen=True)
class Terms:
    """The declared streams.

    Attributes:
        streams: by name; a stream that is not among them is unknown.
        audit_topic: where producers write what they counted; None: nowhere.
        audit_clusters: on which clusters that is, the preferred one first; empty: on those that the producer is given.
    """

    streams: Mapping[str, StreamTerms] = field(default_factory=dict)
    audit_topic: str | None = None
    audit_clusters: tuple[Site, ...] = ()

    @classmethod
    def load(cls, file: Path | str) -> Terms:
        """Read the document.

        Raises:
            InvalidSpec: there is no such file, or it is of another form.
        """
        try:
            return cls.of(json.loads(Path(file).read_text(encoding="utf-8")))
        except OSError as error:
            what = f"can't be read: {error.strerror}"
        except InvalidSpec as error:
            what = error.what
        except ValueError as error:
            what = f"no JSON: {error}"
        raise InvalidSpec(what, file=str(file), mend="`keystone producers --output FILE` writes it.")

    @classmethod
    def of(cls, document: object) -> Terms:
        """Read the document's value; InvalidSpec if it is of another form."""
        if not isinstance(document, dict) or document.get("version") != VERSION:
            message = f"no document of version {VERSION}"
            raise _wrong(message)
        streams, topic = document.get("streams"), document.get("audit_topic")
        if not isinstance(streams, dict) or not isinstance(topic, str | None):
            message = "`streams` is no mapping, or `audit_topic` no text"
            raise _wrong(message)
        known = {name: _stream(name, value) for name, value in streams.items()}
        return cls(known, topic, _sites("the audit topic", document.get("audit_clusters", [])))


def _stream(name: str, value: Any) -> StreamTerms:  # noqa: ANN401 - JSON
    if not isinstance(value, dict) or not isinstance(value.get("topic"), str):
        message = f"stream {name!r} has no topic"
        raise _wrong(message)
    acks, wait = value.get("acks", "all"), value.get("max_block_s", 0)
    if acks not in ("all", "1"):
        message = f"stream {name!r}: acks {acks!r} is neither 'all' nor '1'"
        raise _wrong(message)
    if isinstance(wait, bool) or not isinstance(wait, int | float) or wait < 0:
        message = f"stream {name!r}: max_block_s {wait!r} is no number of seconds"
        raise _wrong(message)
    return StreamTerms(value["topic"], acks, float(wait), _sites(f"stream {name!r}", value.get("clusters", [])))


def _sites(of: str, value: Any) -> tuple[Site, ...]:  # noqa: ANN401 - JSON
    if not isinstance(value, list):
        message = f"{of}: its clusters are no list"
        raise _wrong(message)
    return tuple(_site(of, each) for each in value)


def _site(of: str, value: Any) -> Site:  # noqa: ANN401 - JSON
    cluster, topic = (value.get("cluster"), value.get("topic")) if isinstance(value, dict) else (None, None)
    if not isinstance(cluster, str) or not isinstance(topic, str):
        message = f"{of}: one of its clusters has no name or no topic"
        raise _wrong(message)
    return Site(cluster, topic)


def _wrong(what: str) -> InvalidSpec:
    return InvalidSpec(what)
