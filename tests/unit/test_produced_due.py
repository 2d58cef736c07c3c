"""When a day of what services sent is reported: not each minute, and at once when more was lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from assets import keys
from assets.produced.asset import day_event, loss_of
from assets.produced.due import PAUSE, ProducedCursor, moved, news
from keystone_platform.plan.produced import LOSS_LIMIT, ClusterUse, Produced
from keystone_platform.spec.fleet import LoadedRoute, LoadedStream
from keystone_platform.spec.models import StreamSpec

DAY = date(2026, 11, 2)
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def stream(name: str = "s") -> LoadedStream:
    route = {"sink": {"warehouse": {"table": f"events.{name}"}}}
    spec = StreamSpec.model_validate({"stream": name, "owner": "team:tests", "routes": [route]})
    return LoadedStream(spec, Path(f"{name}.yaml"), 1, ())


def counts(attempted: int, dropped: int = 0) -> Produced:
    reasons = {"queue_full": dropped} if dropped else {}
    return Produced(attempted=attempted, acknowledged=attempted - dropped, dropped=reasons, producers=1)


def test_a_day_is_reported_at_first_then_at_a_pause_and_at_once_when_more_was_lost() -> None:
    declared = {"s": stream()}
    found, cursor = news({("s", DAY): counts(5), ("undeclared", DAY): counts(5)}, declared, ProducedCursor(), NOW)
    assert [(each.spec.stream, day, produced.attempted) for each, day, produced in found] == [("s", DAY, 5)]
    found, cursor = news({("s", DAY): counts(50)}, declared, cursor, NOW + timedelta(minutes=1))
    assert found == []
    found, cursor = news({("s", DAY): counts(60, dropped=1)}, declared, cursor, NOW + timedelta(minutes=2))
    assert len(found) == 1
    found, cursor = news({("s", DAY): counts(70, dropped=1)}, declared, cursor, NOW + timedelta(minutes=2) + PAUSE)
    assert len(found) == 1
    found, cursor = news({("s", DAY): counts(70, dropped=1)}, declared, cursor, NOW + 5 * PAUSE)
    assert found == []
    assert news({}, declared, cursor, NOW)[1] == ProducedCursor()


def test_the_check_fails_beyond_the_limit_and_says_what_was_lost() -> None:
    limit = round(1 / LOSS_LIMIT)
    assert loss_of(DAY, counts(limit, dropped=1))["passed"]
    beyond = loss_of(DAY, counts(limit, dropped=2))
    assert not beyond["passed"]
    assert beyond["description"] == "2026-11-02: dropped 2 queue_full of 10,000"
    assert loss_of(None, None)["passed"]


def test_a_day_that_is_no_partition_is_an_observation_that_names_it() -> None:
    early = day_event(stream(), date(2025, 1, 1), counts(1), NOW)
    assert early.metadata[keys.DAY].value == "2025-01-01"
    assert day_event(stream(), DAY, counts(1), NOW).partition == "2026-11-02"


def doubled(name: str) -> LoadedStream:
    alone = stream(name)
    route = LoadedRoute(alone.spec, alone.spec.routes[0], alone.file, 1, clusters=("main", "standby"))
    return LoadedStream(alone.spec, alone.file, 1, (route,))


def use(cluster: str, why: str, producers: int = 1) -> ClusterUse:
    return ClusterUse(cluster=cluster, why=why, producers=producers)


def test_a_failover_is_told_once_and_its_end_too() -> None:
    declared = {"s": doubled("s"), "single": stream("single")}
    uses = {"s": (use("main", "preferred", 3),), "single": (use("main", "preferred"),), "undeclared": ()}
    (found,), cursor = moved(uses, declared, ProducedCursor())
    assert (found.asset_key, found.check_name, found.passed) == (keys.produced_key("s"), keys.USES_PRIMARY, True)
    assert moved(uses, declared, cursor) == ([], cursor)
    (found,), cursor = moved(
        {"s": (use("main", "preferred", 2), use("standby", "order"), use("standby", "sick"))}, declared, cursor
    )
    assert not found.passed
    said = "producers send 2 to main, 1 to standby by order, 1 to standby because another cluster is sick"
    assert found.description == said
    assert found.metadata[keys.producers_key("standby")].value == 2
    assert moved({}, declared, cursor) == ([], cursor)
    (found,), cursor = moved({"s": (use("main", "preferred", 3),)}, declared, cursor)
    assert found.passed
    assert moved({}, {}, cursor)[1] == ProducedCursor()
