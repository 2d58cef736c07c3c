"""The demonstration's parts that need no server."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from keystone_platform.audit.truth import RouteTruth
from keystone_platform.demo.progress import PLAIN_EVERY_S, Progress
from keystone_platform.demo.queries import queries
from keystone_platform.demo.routes import warehouse_routes
from keystone_platform.demo.sending import passing_event, shares
from keystone_platform.demo.truth import add_up
from keystone_platform.errors import Terminal

EXAMPLES = Path(__file__).parents[2] / "streams"


class SetClock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def truth(route: str, **counts: int) -> RouteTruth:
    known = dict.fromkeys(("produced", "landed", "filtered", "dead", "lost", "duplicated", "unexpected"), 0)
    return RouteTruth(route, **{**known, **counts})


def test_the_json_has_exactly_the_promised_keys() -> None:
    whole = add_up([truth("a.w", produced=3, landed=3)], files_before=4, files_after=1, seconds=1.26)
    assert json.loads(whole.as_json()) == {
        "produced": 3,
        "landed": 3,
        "filtered": 0,
        "dead": 0,
        "lost": 0,
        "duplicated": 0,
        "files_before": 4,
        "files_after": 1,
        "seconds": 1.3,
    }


@pytest.mark.parametrize("fault", ["lost", "duplicated"])
def test_one_bad_route_makes_the_whole_bad(fault: str) -> None:
    routes = [truth("a.w", produced=3, landed=3), truth("b.w", produced=3, landed=2, **{fault: 1})]
    assert not add_up(routes, files_before=1, files_after=1, seconds=1).is_good
    assert add_up(routes[:1], files_before=1, files_after=1, seconds=1).is_good


def test_no_event_is_forgotten_when_the_shares_do_not_divide() -> None:
    streams = [route.stream for route in warehouse_routes(EXAMPLES)]
    for events in (0, 1, 2, 199_999):
        assert sum(share.events for share in shares(streams, events)) == events


def test_the_last_event_passes_the_filter_of_every_example() -> None:
    for route in warehouse_routes(EXAMPLES):
        payload = json.loads(passing_event(route.plan, route.stream, SetClock()).payload)
        if route.stream.stream == "client_errors":
            assert payload["severity"] in ("error", "fatal")


def test_a_folder_without_warehouse_routes_is_told_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("stream: s\nowner: team:t\nroutes:\n  - sink: {kafka: {topic: s.out}}\n")
    with pytest.raises(Terminal, match="KEYSTONE_STREAMS"):
        warehouse_routes(tmp_path)


def test_tables_of_other_streams_get_a_query_that_fits_any_table() -> None:
    assert [query.table for query in queries(["a.b", "events.playback"])] == ["events.playback", "a.b"]
    assert len(queries(["a.a", "a.b", "a.c", "a.d"])) == 3


def test_without_a_terminal_progress_is_a_plain_line_now_and_then() -> None:
    out, clock = io.StringIO(), SetClock()
    with Progress(Console(file=out), clock) as progress:
        for number in range(4):
            progress.show(f"line {number}")
            clock.sleep(PLAIN_EVERY_S / 2)
    assert out.getvalue().splitlines() == ["line 0", "line 2", "line 3"]
