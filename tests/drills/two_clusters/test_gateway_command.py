"""`keystone gateway` whose primary dies or hangs under requests: what is answered 200 has landed, the rest is told."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import httpx
import psutil
import pytest

from keystone_platform.stack.server import KAFKA
from tests.drills.two_clusters.twins import Twins, command, environment
from tests.e2e.platform import Platform, event, stream_yaml, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

STREAM = "asked"
CLIENTS = 120
PAUSE_S = 1.5
"""Between the requests of one client: some 80 a second of all, so that some begin at each moment of the gap."""

BEFORE_S, AWAY_S, AFTER_S = 10.0, 30.0, 20.0


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        at: when it was sent, seconds of the monotonic clock.
        took: seconds until its answer.
        status: 0 where none came.
        cluster: that the answer names.
    """

    guid: str
    at: float
    took: float
    status: int
    cluster: str


class Clients:
    """Ask again and again, one event a request, none of them twice; every answer is kept."""

    def __init__(self, url: str, name: str) -> None:
        self.answers: list[Asked] = []
        self._name = name
        self._url = f"{url}/streams/{STREAM}"
        self._numbers = itertools.count()
        self._over = threading.Event()

    @contextmanager
    def asking(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _ask(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._over.wait(PAUSE_S):
                number = next(self._numbers)
                core = {"ce-specversion": "1.0", "ce-id": f"{self._name}-{number}", "ce-source": "drill/twins"}
                headers = {**core, "ce-type": STREAM, "content-type": "application/json"}
                began = time.monotonic()
                try:
                    answer = client.post(self._url, headers=headers, content=event(number))
                    status, cluster = answer.status_code, answer.json().get("cluster", "")
                except httpx.HTTPError:
                    status, cluster = 0, ""
                self.answers.append(Asked(core["ce-id"], began, time.monotonic() - began, status, cluster))


@contextmanager
def dead(twins: Twins) -> Iterator[None]:
    """Within the block the primary's broker is dead: connections end, and it refuses new ones."""
    twins.kill_primary()
    yield
    twins.start_all()


@contextmanager
def hanging(twins: Twins) -> Iterator[None]:
    """Within the block the primary's broker stands still: connections stay and nothing is answered."""
    broker = psutil.Process(twins.platform.stack.pid(KAFKA))
    broker.suspend()
    try:
        yield
    finally:
        broker.resume()


@pytest.mark.parametrize("away", [dead, hanging])
def test_each_event_that_was_answered_200_has_landed_though_the_primary_went_away(
    platform: Platform, away: Callable[[Twins], AbstractContextManager[None]]
) -> None:
    twins = Twins(platform, STREAM, f"{STREAM}.warehouse")
    twins.begin(stream_yaml(STREAM))
    serving = command("gateway", "--port", "0", "--json")
    with subprocess.Popen(serving, stdout=subprocess.PIPE, text=True, env=environment()) as gateway:
        assert gateway.stdout
        url = json.loads(gateway.stdout.readline())["url"]
        clients = Clients(url, away.__name__)
        with clients.asking():
            time.sleep(BEFORE_S)
            gone = time.monotonic()
            with away(twins):
                time.sleep(AWAY_S)
                assert httpx.get(f"{url}/readyz", timeout=10).status_code == 200, "one cluster is enough"
            back = time.monotonic()
            time.sleep(AFTER_S)
        gateway.terminate()
        told = json.loads(gateway.stdout.readline())
        gateway.wait(60)
    print(f"primary {away.__name__}\n{course(clients.answers, gone, back)}")
    print(f"the gateway counts {told}")

    taken = {each.guid for each in clients.answers if each.status == 200}
    assert len(taken) > 1_000
    assert {each.status for each in clients.answers} <= {200, 429, 503}
    wait_for("each acknowledged event in the table", lambda: taken <= landed(platform, away.__name__).keys(), 120)
    time.sleep(10)  # a double would be committed by now
    rows = landed(platform, away.__name__)
    twice = {guid: count for guid, count in rows.items() if count > 1}
    print(f"{len(taken)} answered 200, {len(rows)} landed, {len(rows.keys() - taken)} of them answered otherwise,")
    print(f"{len(twice)} in two rows: {sorted(twice)[:5]}")
    assert told["attempted"] == told["acknowledged"] + sum(told["dropped"].values())
    assert told["acknowledged"] == len(taken)
    twins.end()


def landed(platform: Platform, name: str) -> Counter[str]:
    return Counter(str(guid) for (guid,) in platform.rows(STREAM, f"SELECT _guid FROM t WHERE _guid LIKE '{name}-%'"))


def course(answers: Sequence[Asked], gone: float, back: float) -> str:
    """Return what was answered, and how long it took, before, in and after the gap."""
    spans = [(gone - BEFORE_S, gone), *((gone + second, gone + second + 1) for second in range(13))]
    spans += [(gone + 13, back), (back, back + AFTER_S)]
    lines = [f"primary away for {back - gone:.1f} s", "from s    to s  answers", "------"]
    for begin, end in spans:
        mine = [each for each in answers if begin <= each.at < end]
        statuses = dict(Counter((each.status, each.cluster) for each in mine))
        took = sorted(each.took for each in mine) or [0.0]
        middle, most = took[len(took) // 2], took[-1]
        lines.append(f"{begin - gone:6.1f} {end - gone:7.1f}  {statuses} median {middle:.3f} s, at most {most:.2f} s")
    return "\n".join(lines)
