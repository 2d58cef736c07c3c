"""Which routers are measured at a tick, and that one that does not answer costs the others nothing."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keystone_platform.control.goal import Goal
from keystone_platform.control.health import assess
from keystone_platform.control.measure import measure
from keystone_platform.control.memory import Memory
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.sweep import RouteStatus, sweep
from keystone_platform.errors import Transient
from keystone_platform.plan.observation import JobState
from keystone_platform.plan.progress import JobProgress, Measurement
from tests.control.fake_flink import FakeFlink
from tests.control.fake_servers import FakeKafka
from tests.control.fakes import World, a_plan, make_world

PLANS = [a_plan(f"s{number}.warehouse", table=f"events.t{number}") for number in range(10)]
ROUTES = [plan.route for plan in PLANS]


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path)
    world.flink.slots = 100
    reconcile(world.gateways, [Goal(plan, 1) for plan in PLANS])
    return world


class Ticks:
    """Looks at the fleet as the sensor does, a few routers at each tick."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.memories: Mapping[str, Memory] = {}

    def tick(self, most: int) -> dict[str, Measurement]:
        self.world.clock.time += timedelta(seconds=10)
        statuses = self.statuses()
        found = measure(self.world.gateways, statuses, self.memories, most)
        assessed = assess(statuses, self.memories, frozenset(), self.world.clock.now(), found)
        self.memories = {item.status.route: item.memory for item in assessed}
        return found

    def statuses(self) -> tuple[RouteStatus, ...]:
        return sweep(self.world.gateways, ROUTES)

    def job(self, route: str) -> str:
        return self.world.ledger.latest()[route].job_id


def test_every_router_has_its_turn(world: World) -> None:
    ticks = Ticks(world)
    turns = [set(ticks.tick(4)) for _ in range(6)]
    assert [len(turn) for turn in turns] == [4] * 6
    assert set().union(*turns[:3]) == set(ROUTES)
    assert set().union(*turns[3:]) == set(ROUTES)


def test_who_changed_or_does_not_get_on_comes_first_and_starves_nobody(world: World) -> None:
    ticks = Ticks(world)
    for _ in range(3):
        ticks.tick(4)
    last = [route for route in ROUTES if route in ticks.tick(4)]
    for route in last:
        world.flink.set_state(ticks.job(route), JobState.RESTARTING)
    turns = [ticks.tick(4) for _ in range(4)]
    assert all(len(set(last) & set(turn)) >= 2 for turn in turns)
    assert set().union(*turns) == set(ROUTES)


def test_one_whose_job_does_not_answer_is_left_out_and_the_others_are_measured(world: World) -> None:
    ticks = Ticks(world)
    lost = ticks.job(ROUTES[3])
    statuses = ticks.statuses()
    del world.flink.known[lost]
    assert set(measure(world.gateways, statuses, {})) == set(ROUTES) - {ROUTES[3]}


def test_one_that_hangs_holds_up_neither_the_others_nor_the_tick(world: World) -> None:
    released, hanging = threading.Event(), Ticks(world).job(ROUTES[0])

    class Hanging(FakeFlink):
        """Does not answer for one job until it is released."""

        def progress(self, job_id: str) -> JobProgress:
            if job_id == hanging:
                released.wait(60)
                message = "too late"
                raise Transient(message)
            return super().progress(job_id)

    flink = Hanging(world.objects, world.clock, known=world.flink.known, submissions=world.flink.submissions)
    gateways = replace(world.gateways, flink=flink)
    found = measure(gateways, Ticks(world).statuses(), {}, budget=timedelta(seconds=1))
    released.set()
    assert set(found) == set(ROUTES[1:])


def test_kafka_is_asked_only_where_nothing_was_read(world: World) -> None:
    ticks = Ticks(world)
    for events in (100, 200):
        for route in ROUTES:
            world.flink.count(ticks.job(route), 100 if route == ROUTES[2] else events)
        world.kafka.ended = dict.fromkeys((plan.source.topic for plan in PLANS), 700)
        found = ticks.tick(len(ROUTES))
    assert {route: each.ends for route, each in found.items() if each.ends is not None} == {ROUTES[2]: 700}
    world.kafka.reachable = False
    assert set(ticks.tick(len(ROUTES))) == set(ROUTES)


def test_a_kafka_that_hangs_holds_up_no_tick(world: World) -> None:
    released, ticks, waited_in_vain = threading.Event(), Ticks(world), list[bool]()
    for route in ROUTES:
        world.flink.count(ticks.job(route), 100)
    ticks.tick(len(ROUTES))

    class Hanging(FakeKafka):
        """Does not answer until it is released."""

        def ends(self, topics: Collection[str]) -> Mapping[str, int]:
            waited_in_vain.append(not released.wait(30))
            return {}

    found = measure(replace(world.gateways, kafka=Hanging()), ticks.statuses(), ticks.memories)
    assert waited_in_vain == [], "measured before Kafka answered"
    released.set()
    assert set(found) == set(ROUTES)
