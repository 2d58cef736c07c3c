"""A stream's schema is published when it is applied, and a change that its rule forbids is refused before anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keystone_platform.control.goal import Verdict
from keystone_platform.control.goals import planned_routes, wanted
from keystone_platform.control.preview import preview
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.schemas import SchemaGate
from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.decide import Act, Request
from keystone_platform.plan.deployment import Cause
from keystone_platform.plan.observation import JobState
from keystone_platform.spec.loader import load_streams
from tests.control.fakes import World

ROUTE = "one.warehouse"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "streams"
    folder.mkdir()
    return folder


def declare(folder: Path, schema: str, rule: str | None = None, select: str = "[n]") -> None:
    kept = f"compatibility: {rule}\n" if rule else ""
    (folder / "one.yaml").write_text(
        f"stream: one\nowner: team:tests\n{kept}schema:\n{schema}"
        f"routes:\n  - sink: {{warehouse: {{table: tests.one}}}}\n    select: {select}\n"
    )


def apply(world: World, folder: Path, request: Request = Request.CONVERGE) -> Verdict:
    (verdict,) = reconcile(world.gateways, wanted(folder, []).goals, request)
    return verdict


def published(world: World) -> list[tuple[int, list[str]]]:
    return [(each.version, [*each.contract.document()["properties"]]) for each in world.ledger.schemas("one")]


def test_an_apply_publishes_what_it_deploys_once(world: World, folder: Path) -> None:
    declare(folder, "  n: bigint\n")
    assert apply(world, folder).ok
    assert apply(world, folder).ok
    assert published(world) == [(1, ["n"])]
    declare(folder, "  n: bigint\n  more: string\n")
    assert apply(world, folder).action.act is Act.NOTHING
    assert published(world) == [(1, ["n"]), (2, ["n", "more"])]


def test_a_forbidden_change_is_refused_with_its_place_and_the_router_goes_on(world: World, folder: Path) -> None:
    declare(folder, "  k: string\n  n: bigint\n")
    assert apply(world, folder).ok
    first = world.ledger.latest()[ROUTE]
    declare(folder, "  k: string\n  n: string\n")
    (told,) = preview(world.gateways, planned_routes(folder, []))
    verdict = apply(world, folder)
    assert told.change == "refused"
    assert isinstance(verdict.error, InvalidSpec)
    assert (Path(verdict.error.file).name, verdict.error.line, verdict.error.field) == ("one.yaml", 5, "schema.n")
    assert str(verdict.error) == told.error
    assert "Keep bigint" in verdict.error.mend
    assert world.flink.known[first.job_id].is_running
    assert world.ledger.latest()[ROUTE] == first
    assert len(world.ledger.schemas("one")) == 1


def test_a_change_that_no_route_reads_is_refused_as_well(world: World, folder: Path) -> None:
    declare(folder, "  n: bigint\n  unread: string\n")
    assert apply(world, folder).ok
    declare(folder, "  n: bigint\n  unread: double\n")
    verdict = apply(world, folder)
    assert (verdict.action.act, isinstance(verdict.error, InvalidSpec)) == (Act.NOTHING, True)


def test_a_router_that_fails_is_redeployed_though_its_file_breaks_a_rule(world: World, folder: Path) -> None:
    declare(folder, "  n: bigint\n  unread: string\n")
    assert apply(world, folder).ok
    declare(folder, "  n: bigint\n  unread: double\n")
    world.flink.set_state(world.ledger.latest()[ROUTE].job_id, JobState.FAILED)
    verdict = apply(world, folder)
    assert (verdict.ok, verdict.action.cause) == (True, Cause.REDEPLOY)
    assert len(world.ledger.schemas("one")) == 1


@pytest.mark.parametrize(("rule", "is_ok"), [("backward", True), ("forward", False), ("full", False), ("none", True)])
def test_the_streams_own_rule_decides(world: World, folder: Path, rule: str, is_ok: bool) -> None:
    declare(folder, "  n: int\n", rule)
    assert apply(world, folder).ok
    declare(folder, "  n: bigint\n", rule)
    assert apply(world, folder).ok is is_ok


def test_a_schema_is_not_published_before_its_router_runs(world: World, folder: Path) -> None:
    declare(folder, "  n: int\n")
    world.flink.fails_at_start.add(wanted(folder, []).goals[0].plan.digest)
    assert not apply(world, folder).ok
    assert world.ledger.schemas() == ()


def test_a_stop_looks_at_no_schema(world: World, folder: Path) -> None:
    declare(folder, "  n: bigint\n")
    assert apply(world, folder).ok
    declare(folder, "  n: string\n")
    assert apply(world, folder, Request.STOP).ok


def test_publishing_without_deploying(world: World, folder: Path) -> None:
    declare(folder, "  n: bigint\n")
    (stream,) = load_streams(folder).streams
    made = SchemaGate(world.ledger, world.clock).publish(stream)
    assert made is not None
    assert made == SchemaGate(world.ledger, world.clock).publish(stream)
    assert json.loads(made.document)["properties"]["n"]["x-keystone-type"] == "bigint"
