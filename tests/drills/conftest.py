"""A stack of its own whose object store is behind a faulty proxy, and a load on it."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE, Settings
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.ports import is_free
from keystone_platform.stack.supervisor import Supervisor
from keystone_platform.wiring import connect
from tests.drills.fault_proxy import FaultProxy, behind_proxy
from tests.drills.load import Drilled, Load
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
            behind_proxy(stack, proxy)  # `up` has written the usual configuration, which a restart would read
            yield stack, proxy
    finally:
        stack.down()
        proxy.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def broken_platform(drilled: tuple[EmbeddedStack, FaultProxy]) -> Platform:
    """The drilled stack as its clients see it."""
    stack, _ = drilled
    settings = stack.settings()
    folder = stack.home.folder / "streams"
    return Platform(stack, settings, connect(settings), DagsterApi(settings.dagster_url), folder)


@pytest.fixture(scope="session")
def direct(drilled: tuple[EmbeddedStack, FaultProxy]) -> Settings:
    """Settings that go past the proxy."""
    stack, proxy = drilled
    return _direct(stack.settings(), proxy)


@pytest.fixture(scope="module")
def load_of(broken_platform: Platform, direct: Settings) -> Iterator[Callable[[Drilled], Load]]:
    """Starts a stream's routes; they are stopped at the module's end."""
    with ExitStack() as over:

        def start(drilled: Drilled) -> Load:
            load = Load(broken_platform, direct, drilled)
            over.callback(load.close)
            return load

        yield start


def _interpose(stack: EmbeddedStack, settings: Settings) -> FaultProxy:
    """Start the object store anew on another port and the proxy on its own."""
    stack.stop("s3")
    behind = next(port for port in random.sample(range(20_000, 32_000), 100) if is_free(port))
    proxy = FaultProxy(int(settings.s3.endpoint.rpartition(":")[2]), behind)
    behind_proxy(stack, proxy)
    Supervisor(stack.home).start_server("s3")
    wait_for("the object store listens on its other port", lambda: not is_free(behind), 60)
    return proxy


def _direct(settings: Settings, proxy: FaultProxy) -> Settings:
    endpoint = f"http://127.0.0.1:{proxy.behind}"
    s3 = settings.s3.model_copy(update={"endpoint": endpoint})
    return settings.model_copy(update={"s3": s3, "catalog": {**settings.catalog, "s3.endpoint": endpoint}})
