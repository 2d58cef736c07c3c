"""Routers write through each kind of catalog, and no secret of one is anywhere but where it was put."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from assets.compaction.compact import compact_table
from keystone_platform.errors import Transient
from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.decide import Request
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.state import CATALOG_VARIABLE
from keystone_platform.wiring import connect
from tests.contract.catalog_gateway import CLIENT, TOKEN, gateway
from tests.contract.catalog_servers import PASSWORD, free_port, postgres, rest_catalog
from tests.e2e.canaries import files_with
from tests.e2e.platform import Counted, Platform, stream_yaml

pytestmark = [pytest.mark.stack, pytest.mark.drill, pytest.mark.timeout(900)]

ROUTE = "landed.warehouse"
EVENTS = 20_000


@contextmanager
def platform_on(folder: Path, catalog: Mapping[str, str], env: Mapping[str, str]) -> Iterator[Platform]:
    """A stack whose catalog is that one; `env` is where its clients, Flink's JVMs too, find the secrets."""
    streams = folder / "streams"
    streams.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**env, CATALOG_VARIABLE: json.dumps(dict(catalog))}.items():
            patch.setenv(name, value)
        stack = EmbeddedStack(folder, streams=streams, usual_ports=False)
        patch.setenv(HOME_VARIABLE, str(folder))
        patch.setenv(SETTINGS_VARIABLE, str(stack.home.settings))
        patch.setenv(STREAMS_VARIABLE, str(streams))
        settings = stack.up(without=("dagster",)).settings
        try:
            yield Platform(stack, settings, connect(settings), DagsterApi(settings.dagster_url), streams)
        finally:
            stack.down()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="keystone-catalog-"))
    yield made
    EmbeddedStack(made, streams=made / "streams", env=dict(os.environ)).down()
    shutil.rmtree(made, ignore_errors=True)


def lands_exactly(platform: Platform) -> None:
    """Deploy, produce, kill a TaskManager in the middle, upgrade with a savepoint, compact: each event once."""
    platform.declare("landed", stream_yaml("landed"))
    platform.apply(ROUTE)
    platform.produce("landed", range(EVENTS // 2), pause_every=1000, pause_s=0.2)
    os.kill(platform.stack.pid("flink-taskmanager") or 0, 9)
    platform.produce("landed", range(EVENTS // 2, EVENTS))
    assert platform.wait_for_rows("landed", EVENTS, 240) == Counted(EVENTS, EVENTS, 0)
    platform.declare("landed", stream_yaml("landed", where="n >= 0"))
    platform.apply(ROUTE)
    platform.produce("landed", range(EVENTS, EVENTS + 1000))
    more = EVENTS + 1000
    assert platform.wait_for_rows("landed", more, 120) == Counted(more, more, 0)
    lake = IcebergLake(platform.settings)
    assert sum(report.rows for report in compact_table(lake, "tests.landed")) == more
    assert platform.counted("landed") == Counted(more, more, 0)
    assert lake.load("tests.landed").scan().to_arrow().num_rows == more, "read by pyiceberg"
    assert lake.committed_checkpoint("tests.landed", platform.latest(ROUTE).job_id) is not None


def whereabouts(platform: Platform, canaries: tuple[str, ...]) -> list[str]:
    """Return the files of the stack, and the answers of Flink about the job, that hold one of the secrets."""
    words = [canary.encode() for canary in canaries]
    found = files_with(platform.stack.home.folder, canaries)
    job = f"{platform.settings.flink_rest}/jobs/{platform.latest(ROUTE).job_id}"
    for place in ("", "/plan", "/config", "/exceptions"):
        answer = httpx.get(job + place, timeout=10).content
        found += [job + place] if any(word in answer for word in words) else []
    return found


def test_a_router_writes_through_a_catalog_in_postgresql(folder: Path) -> None:
    with postgres() as database:
        catalog = {"type": "sql", "uri": database.url}
        with platform_on(folder, catalog, {"PGPASSFILE": str(database.password_file)}) as platform:
            lands_exactly(platform)
            assert whereabouts(platform, (PASSWORD,)) == []
            database.stop()
            database.start()
            platform.produce("landed", range(1000))
            rows = EVENTS + 2000
            assert platform.wait_for_rows("landed", rows, 240) == Counted(rows, rows, 0), "after a restart of it"
            platform.apply(ROUTE, Request.STOP)
        assert PASSWORD not in database.log


def test_a_router_writes_through_a_rest_catalog(folder: Path) -> None:
    with rest_catalog(warehouse_of(folder)) as behind, gateway(behind) as before:
        catalog = {"type": "rest", "uri": before.url, "token": "env:CATALOG_TOKEN"}
        with platform_on(folder, catalog, {"CATALOG_TOKEN": TOKEN}) as platform:
            lands_exactly(platform)
            assert whereabouts(platform, (TOKEN,)) == []
            assert whereabouts(platform, (platform.settings.s3.secret_access_key,)), "the search finds what is there"
            before.answers = ["commit, then break", "lose", "refuse", "commit, then 502"]
            platform.produce("landed", range(5000), pause_every=200, pause_s=0.5)
            rows = EVENTS + 6000
            assert platform.wait_for_rows("landed", rows, 240) == Counted(rows, rows, 0), "answers were lost"
            assert before.answers == []
            platform.apply(ROUTE, Request.STOP)


def test_a_router_buys_its_token_with_the_credential_of_a_client(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "credential").write_text(":".join(CLIENT) + "\n")
    with rest_catalog(warehouse_of(folder)) as behind, gateway(behind) as before:
        catalog = {
            "type": "rest",
            "uri": before.url,
            "oauth2-server-uri": f"{before.url}/v1/oauth/tokens",
            "credential": f"file:{tmp_path}/credential",
        }
        with platform_on(folder, catalog, {}) as platform:
            platform.declare("landed", stream_yaml("landed"))
            platform.apply(ROUTE)
            platform.produce("landed", range(2000))
            assert platform.wait_for_rows("landed", 2000, 240) == Counted(2000, 2000, 0)
            assert whereabouts(platform, (TOKEN, CLIENT[1])) == []
            platform.apply(ROUTE, Request.STOP)


def warehouse_of(folder: Path) -> dict[str, str]:
    """Return how a catalog server reaches the object store that the stack of this folder will have."""
    stack = EmbeddedStack(folder, streams=folder / "streams", usual_ports=False)
    s3 = stack.up(without=("kafka", "flink", "dagster")).settings.s3
    stack.down()
    return {
        "warehouse": f"s3://{s3.bucket}/warehouse",
        "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "s3.endpoint": s3.endpoint,
        "s3.path-style-access": "true",
        "s3.access-key-id": s3.access_key_id,
        "s3.secret-access-key": s3.secret_access_key,
        "client.region": s3.region,
    }


def test_a_catalog_that_does_not_answer_keeps_the_stack_from_starting_and_says_so(folder: Path) -> None:
    catalog = {"type": "rest", "uri": f"http://127.0.0.1:{free_port()}"}
    with pytest.raises(Transient, match="the catalog does not answer"), platform_on(folder, catalog, {}):
        pass
