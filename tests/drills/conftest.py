"""A stack of its own whose object store is behind a faulty proxy, and a load on it."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE, Settings
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.ports import is_free
from keystone_platform.stack.supervisor import Supervisor
from keystone_platform.wiring import connect
from tests.drills.fault_proxy import FaultProxy
from tests.drills.load import Load
from tests.e2e.platform import Platform, wait_for

WITHOUT = ("flink", "dagster", "search")


@pytest.fixture(scope="session")
def drilled() -> Iterator[tuple[EmbeddedStack, FaultProxy]]:
    """The stack without Dagster; every client of its object store, Flink's included, goes through the proxy."""
    folder = Path(tempfile.mkdtemp(prefix="keystone-drill-"))
    stack = EmbeddedStack(folder, streams=folder / "streams", usual_ports=False)
    (folder / "streams").mkdir()
    settings = stack.up(without=WITHOUT).settings
    proxy = _interpose(stack, settings)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(HOME_VARIABLE, str(folder))
            patch.setenv(SETTINGS_VARIABLE, str(stack.home.settings))
            patch.setenv(STREAMS_VARIABLE, str(folder / "streams"))
            stack.up(without=("dagster", "search"))
            _move(stack, proxy)  # `up` has written the usual configuration, which a restart would read
            yield stack, proxy
    finally:
        stack.down()
        proxy.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def load(drilled: tuple[EmbeddedStack, FaultProxy]) -> Iterator[Load]:
    """Three routes of one stream, running."""
    stack, proxy = drilled
    settings = stack.settings()
    folder = stack.home.folder / "streams"
    platform = Platform(stack, settings, connect(settings), DagsterApi(settings.dagster_url), folder)
    load = Load(platform, _direct(settings, proxy))
    yield load
    load.close()


def _interpose(stack: EmbeddedStack, settings: Settings) -> FaultProxy:
    """Start the object store anew on another port and the proxy on its own."""
    stack.stop("s3")
    behind = next(port for port in random.sample(range(20_000, 32_000), 100) if is_free(port))
    proxy = FaultProxy(int(settings.s3.endpoint.rpartition(":")[2]), behind)
    _move(stack, proxy)
    Supervisor(stack.home).start_server("s3")
    wait_for("the object store listens on its other port", lambda: not is_free(behind), 60)
    return proxy


def _move(stack: EmbeddedStack, proxy: FaultProxy) -> None:
    file = stack.home.folder / "s3" / "s3proxy.properties"
    file.write_text(file.read_text().replace(f":{proxy.port}\n", f":{proxy.behind}\n"))


def _direct(settings: Settings, proxy: FaultProxy) -> Settings:
    endpoint = f"http://127.0.0.1:{proxy.behind}"
    s3 = settings.s3.model_copy(update={"endpoint": endpoint})
    return settings.model_copy(update={"s3": s3, "catalog": {**settings.catalog, "s3.endpoint": endpoint}})
