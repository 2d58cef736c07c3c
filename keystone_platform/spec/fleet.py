"""The declared fleet as a value: every stream and route with the place in the files where it is declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from keystone_platform.errors import InvalidSpec, InvalidSpecs
from keystone_platform.spec.clusters import PRIMARY, Clusters
from keystone_platform.spec.models import RouteSpec, StreamSpec, route_id


@dataclass(frozen=True)
class LoadedRoute:
    """A route with its stream and the place where it is declared.

    Attributes:
        file: the YAML file, relative to the working directory where possible.
        line: line in it, from 1.
        lines: lines of the stream's own keys, dotted: `format`, `schema.device.type`.
        clusters: names of the stream's primary cluster, and of its standby if it has one.
    """

    stream: StreamSpec
    route: RouteSpec
    file: Path
    line: int
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    clusters: tuple[str, str | None] = (PRIMARY, None)

    @property
    def id(self) -> str:
        """The route's identity, `<stream>.<route name>`."""
        return route_id(self.stream, self.route)


@dataclass(frozen=True)
class LoadedStream:
    """A stream with the place where it is declared; `routes` in declared order."""

    spec: StreamSpec
    file: Path
    line: int
    routes: tuple[LoadedRoute, ...]
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    """See LoadedRoute."""


@dataclass(frozen=True)
class Fleet:
    """What the stream files declare.

    Attributes:
        streams: the valid streams, by file name; no two of them contradict each other.
        errors: what is wrong in the other files, by file and line. A stream with an error anywhere in its file is
            not among `streams`, and of streams that contradict each other none is: which of them is right is for
            people to say, and what runs of them goes on running meanwhile.
        clusters: the Kafka clusters that they live on, without addresses where no file declares them.
    """

    streams: tuple[LoadedStream, ...]
    errors: tuple[InvalidSpec, ...] = ()
    clusters: Clusters = field(default_factory=Clusters.alone)

    @property
    def routes(self) -> tuple[LoadedRoute, ...]:
        """Every valid route, in the order of the streams."""
        return tuple(route for stream in self.streams for route in stream.routes)

    def checked(self) -> Fleet:
        """Return the fleet itself.

        Raises:
            InvalidSpecs: there are errors.
        """
        if self.errors:
            raise InvalidSpecs(self.errors)
        return self

    def stream(self, name: str) -> LoadedStream:
        """Return the stream of that name.

        Raises:
            InvalidSpec: there is none; names close ones.
        """
        found = next((stream for stream in self.streams if stream.spec.stream == name), None)
        if found is None:
            message = f"no stream {name!r} is declared"
            raise InvalidSpec(message, mend=_known(name, (stream.spec.stream for stream in self.streams)))
        return found

    def route(self, identity: str) -> LoadedRoute:
        """Return the route of that identity, `<stream>.<route name>`.

        Raises:
            InvalidSpec: there is none; names close ones.
        """
        found = next((route for route in self.routes if route.id == identity), None)
        if found is None:
            message = f"no route {identity!r} is declared"
            raise InvalidSpec(message, mend=_known(identity, (route.id for route in self.routes)))
        return found


def _known(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    close = get_close_matches(name, known, n=3)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Declared are: {', '.join(known[:20])}." if known else "No valid stream is declared."
