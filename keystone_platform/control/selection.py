"""Which routes a fleet operation is about: names, globs, owners, streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from keystone_platform.errors import InvalidSpec


@dataclass(frozen=True)
class Candidate:
    """A route that can be selected."""

    route: str
    stream: str
    owner: str


@dataclass(frozen=True)
class Selection:
    """A selection; of several kinds of condition each has to hold, of several of one kind any.

    Attributes:
        routes: names, `<stream>.<route>`, or globs over them.
        owners: as declared, `team:player`.
        streams: names of streams.
    """

    routes: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()

    @property
    def takes_all(self) -> bool:
        """Whether nothing is asked for."""
        return not (self.routes or self.owners or self.streams)

    @property
    def names_only(self) -> bool:
        """Whether each route is named, so that nothing else matters."""
        return bool(self.routes) and not (self.owners or self.streams or any(map(is_glob, self.routes)))

    def of(self, candidates: Sequence[Candidate], among: str = "declared") -> tuple[str, ...]:
        """Return the selected routes in the candidates' order.

        Raises:
            InvalidSpec: a name, glob, owner or stream is nobody's, or no route meets all conditions.
        """
        for pattern in self.routes:
            _demand(pattern, "route", [each.route for each in candidates], among)
        for owner in self.owners:
            _demand(owner, "owner", [each.owner for each in candidates], among)
        for stream in self.streams:
            _demand(stream, "stream", [each.stream for each in candidates], among)
        chosen = tuple(each.route for each in candidates if self._takes(each))
        if not chosen and not self.takes_all:
            message = f"no {among} route meets all of the conditions"
            raise InvalidSpec(message, mend="Leave one out: those of different kinds have to hold together.")
        return chosen

    def _takes(self, candidate: Candidate) -> bool:
        return (
            (not self.routes or any(fnmatchcase(candidate.route, pattern) for pattern in self.routes))
            and (not self.owners or candidate.owner in self.owners)
            and (not self.streams or candidate.stream in self.streams)
        )


_TOLD = 20


def is_glob(text: str) -> bool:
    """Whether it is a pattern rather than a name."""
    return any(sign in text for sign in "*?[")


def _demand(wanted: str, kind: str, there: Iterable[str], among: str) -> None:
    known = sorted(set(there))
    if any(fnmatchcase(each, wanted) if kind == "route" else each == wanted for each in known):
        return
    close = [] if is_glob(wanted) else get_close_matches(wanted, known, n=3)
    there_are = f"There are: {', '.join(known[:_TOLD]) or 'none'}."
    mend = f"Did you mean {' or '.join(map(repr, close))}?" if close else there_are
    message = f"no {among} {kind} matches {wanted!r}" if is_glob(wanted) else f"no {kind} {wanted!r} is {among}"
    raise InvalidSpec(message, mend=mend)
