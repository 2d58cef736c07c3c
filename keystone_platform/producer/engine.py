"""What a producer holds while it is open: buffer, clients, tallies, lanes; and how it begins, forks and ends."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Callable
from pathlib import Path

from keystone_platform.producer.accounting import NEVER_SENT, UNKNOWN, Account, Counts, DropReason, Place, Tally
from keystone_platform.producer.attributes import NEWEST, OLDEST, Refused
from keystone_platform.producer.audit import Auditor
from keystone_platform.producer.client import Client
from keystone_platform.producer.clients import Clients
from keystone_platform.producer.directory import Directory
from keystone_platform.producer.drain import Drain
from keystone_platform.producer.failover import Failover
from keystone_platform.producer.lanes import Lane, Lanes
from keystone_platform.producer.lifetime import end_with_multiprocessing, register, unregister
from keystone_platform.producer.order_sources import OrderFile
from keystone_platform.producer.problems import LOGGER, Hook, Reporter
from keystone_platform.producer.roster import Cluster, Roster
from keystone_platform.producer.settings import ProducerSettings, Source, Streams
from keystone_platform.producer.stamps import HOUR_MS, Stamp, StampSource
from keystone_platform.producer.terms import Site

MAX_STREAMS = 10_000
"""Streams that a producer tells apart in an hour; more of them are no streams, but names made from data."""

_KEPT_HOURS = int((OLDEST + NEWEST).total_seconds()) // 3600 + 2
"""Hours that an event of now may be counted in, at most."""

_JUMP_MS = 1_000
"""A clock that goes back by more is told; less is what time servers do."""


class Engine:
    """Thread-safe. Its lock is never held while Kafka is waited for.

    Args:
        orders: file of the control plane's orders.
    """

    def __init__(
        self,
        roster: Roster,
        source: Source,
        streams: Streams,
        settings: ProducerSettings,
        hook: Hook | None,
        orders: Path | None = None,
    ) -> None:
        self.source = source
        self.settings = settings
        self._roster = roster
        self._streams = streams
        self._hook = hook
        self._orders = orders
        self._is_closed = False
        self._is_over = False
        self._begin()
        self._connect()
        register(self)

    def _begin(self) -> None:
        """Begin with nothing: at first, and again in a child process."""
        self._lock = threading.RLock()
        self._is_connected = False
        self._books: dict[int, Lanes] = {}
        self.switches = 0
        self._stamps = StampSource()
        self._newest_millis = 0
        self.stamp = Stamp(-1, 0, 0)
        self.account = Account()
        self.reporter = Reporter(self._hook)
        self.clients = Clients(self.reporter, self.settings)
        self._drain = Drain(self.clients, self.account)
        self.directory = Directory(self._roster, self._streams, MAX_STREAMS)
        self.failover: Failover | None = None
        self._auditor: Auditor | None = None

    def _connect(self) -> None:
        """Make the clients that the declared streams need, and begin to audit and to watch the clusters."""
        terms = self._streams.terms
        tiers = {each.acks for each in terms.streams.values()} if terms else set()
        for cluster in self._roster.clusters.values():
            for acks in tiers or {"all"}:
                self.clients.client(cluster, acks)
        for name in sorted(self._roster.absent(terms)):
            text = "declared streams live on it, and this producer was not given it: they can't go there"
            self.reporter.tell("no_standby", text, cluster=name)
        if len(self._roster.clusters) > 1:
            file = OrderFile(self._orders, self.reporter) if self._orders else None
            self.failover = Failover(self, self._roster, file, self.settings.failover)
        if self.directory.audit:
            self._auditor = Auditor(self)
        self._is_connected = True
        end_with_multiprocessing()

    def stamp_at(self, millis: int) -> Stamp:
        """Return the stamp of that millisecond with its hour's lanes, and let the next events find it."""
        if self._is_closed or not self._is_connected:
            return Stamp(millis, millis, 0)  # without lanes: the event goes the long way
        if millis < self._newest_millis - _JUMP_MS:
            back = (self._newest_millis - millis) / 1000
            self.reporter.tell("clock_behind", f"the clock went back by {back:.1f} s; events get its time as it is")
        self._newest_millis = millis
        stamp = self._stamps.at(millis)
        stamp.lanes = self._lanes(stamp.hour)
        self.stamp = stamp
        return stamp

    def guid(self, millis: int) -> str:
        """Return the next guid."""
        return self._stamps.guid(millis)

    def lane(self, stream: str, hour: int, *, again: bool = False) -> Lane:
        """Return the stream's lane in that hour; makes it, and after a fork the clients too, when it is the first.

        Args:
            stream: as it was sent.
            hour: of the record's timestamp.
            again: of an event that was taken before: a producer that closes flushes it too.

        Raises:
            Refused: the producer is closed, or nobody declared the stream.
        """
        if self._is_over if again else self._is_closed:
            raise Refused(DropReason.CLOSED, "the producer is closed")
        terms = self._streams.of(stream, self.settings.max_block_s)
        if terms is None:
            raise Refused(
                DropReason.UNKNOWN_STREAM,
                f"no stream {stream[:80]!r} is declared" if isinstance(stream, str) else "no text",
            )
        with self._lock:
            if not self._is_connected:
                self._connect()
            lanes = self._lanes(hour)
            lane = lanes.get(stream)
            if lane and not lane.client.is_broken:
                return lane
            if len(lanes) >= MAX_STREAMS:
                raise Refused(DropReason.UNKNOWN_STREAM, f"more than {MAX_STREAMS} streams")
            site = self._site(stream)
            tally = self.account.tally(stream, site.cluster, hour)
            client = self.clients.client(self._roster.clusters[site.cluster], terms.acks)
            buffer = self.clients.buffers[site.cluster]
            lanes[stream] = Lane(stream, site.topic, terms.max_block_s, tally, client, buffer, self.reporter)
            if len(self._books) > _KEPT_HOURS:
                self._forget_old_hours(clock.time_ns() // 1_000_000)
            return lanes[stream]

    def stray(self, stream: str, hour: int, reason: DropReason) -> Tally:
        """Return where an event is counted that gets no lane."""
        name = stream if reason is not DropReason.UNKNOWN_STREAM and isinstance(stream, str) else UNKNOWN
        with self._lock:
            return self.account.tally(name, self._roster.first.name, hour)

    def audit_client(self) -> tuple[Client, str]:
        """Return the client that audit events go with now, and their topic there."""
        with self._lock:
            sites = self.directory.audit
            site = self.failover.site(sites[0].topic, sites)[0] if self.failover else sites[0]
            return self.clients.client(self._roster.clusters[site.cluster], "all"), site.topic

    def audit_soon(self) -> None:
        """Write an audit event now: streams use another cluster."""
        if self._auditor:
            self._auditor.hasten()

    def using(self) -> list[tuple[str, str, str]]:
        """Return, for each stream that was sent and could go elsewhere too, which cluster it uses and why."""
        sent = {tally.stream for tally in self.account.tallies()}
        with self._lock:
            return self.failover.using(sent) if self.failover else []

    def client_of(self, cluster: str) -> Client:
        """Return a client that sends to the cluster."""
        with self._lock:
            return self.clients.some(self._roster.clusters[cluster])

    def point_at(self, cluster: Cluster) -> None:
        """Give later events lanes to that cluster."""
        with self._lock:
            tiers = {client.acks for client in self.clients.all()} or {"all"}
            for acks in tiers:
                self.clients.client(cluster, acks)
            if self.failover:
                self.failover.end()
                self.failover = None
            self._roster = Roster.single(cluster)
            self.directory = Directory(self._roster, self._streams, MAX_STREAMS)
            self.clients.buffers[cluster.name].limit = self.settings.max_buffer_bytes
            self.redirect(lambda: None)

    def release(self, cluster: str) -> None:
        """Where that is wished, give up what waits for a cluster, so that it is sent to the one that is used now."""
        for client in self.clients.all() if self.settings.resend else ():
            if client.cluster.name == cluster:
                client.release()

    def redirect(self, change: Callable[[], None]) -> None:
        """Make a change to where streams go, and let later events find it."""
        with self._lock:
            change()
            self.switches += 1
            self._books = {}
            self.stamp = Stamp(-1, 0, 0)

    def by_place(self) -> dict[Place, Counts]:
        """Return the counts by stream and cluster, with what the newest statistics say of further attempts."""
        transmitted = self.clients.transmitted()
        for place, counts in self.account.by_place().items():
            terms = self._streams.of(place.stream, None)
            topic = self._roster.topic(place.cluster, terms) if terms else ""
            sent = transmitted.get((place.cluster, topic), 0)
            handed = counts.attempted - sum(counts.dropped.get(reason, 0) for reason in NEVER_SENT)
            self.account.retried(place, max(0, sent - handed))
        return self.account.by_place()

    def flush(self, deadline_s: float) -> int:
        """Wait until no event is on its way, at most that long; return how many outcomes are not known."""
        return self._drain.flush(deadline_s)

    def close(self, deadline_s: float) -> None:
        """Flush, give up the rest, write the last audit event, end the clients. Harmless to repeat.

        Raises:
            RuntimeError: within `on_delivery`, which these would wait for.
        """
        if any(client.is_serving for client in self.clients.all()):
            message = "close is called within on_delivery"
            raise RuntimeError(message)
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self.stamp = Stamp(-1, 0, 0)
        end = clock.monotonic() + deadline_s
        left = self.flush(deadline_s)
        self._is_over = True
        if left:
            for client in self.clients.all():
                client.give_up()
            self._drain.settle()
        if self._auditor:
            self._auditor.close(max(0.0, end - clock.monotonic()))
        if self.failover:
            self.failover.close()
        for client in self.clients.all():
            client.close()
        unregister(self)

    def at_exit(self) -> None:
        """Close within the bound of an interpreter that ends, and tell what is lost."""
        before = self.account.counts()
        self.close(self.settings.exit_flush_s)
        after = self.account.counts()
        lost = after.dropped_total - before.dropped_total
        if lost:
            self.reporter.tell("lost_at_exit", f"{lost} events had not reached Kafka when the process ended")
        LOGGER.info("ended: %d attempted, %d acknowledged, %d dropped", *_sums(after))

    def after_fork_in_child(self) -> None:
        """Leave all that is the parent's alone; clients are made when the child first sends."""
        if self._auditor:
            self._auditor.abandon()
        if self.failover:
            self.failover.abandon()
        self.clients.forget()
        self._begin()

    def _forget_old_hours(self, now_millis: int) -> None:
        """Keep only the sums of hours that no event can be counted in any more."""
        first = now_millis // HOUR_MS - _KEPT_HOURS
        for hour in [hour for hour in self._books if hour < first]:
            del self._books[hour]
        for tally in self.account.tallies():
            if tally.hour < first and not tally.counts().pending and not (self._auditor and tally.is_news):
                self.account.settle(tally)

    def _lanes(self, hour: int) -> Lanes:
        return self._books.setdefault(hour, {})

    def _site(self, stream: str) -> Site:
        """Return where the stream goes now."""
        sites = self.directory.sites(stream)
        if not sites:
            named = f"of the clusters of {stream}, this producer was given none"
            raise Refused(DropReason.NO_CLUSTER, named)
        return self.failover.site(stream, sites)[0] if self.failover else sites[0]


def _sums(counts: Counts) -> tuple[int, int, int]:
    return counts.attempted, counts.acknowledged, counts.dropped_total
