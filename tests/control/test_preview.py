"""What `plan` says before anything is touched, and which routes can be named when others' files are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.control.goals import deployed, planned_routes, wanted
from keystone_platform.control.preview import RoutePreview, preview, preview_blind, preview_undeclared
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.rollback import roll_back
from keystone_platform.errors import InvalidSpec, InvalidSpecs
from keystone_platform.plan.decide import Request
from keystone_platform.plan.observation import JobState
from keystone_platform.plan.slot_quota import SlotQuotas
from tests.control.fakes import World
from tests.e2e.platform import stream_yaml

ROUTE = "one.warehouse"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "streams"
    folder.mkdir()
    (folder / "one.yaml").write_text(stream_yaml("one"))
    return folder


def deploy(world: World, folder: Path) -> None:
    verdicts = reconcile(world.gateways, wanted(folder, []).goals)
    assert all(verdict.ok for verdict in verdicts)


def only(world: World, folder: Path) -> RoutePreview:
    (item,) = preview(world.gateways, planned_routes(folder, []))
    return item


def test_says_new_then_nothing_then_what_differs(world: World, folder: Path) -> None:
    assert (only(world, folder).change, only(world, folder).state) == ("new", "absent")
    deploy(world, folder)
    assert (only(world, folder).change, only(world, folder).state) == ("nothing", "running")
    (folder / "one.yaml").write_text(stream_yaml("one", where="n > 1"))
    changed = only(world, folder)
    assert changed.change == "restart"
    assert "n > 1" in changed.why
    (folder / "one.yaml").write_text(stream_yaml("one").replace("    select", "    parallelism: 2\n    select"))
    assert only(world, folder).change == "rescale"


def test_says_that_there_is_no_room(world: World, folder: Path) -> None:
    world.slot_quotas = SlotQuotas({"*": 1})
    deploy(world, folder)
    (folder / "one.yaml").write_text(stream_yaml("one").replace("    select", "    parallelism: 2\n    select"))
    grown = only(world, folder)
    assert (grown.change, "may have 1 slots" in grown.error) == ("refused", True)
    world.slot_quotas, world.flink.slots = SlotQuotas(), 1
    assert "Flink has 1 free slots for it, it needs 2" in only(world, folder).error


def test_says_what_suspending_a_route_does(world: World, folder: Path) -> None:
    deploy(world, folder)
    (folder / "one.yaml").write_text(stream_yaml("one") + "    state: suspended\n")
    assert (only(world, folder).change, only(world, folder).why) == ("suspend", "suspended in its YAML")
    deploy(world, folder)
    item = only(world, folder)
    assert (item.change, item.state) == ("nothing", "stopped")
    assert "suspended in its YAML" in item.why
    (folder / "one.yaml").write_text(stream_yaml("one"))
    assert only(world, folder).change == "resume"


def test_a_router_that_is_down_is_resumed_not_new(world: World, folder: Path) -> None:
    deploy(world, folder)
    world.flink.set_state(world.ledger.latest()[ROUTE].job_id, JobState.CANCELED)
    assert (only(world, folder).change, only(world, folder).state) == ("resume", "failed")


def test_says_that_a_plan_was_rolled_back(world: World, folder: Path) -> None:
    deploy(world, folder)
    (folder / "one.yaml").write_text(stream_yaml("one", where="n > 1"))
    deploy(world, folder)
    roll_back(world.gateways, ROUTE)
    item = only(world, folder)
    assert (item.change, item.state) == ("held", "running")
    assert f"keystone rollback {ROUTE} --to 2" in item.why
    (folder / "one.yaml").write_text(stream_yaml("one"))
    assert only(world, folder).change == "nothing"


def test_another_table_is_refused_before_the_apply(world: World, folder: Path) -> None:
    deploy(world, folder)
    (folder / "one.yaml").write_text(stream_yaml("one").replace("tests.one", "tests.other"))
    item = only(world, folder)
    assert item.change == "refused"
    assert "tests.one -> tests.other" in item.error


def test_a_route_that_runs_undeclared_is_shown_and_can_be_stopped(world: World, folder: Path) -> None:
    deploy(world, folder)
    (folder / "one.yaml").unlink()
    (item,) = preview_undeclared(world.gateways, [])
    assert (item.route, item.change, item.state) == (ROUTE, "undeclared", "running")
    (verdict,) = reconcile(world.gateways, deployed(world.ledger, [ROUTE]), Request.STOP)
    assert verdict.ok, verdict.message
    assert preview_undeclared(world.gateways, []) == []


def test_a_stop_of_what_was_never_deployed_names_what_was(world: World, folder: Path) -> None:
    deploy(world, folder)
    with pytest.raises(InvalidSpec, match=r"Did you mean 'one\.warehouse'"):
        deployed(world.ledger, ["onne.warehouse"])


def test_somebody_elses_broken_file_keeps_nobody_from_a_route_that_he_names(folder: Path) -> None:
    (folder / "bad.yaml").write_text("stream: [")
    assert [goal.route for goal in wanted(folder, [ROUTE]).goals] == [ROUTE]
    with pytest.raises(InvalidSpecs, match=r"bad\.yaml"):
        wanted(folder, [])


def test_a_named_route_whose_own_file_is_broken_is_told_with_the_error(folder: Path) -> None:
    (folder / "one.yaml").write_text(stream_yaml("one", where="contry = 'US'"))
    with pytest.raises(InvalidSpecs, match="contry"):
        wanted(folder, [ROUTE])


def test_a_folder_without_stream_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="no stream file"):
        wanted(tmp_path, [])


def test_a_route_that_cannot_run_is_refused_and_keeps_the_others_from_nothing(world: World, folder: Path) -> None:
    routes = "  - sink: {warehouse: {table: tests.one}}\n  - sink: {search: {index: one}}\n"
    (folder / "one.yaml").write_text(f"stream: one\nowner: team:tests\nroutes:\n{routes}")  # no schema
    assert [item.change for item in preview(world.gateways, planned_routes(folder, []))] == ["new", "refused"]
    assert [item.change for item in preview_blind(planned_routes(folder, []))] == ["new", "refused"]
    found = wanted(folder, [])
    assert ([goal.route for goal in found.goals], len(found.unsupported)) == ([ROUTE], 1)


def exactly_once(folder: Path, timeout_s: int) -> None:
    sink = f"{{kafka: {{topic: out, delivery: exactly_once, transaction_timeout_s: {timeout_s}}}}}"
    (folder / "one.yaml").write_text(f"stream: one\nowner: team:tests\nroutes:\n  - sink: {sink}\n")


def test_a_transaction_that_the_brokers_would_cut_short_is_refused_before_anything_is_made(
    world: World, folder: Path
) -> None:
    exactly_once(folder, 3600)
    refused = only(world, folder)
    assert refused.change == "refused"
    assert "the brokers grant 900 s" in refused.error
    (verdict,) = reconcile(world.gateways, wanted(folder, []).goals)
    assert "transaction.max.timeout.ms" in verdict.message
    assert "out" not in world.kafka.topics
    world.kafka.transaction_timeout_s = 3600
    assert only(world, folder).change == "new"


def test_a_topic_that_takes_less_than_its_source_is_refused(world: World, folder: Path) -> None:
    exactly_once(folder, 900)
    world.kafka.topics |= {"one": 2, "out": 2}
    world.kafka.records["out"] = 1_048_588
    assert "Set `max.message.bytes` of out to" in only(world, folder).error
    (verdict,) = reconcile(world.gateways, wanted(folder, []).goals)
    assert not verdict.ok
    assert world.flink.submissions == []
