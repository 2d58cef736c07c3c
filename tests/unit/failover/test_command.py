"""`keystone failover`: what it refuses, what it writes, and its report, without a broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keystone_platform.cli import app
from keystone_platform.errors import InvalidSpec, Transient
from keystone_platform.failover.report import StreamLine, Use, stream_lines
from keystone_platform.plan.produced import AuditEvent
from keystone_platform.producer.orders import Order, Orders
from keystone_platform.spec.loader import load_streams

STREAM = "stream: {}\nowner: team:ads\nroutes:\n  - sink: {{warehouse: {{table: events.{}}}}}\n"
CLUSTERS = """\
clusters:
  main: {bootstrap_servers: "127.0.0.1:1"}
  spare: {bootstrap_servers: "127.0.0.1:2"}
  third: {bootstrap_servers: "127.0.0.1:3"}
streams: {primary: main, standby: spare}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("keystone_platform.failover.order_topics.TIMEOUT_S", 0.3)
    found = tmp_path / "streams"
    found.mkdir()
    for stream in ("plays", "clicks"):
        (found / f"{stream}.yaml").write_text(STREAM.format(stream, stream))
    (tmp_path / "clusters.yaml").write_text(CLUSTERS)
    return found


def run(folder: Path, *arguments: str) -> BaseException | None:
    return CliRunner().invoke(app, ["failover", *arguments, "--streams", str(folder)]).exception


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["to", "nowhere", "--all"], "no cluster 'nowhere'"),
        (["to", "spare"], "for some streams or for all"),
        (["to", "spare", "--all", "--stream", "plays"], "for some streams or for all"),
        (["to", "spare", "--stream", "play"], "no stream 'play'"),
        (["to", "third", "--stream", "plays"], "does not live on third"),
        (["auto", "--stream", "play"], "no stream 'play'"),
    ],
)
def test_an_order_that_nobody_could_follow_is_refused(folder: Path, arguments: list[str], what: str) -> None:
    error = run(folder, *arguments)
    assert isinstance(error, InvalidSpec)
    assert what in str(error)
    assert error.mend


def test_without_a_second_cluster_there_is_nothing_to_order(folder: Path) -> None:
    (folder.parent / "clusters.yaml").unlink()
    error = run(folder, "to", "spare", "--all")
    assert isinstance(error, InvalidSpec)
    assert "clusters.yaml" in error.mend


def test_an_order_that_no_cluster_takes_is_an_error_unless_a_file_takes_it(folder: Path, tmp_path: Path) -> None:
    assert isinstance(run(folder, "to", "spare", "--all"), Transient)
    file = tmp_path / "orders.json"
    assert run(folder, "to", "spare", "--all", "--why", "a drill", "--file", str(file)) is None
    first = Orders.read(file.read_text()).by_stream["*"]
    assert (first.cluster, first.why) == ("spare", "a drill")
    assert run(folder, "auto", "--stream", "plays", "--file", str(file)) is None
    both = Orders.read(file.read_text())
    assert both.by_stream["*"] == first
    assert (both.of("clicks") or first).cluster == "spare"
    newer = both.of("plays")
    assert newer
    assert newer.cluster is None


def test_an_order_is_newer_than_what_is_there_even_if_this_clock_is_behind(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "orders.json"
    ahead = Order("spare", 99_999_999_999_999)
    file.write_text(Orders({"*": ahead}).text())
    assert run(folder, "auto", "--all", "--file", str(file)) is None
    assert Orders.read(file.read_text()).by_stream["*"].at == ahead.at + 1


def test_a_file_that_holds_something_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "orders.json"
    file.write_text("something else")
    error = run(folder, "to", "spare", "--all", "--file", str(file))
    assert isinstance(error, InvalidSpec)
    assert file.read_text() == "something else"


def test_status_tells_clusters_that_are_away_and_exits_with_an_error(folder: Path) -> None:
    shown = CliRunner().invoke(app, ["failover", "status", "--json", "--streams", str(folder)])
    assert shown.exit_code == 1
    told = json.loads(shown.stdout)
    assert {name: each["answers"] for name, each in told["clusters"].items()} == dict.fromkeys(
        ("main", "spare", "third"), False
    )
    assert [(each["stream"], each["primary"], each["standby"]) for each in told["streams"]] == [
        ("clicks", "main", "spare"),
        ("plays", "main", "spare"),
    ]


def event(producer: str, sequence: int, *using: tuple[str, str, str], final: bool = False) -> AuditEvent:
    return AuditEvent(
        producer=producer, sequence=sequence, host="h", app="a", began=0, until=0, final=final, using=using
    )


def test_the_newest_audit_event_of_each_producer_says_what_it_uses(folder: Path) -> None:
    fleet = load_streams(folder)
    told = [
        event("p", 2, ("plays", "spare", "sick")),
        event("p", 1, ("plays", "main", "preferred")),
        event("q", 7, ("plays", "spare", "sick")),
        event("r", 1, ("plays", "main", "preferred")),
        event("gone", 1, ("plays", "main", "preferred"), final=True),
    ]
    orders = Orders({"plays": Order("third", 5)})
    lines = stream_lines([stream.spec for stream in fleet.streams], fleet.clusters, orders, told)
    uses = (Use("spare", "sick", 2), Use("main", "preferred", 1))
    wrong = "the stream does not live on third: producers don't follow"
    assert lines == (
        StreamLine("clicks", "main", "spare", None, (), ""),
        StreamLine("plays", "main", "spare", Order("third", 5), uses, wrong),
    )
