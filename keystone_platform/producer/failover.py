"""Decides which cluster each stream uses: watches the clusters, and follows orders.

A thread looks at all clusters every half second: at what was acknowledged, and at what their lookouts found. The
judgement is in health.py and choice.py. A switch replaces the lanes of streams, so `send` does nothing for it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Literal

from keystone_platform.producer.choice import choose, shares
from keystone_platform.producer.flow import Flow
from keystone_platform.producer.health import Condition, FailoverLimits, Health, Signs, judge
from keystone_platform.producer.lookout import Lookout
from keystone_platform.producer.order_sources import OrderFile, OrderTopic
from keystone_platform.producer.orders import EVERY_STREAM, Orders
from keystone_platform.producer.problems import LOGGER
from keystone_platform.producer.roster import Roster
from keystone_platform.producer.terms import Site

if TYPE_CHECKING:
    from keystone_platform.producer.engine import Engine

Why = Literal["preferred", "sick", "order"]
"""Why a stream uses its cluster: it is the preferred one; that is sick, or not believed yet; it was ordered."""

Names = tuple[str, ...]


class Failover:
    """The clusters of one producer, and which of them is used. Its thread ends with `close`.

    Attributes:
        conditions: how each cluster is; replaced as a whole.
    """

    def __init__(self, engine: Engine, roster: Roster, file: OrderFile | None, limits: FailoverLimits) -> None:
        self._engine = engine
        self._roster = roster
        self._limits = limits
        self._file = file
        self._orders = Orders()
        self._everything: Names = tuple(roster.clusters)
        self._chosen: dict[Names, str] = {}
        self._flows = {name: Flow() for name in self._everything}
        self._draws = {name: random.random() for name in self._everything}
        self.conditions: Mapping[str, Condition] = {name: Condition() for name in self._everything}
        self._lookouts = {
            name: Lookout(name, engine, partial(OrderTopic, cluster, engine.reporter), limits, engine.reporter)
            for name, cluster in roster.clusters.items()
        }
        self._in_use = frozenset(site.cluster for _, (site, *_) in engine.directory.several())
        self._share()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keystone-producer-failover", daemon=True)
        self._thread.start()

    def site(self, stream: str, sites: Sequence[Site]) -> tuple[Site, Why]:
        """Return where the stream goes now, of its sites with the preferred one first, and why.

        Its caller holds the engine's lock.
        """
        names = tuple(site.cluster for site in sites)
        order = self._orders.of(stream)
        if order and order.cluster in names:
            name, why = order.cluster, "order"
        else:
            if names not in self._chosen:
                self._chosen[names] = names[0]
                self._in_use |= {names[0]}
            name = self._chosen[names]
            why = "preferred" if name == names[0] else "sick"
        site = sites[names.index(name)]
        if site is sites[0] or site.topic not in self._lookouts[name].missing:
            return site, why  # type: ignore[return-value] # one of the words above
        text = f"there is no topic {site.topic}: events stay with {sites[0].cluster}"
        self._engine.reporter.tell("no_topic", text, stream, name)
        return sites[0], "preferred"

    def using(self, sent: Collection[str]) -> list[tuple[str, str, str]]:
        """Return of these streams those that could go elsewhere, which cluster each uses, and why.

        Its caller holds the engine's lock.
        """
        places = [(stream, *self.site(stream, sites)) for stream, sites in self._several() if stream in sent]
        return [(stream, site.cluster, why) for stream, site, why in places]

    def look(self, now: float) -> None:
        """Judge each cluster by what was seen of it until now, and switch what has to be switched."""
        before = self.conditions
        self.conditions = {name: self._judged(name, now) for name in self._everything}
        for name, condition in self.conditions.items():
            if condition.health is not before[name].health:
                LOGGER.info("cluster %s is %s: %s", name, condition.health, condition.why)
        chosen = {
            names: choose(current, names, self.conditions, now, self._limits)
            for names, current in list(self._chosen.items())
        }
        self._tell_helpless(chosen)
        orders = self._read_orders()
        if chosen != self._chosen or orders != self._orders:
            self._switch(chosen, orders)
        self._share()
        for name, lookout in self._lookouts.items():
            lookout.is_pressed = self.conditions[name].health is not Health.HEALTHY

    def end(self) -> None:
        """Decide nothing any more; waits for no thread."""
        self._is_over.set()
        for lookout in self._lookouts.values():
            lookout.close()

    def close(self) -> None:
        """End the thread that decides; those that ask end with their newest question."""
        self.end()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def abandon(self) -> None:
        """End in a child process: the threads are not in it."""
        self._is_over.set()
        for lookout in self._lookouts.values():
            lookout.abandon()

    def _run(self) -> None:
        while not self._is_over.wait(self._limits.look_s):
            self.look(monotonic())

    def _judged(self, name: str, now: float) -> Condition:
        flow, lookout, before = self._flows[name], self._lookouts[name], self.conditions[name]
        flow.look(self._engine.account.sums(name), now)
        signs = Signs(
            at=now,
            stalled_s=flow.stalled_s(now),
            oldest_s=flow.oldest_s(now),
            acknowledged_ago_s=flow.acknowledged_ago_s(now),
            is_failing=flow.is_failing(now),
            probes_failed=lookout.probes_failed,
            has_answered=lookout.has_answered,
        )
        condition = judge(before, signs, self._limits, self._draws[name])
        if condition.health is Health.SICK and before.health is not Health.SICK:
            self._draws[name] = random.random()
        return condition

    def _read_orders(self) -> Orders:
        found = self._orders
        for lookout in self._lookouts.values():
            found = found.with_newer(lookout.orders)
        return found.with_newer(self._file.read()) if self._file else found

    def _switch(self, chosen: dict[Names, str], orders: Orders) -> None:
        reporter, before = self._engine.reporter, (self._chosen, self._orders)
        self._engine.redirect(lambda: self._take(chosen, orders))
        for names, name in chosen.items():
            if name != before[0].get(names, name):
                left = self.conditions[before[0][names]]
                was = f"from {before[0][names]}, which is {left.health}: {left.why}"
                text = was if left.health is Health.SICK else f"from {before[0][names]}: {name} is well again"
                reporter.tell("switched", text, cluster=name)
                if left.health is Health.SICK:
                    self._engine.release(before[0][names])
        for stream, order in orders.by_stream.items():
            if order == before[1].by_stream.get(stream):
                continue
            told = "" if stream == EVERY_STREAM else stream
            if order.cluster is not None and order.cluster not in self._roster.clusters:
                text = (
                    f"an order of {order.by or 'somebody'} names {order.cluster!r}, which this producer was not given"
                )
                reporter.tell("order", f"{text}: it is not followed", told)
            else:
                what = f"to {order.cluster}" if order.cluster else "back to the producer's own choice"
                LOGGER.warning("ordered: %s %s (%s: %s)", stream, what, order.by, order.why)
        self._engine.audit_soon()

    def _take(self, chosen: dict[Names, str], orders: Orders) -> None:
        self._chosen = {**self._chosen, **chosen}  # a group may have come since they were chosen
        self._orders = orders
        self._in_use = frozenset(self.site(stream, sites)[0].cluster for stream, sites in self._several())
        self._share()

    def _several(self) -> list[tuple[str, tuple[Site, ...]]]:
        return self._engine.directory.several()

    def _tell_helpless(self, chosen: Mapping[Names, str]) -> None:
        for names, name in chosen.items():
            if self.conditions[name].health is Health.SICK:
                text = f"no cluster of {', '.join(names)} is well: {self.conditions[name].why}"
                self._engine.reporter.tell("no_cluster", text, cluster=name)

    def _share(self) -> None:
        """Divide the buffer's bytes among the clusters."""
        buffers = self._engine.clients.buffers
        limit = self._engine.settings.max_buffer_bytes
        for name, most in shares(self._everything, self._in_use, lambda name: buffers[name].used, limit).items():
            buffers[name].limit = most
