"""The whole way once: deploy, produce, land, compact, query, count."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax

from keystone_platform.demo import dagster_runs
from keystone_platform.demo.progress import Progress
from keystone_platform.demo.queries import queries
from keystone_platform.demo.routes import (
    DemoRoute,
    Mark,
    RouteWatch,
    count_files,
    mark,
    touched_hours,
    warehouse_routes,
    watch,
)
from keystone_platform.demo.sending import Sending, new_producer, passing_event, shares
from keystone_platform.demo.truth import DemoTruth, add_up
from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.gateways.kafka_clusters import connect_kafka
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.answer import ask, write_table
from keystone_platform.query.session import open_session
from keystone_platform.settings import Settings
from keystone_platform.synthetic.events import Mix

PRODUCE_S = 25.0
"""How long the events are spread over, if Kafka takes them that fast: a few checkpoints, so that files pile up."""

STALL_S = 120.0
"""How long nothing may land before the run stops waiting and counts what is there."""

FLUSH_S = 60.0
PROBE_TIMEOUT_S = 60.0

_LOOK_S = 1.0
_PROBE_LOOK_S = 0.25


class Demo:
    """One run on a stack that is up.

    Args:
        settings: how to attach.
        streams: folder of the stream YAMLs.
        console: where the story is told.
        clock: the machine's.
        started: when the command began, as Unix time.
    """

    def __init__(self, settings: Settings, streams: Path, console: Console, clock: Clock, started: float) -> None:
        self._settings = settings
        self._console = console
        self._clock = clock
        self._started = started
        self._routes = warehouse_routes(streams)
        self._dagster = DagsterApi(settings.dagster_url, clock=clock)
        self._kafka = connect_kafka(settings)
        self._lake = IcebergLake(settings)

    def run(self, events: int, mix: Mix) -> DemoTruth:
        """Do it all and return what became of the events.

        Raises:
            Transient, Terminal: a server does not answer, a Dagster run failed, Kafka did not take every event.
        """
        self._say(f"Deploying {len(self._routes)} routers through Dagster")
        dagster_runs.wait_until_loaded(self._dagster, self._clock)
        marks = {route: mark(route, self._kafka, self._lake) for route in self._routes}
        plans = [route.plan for route in self._routes]
        dagster_runs.deploy(self._dagster, plans, self._console)

        self._say(f"Producing {events:,} events into {', '.join(route.plan.source.topic for route in self._routes)}")
        watches = [watch(self._settings, route, marks[route]) for route in self._routes]
        self._produce(events, mix, watches)
        before, after = self._compact(marks)
        self._query()

        self._say("Reading the truth back from Kafka, the tables and the dead letters")
        truths = [watched.audit.truth() for watched in watches]
        for truth in truths:
            if truth.unexpected:
                self._warn(f"{truth.route}: {truth.unexpected:,} events are where they should not be")
        seconds = self._clock.now().timestamp() - self._started
        return add_up(truths, files_before=before, files_after=after, seconds=seconds)

    def _produce(self, events: int, mix: Mix, watches: Sequence[RouteWatch]) -> None:
        """Send all events but one, wait until they are landed, then time the last one."""
        streams = [route.stream for route in self._routes]
        with new_producer(self._settings, streams) as producer, Progress(self._console, self._clock) as progress:
            todo = shares(streams, max(events - 1, 0))
            with Sending(producer, todo, self._clock, rate=events / PRODUCE_S, mix=mix) as sending:
                self._follow(watches, sending, progress)
            unsent = producer.flush(FLUSH_S)
            if unsent or producer.counts().dropped:
                reasons = ", ".join(f"{count} {reason}" for reason, count in producer.counts().dropped.items())
                message = f"Kafka did not take every event: {unsent} open, {reasons or 'none dropped'}"
                raise Terminal(message, mend="See the broker's log: `keystone status` names it.")
            self._follow(watches, None, progress)
        if events > 0:
            self._probe(watches[0])

    def _follow(self, watches: Sequence[RouteWatch], sending: Sending | None, progress: Progress) -> None:
        """Look on until the sending is done, or without one until everything is landed."""
        seen, changed_at, produced, looked_at = -1, self._now(), 0, self._now()
        while True:
            for watched in watches:
                watched.look()
            now = self._now()
            total = sum(watched.audit.produced() for watched in watches)
            landed, dead = sum(watched.landed for watched in watches), sum(watched.dead for watched in watches)
            behind = sum(watched.behind for watched in watches)
            rate = (total - produced) / max(now - looked_at, 0.001) if produced or sending else 0
            counts = f"produced {total:,} ({rate:,.0f}/s)  landed {landed:,}  dead {dead:,}  lag {behind:,}"
            progress.show(f"  {now - self._started:4.0f} s  {counts}")
            produced, looked_at = total, now
            if (sending and sending.is_done) or (not sending and not behind):
                return
            if landed + dead != seen:
                seen, changed_at = landed + dead, now
            elif not sending and now - changed_at > STALL_S:
                self._warn(self._stalled(watches))
                return
            self._clock.sleep(_LOOK_S)

    def _stalled(self, watches: Sequence[RouteWatch]) -> str:
        late = ", ".join(f"{watched.audit.plan.route} ({watched.behind:,})" for watched in watches if watched.behind)
        return f"nothing landed for {STALL_S:.0f} s, still missing: {late}. See {self._settings.flink_rest}"

    def _probe(self, watched: RouteWatch) -> None:
        """Send the last event and time how long it takes until DuckDB sees it."""
        route = self._routes[0]
        event = passing_event(route.plan, route.stream, self._clock)
        with new_producer(self._settings, [route.stream]) as producer:
            sent = self._now()
            guid = producer.send(route.stream.stream, event.payload)
            while not self._is_visible(route.table, guid):
                if self._now() - sent > PROBE_TIMEOUT_S:
                    self._warn(f"the last event was not visible within {PROBE_TIMEOUT_S:.0f} s")
                    break
                self._clock.sleep(_PROBE_LOOK_S)
            else:
                took, interval = self._now() - sent, route.plan.checkpoint_interval_s
                self._console.print(
                    f"  last event: visible in DuckDB {took:.1f} s after it was sent (checkpoint every {interval} s)",
                    highlight=False,
                )
        watched.look()

    def _is_visible(self, table: str, guid: str) -> bool:
        with open_session(self._settings, [table]) as session:
            return session.execute(f"SELECT 1 FROM {table} WHERE _guid = ?", [guid]).fetchone() is not None

    def _compact(self, marks: dict[DemoRoute, Mark]) -> tuple[int, int]:
        """Compact the hours into which rows landed; return their files before and after."""
        hours = {route: touched_hours(route, marks[route], self._lake) for route in self._routes}
        self._say(f"Compacting {sum(map(len, hours.values()))} hours of {len(hours)} tables through Dagster")
        before = count_files(hours, self._lake)
        by_route: dict[str, tuple[datetime, ...]] = {route.plan.route: touched for route, touched in hours.items()}
        dagster_runs.compact(self._dagster, by_route, self._console)
        after = count_files(hours, self._lake)
        self._console.print(f"  {before:,} files before, {after:,} after", highlight=False)
        return before, after

    def _query(self) -> None:
        self._say("Three questions of an analyst, answered by DuckDB")
        for query in queries([route.table for route in self._routes]):
            self._console.print(f"\n[bold]{query.question}[/]")
            self._console.print(Syntax(query.sql, "sql", background_color="default"))
            write_table(ask(self._settings, query.sql), self._console)

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _say(self, text: str) -> None:
        self._console.print(f"\n[bold cyan]{text}[/]", highlight=False)

    def _warn(self, text: str) -> None:
        self._console.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)
