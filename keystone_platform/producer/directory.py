"""Where streams live, of those that were declared and those that were sent."""

from __future__ import annotations

from collections.abc import Sequence

from keystone_platform.producer.roster import Roster
from keystone_platform.producer.settings import Streams
from keystone_platform.producer.terms import Site


class Directory:
    """The sites of each stream on the clusters that the producer was given. Its owner's lock guards `sites`.

    Args:
        most: streams that are remembered where none is declared.

    Attributes:
        audit: where audit events may go, the preferred cluster first; empty if nowhere.
    """

    def __init__(self, roster: Roster, streams: Streams, most: int) -> None:
        self._roster = roster
        self._streams = streams
        self._most = most
        self._known: dict[str, tuple[Site, ...]] = {}
        self._topics: dict[str, list[str]] = {}
        terms = streams.terms
        for stream in terms.streams if terms else ():
            self.sites(stream)
        self.audit = roster.audit_sites(terms) if terms else ()
        self._note(self.audit)

    def sites(self, stream: str) -> tuple[Site, ...]:
        """Return where the stream may go, the preferred cluster first; empty if nowhere."""
        found = self._known.get(stream)
        if found is None:
            terms = self._streams.of(stream, None)
            found = self._roster.sites(terms) if terms else ()
            if self._streams.terms or len(self._known) < self._most:
                self._known[stream] = found
                self._note(found)
        return found

    def several(self) -> list[tuple[str, tuple[Site, ...]]]:
        """Return the streams that may use several clusters, and where they may go."""
        return [(stream, sites) for stream, sites in list(self._known.items()) if len(sites) > 1]

    def topics_on(self, cluster: str) -> Sequence[str]:
        """Return the topics that streams, and audit events, have there."""
        return self._topics.get(cluster, ())

    def _note(self, sites: Sequence[Site]) -> None:
        for site in sites:
            self._topics.setdefault(site.cluster, []).append(site.topic)
