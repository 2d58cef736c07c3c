"""The search cluster away for a minute, then too busy: its route waits, and the stream's other routes do not notice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from keystone_platform.settings import SearchSettings, Settings
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.wiring import connect
from tests.drills.fault_proxy import FaultProxy, behind_proxy
from tests.drills.load import EVENTS_PER_S, Drilled, Load
from tests.e2e.platform import Platform
from tests.e2e.search_proxy import Gate, SearchGate

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

SEARCH, WAREHOUSE, ONWARD = ROUTES = ("sought.search", "sought.warehouse", "sought.onward")

DRILLED = Drilled(
    "sought",
    """\
stream: sought
owner: team:tests
partitions: 2
schema: {n: bigint, country: string}
routes:
  - sink: {search: {index: "sought-{date}"}}
    checkpoint_interval_s: 3
  - sink: {warehouse: {table: tests.sought}}
    checkpoint_interval_s: 3
  - name: onward
    sink: {kafka: {topic: sought.onward}}
    checkpoint_interval_s: 3
""",
    ROUTES,
)

AWAY_S = 60
BUSY_S = 30


@pytest.fixture(scope="module")
def gate(drilled: tuple[EmbeddedStack, FaultProxy]) -> Iterator[SearchGate]:
    stack, proxy = drilled
    server = stack.up(including=("search",), without=("dagster",)).settings.search
    assert server is not None
    behind_proxy(stack, proxy)
    with SearchGate(server.url, "keystone", "drill") as gate:
        yield gate


@pytest.fixture(scope="module")
def load(
    drilled: tuple[EmbeddedStack, FaultProxy],
    broken_platform: Platform,
    direct: Settings,
    gate: SearchGate,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Load]:
    stack, _ = drilled
    password = tmp_path_factory.mktemp("secret") / "password"
    password.write_text("drill")
    reached = SearchSettings(url=gate.url, username="keystone", password=f"file:{password}")
    settings = broken_platform.settings.model_copy(update={"search": reached})
    past = direct.model_copy(update={"search": stack.settings().search})
    load = Load(replace(broken_platform, settings=settings, gateways=connect(settings)), past, DRILLED)
    yield load
    load.close()


def test_search_cluster_away_for_a_minute_then_busy(load: Load, gate: SearchGate) -> None:
    with load.drill(f"search cluster away for {AWAY_S} s, then 429 for {BUSY_S} s") as watch:
        for state, seconds in ((Gate.SHUT, AWAY_S), (Gate.BUSY, BUSY_S)):
            gate.state = state
            time.sleep(seconds)
        gate.state = Gate.OPEN
    assert gate.turned_away > 0
    assert watch.truths[SEARCH].is_exact
    for other in (WAREHOUSE, ONWARD):
        assert watch.truths[other].is_exact
        assert watch.repeated[other] == 0
        assert watch.during(other) > 0.9 * EVENTS_PER_S * (AWAY_S + BUSY_S)
