"""A stream gets a standby cluster, loses it, or has one that is away: nothing is lost, doubled or held up."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.control.goal import Goal, Verdict
from keystone_platform.control.goals import wanted
from keystone_platform.control.preview import preview
from keystone_platform.control.reconcile import reconcile
from keystone_platform.errors import Terminal, Transient
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.plan.decide import Act, Request
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.plan_router import PlannedRoute, plan_fleet
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan
from keystone_platform.spec.loader import load_streams
from tests.control.fakes import World, a_plan, make_world

ALONE = a_plan()
TABLE = "events.playback"
BOTH = ALONE.model_copy(update={"source": ALONE.source.model_copy(update={"standby": "b"})})

CLUSTERS = """\
clusters:
  primary: {bootstrap_servers: "a:1"}
  b: {bootstrap_servers: "b:1"}
streams: {primary: primary, standby: b}
"""

STREAM = """\
stream: playback
owner: team:player
schema: {country: string}
routes:
  - sink: {warehouse: {table: events.playback}}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    made.kafka.reaches = {"playback": Offsets({0: 0}, {0: 500}), "b.playback": Offsets({0: 0}, {0: 90})}
    return made


def converge(world: World, plan: RouterPlan, request: Request = Request.CONVERGE) -> tuple[Verdict, list[str]]:
    told: list[str] = []
    goals = [Goal(plan, 3)]
    (verdict,) = reconcile(world.gateways, goals, request, progress=lambda _route, doing: told.append(doing))
    return verdict, told


def deployed(world: World, plan: RouterPlan) -> None:
    verdict, _ = converge(world, plan)
    assert verdict.ok, verdict.message


def latest(world: World) -> Deployment:
    return world.ledger.latest()["playback.warehouse"]


def declared(folder: Path) -> Path:
    (folder / "clusters.yaml").write_text(CLUSTERS)
    (folder / "streams").mkdir()
    (folder / "streams" / "playback.yaml").write_text(STREAM)
    return folder / "streams"


def planned(folder: Path) -> tuple[PlannedRoute, ...]:
    return plan_fleet(load_streams(declared(folder))).routes


def test_topics_are_made_on_the_standby_like_on_the_primary(world: World) -> None:
    deployed(world, BOTH)
    topics = {"playback": 3, "playback.dlq": 1, "keystone.producers": 1}
    assert world.kafka.topics == topics | {f"b.{name}": partitions for name, partitions in topics.items()}


def test_a_standby_that_is_away_is_told_and_holds_up_nothing(world: World) -> None:
    world.kafka.away = "b."
    verdict, told = converge(world, BOTH)
    assert verdict.ok, verdict.message
    assert any("topics on b could not be looked at" in each for each in told)
    assert "b.playback" not in world.kafka.topics


def test_a_primary_that_is_away_does_not_keep_a_route_from_being_started(world: World) -> None:
    deployed(world, BOTH)
    world.flink.forget()
    world.kafka.away = "playback"
    deployed(world, BOTH)


def test_without_a_standby_a_primary_that_is_away_is_an_error_as_ever(world: World) -> None:
    world.kafka.away = "playback"
    verdict, told = converge(world, ALONE)
    assert isinstance(verdict.error, Transient)
    assert told == ["preparing topics and table"]


def test_plan_tells_the_topics_that_an_apply_would_make(world: World, tmp_path: Path) -> None:
    (found,) = preview(world.gateways, planned(tmp_path))
    assert "topics on b: b.playback" in found.why


def test_plan_tells_of_a_standby_that_is_away_and_shows_the_rest(world: World, tmp_path: Path) -> None:
    world.kafka.away = "b."
    (found,) = preview(world.gateways, planned(tmp_path))
    assert found.change == "new"
    assert "the topics on b could not be looked at: Kafka does not answer" in found.why


def test_topics_that_could_not_be_made_are_made_by_the_next_apply_though_nothing_restarts(
    world: World, tmp_path: Path
) -> None:
    goals = wanted(declared(tmp_path), []).goals
    world.kafka.away = "b."
    assert reconcile(world.gateways, goals)[0].ok
    world.kafka.away = ""
    (verdict,) = reconcile(world.gateways, goals)
    assert verdict.action.act is Act.NOTHING
    assert {"b.playback", "b.playback.dlq", "b.playback.replay.warehouse"} <= world.kafka.topics.keys()


def test_a_standby_that_is_added_is_read_from_its_beginning(world: World) -> None:
    deployed(world, ALONE)
    deployed(world, BOTH)
    submitted = world.flink.submissions[-1]
    assert submitted.restore_from
    assert (submitted.start_at, submitted.leaves_state) == (None, False)


def test_a_standby_is_taken_away_when_all_of_it_is_read(world: World) -> None:
    deployed(world, BOTH)
    world.flink.checkpoint(latest(world).job_id, "b.playback:0:90;playback:0:3")
    deployed(world, ALONE)
    assert world.flink.submissions[-1].leaves_state


def test_a_standby_with_unread_events_is_not_taken_away(world: World) -> None:
    deployed(world, BOTH)
    world.flink.checkpoint(latest(world).job_id, "b.playback:0:80;playback:0:3")
    verdict, _ = converge(world, ALONE)
    assert isinstance(verdict.error, Terminal)
    assert "10 events on the cluster b are not read yet" in str(verdict.error)
    assert latest(world).is_open


def test_a_standby_that_is_away_is_taken_from_a_stopped_route_only(world: World) -> None:
    deployed(world, BOTH)
    world.flink.checkpoint(latest(world).job_id, "b.playback:0:80")
    world.kafka.away = "b."
    verdict, _ = converge(world, ALONE)
    assert "keystone stop playback.warehouse" in str(verdict.error)
    converge(world, BOTH, Request.STOP)
    deployed(world, ALONE)


def test_a_standby_that_comes_back_is_read_on_where_the_table_ends(world: World) -> None:
    deployed(world, BOTH)
    world.flink.checkpoint(latest(world).job_id, "b.playback:0:90")
    deployed(world, ALONE)
    world.lake.landed[TABLE] = {"playback": {0: 3}, "b.playback": {0: 90}}
    deployed(world, BOTH)
    submitted = world.flink.submissions[-1]
    assert submitted.restore_from
    assert submitted.start_at == "b.playback:0:90"


def test_a_topic_that_is_written_exactly_once_does_not_get_a_standby_back(world: World) -> None:
    target = KafkaTarget(topic="out", transaction_timeout_s=700)
    alone, both = (plan.model_copy(update={"target": target}) for plan in (ALONE, BOTH))
    deployed(world, both)
    world.flink.checkpoint(latest(world).job_id, "b.playback:0:90")
    deployed(world, alone)
    verdict, _ = converge(world, both)
    assert "it has read b before" in str(verdict.error)


def test_another_primary_is_another_router(world: World) -> None:
    deployed(world, ALONE)
    elsewhere = ALONE.model_copy(update={"source": ALONE.source.model_copy(update={"cluster": "b"})})
    verdict, _ = converge(world, elsewhere)
    assert "another router" in str(verdict.error)


def test_a_table_that_is_all_there_is_tells_where_to_go_on_on_both_clusters(world: World) -> None:
    world.lake.landed[TABLE] = {"playback": {0: 300}, "b.playback": {0: 40}}
    world.kafka.away = "b."
    deployed(world, BOTH)
    assert world.flink.submissions[-1].start_at == "b.playback:0:40;playback:0:300"
