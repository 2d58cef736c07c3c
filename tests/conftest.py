"""The real stack, started once for all tests that need it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.wiring import connect
from tests.contract.registry_servers import apicurio
from tests.e2e.platform import Platform, started, stream_yaml


@pytest.fixture(scope="session")
def stack_home() -> Iterator[Path]:
    # not tmp_path: its length would push the supervisor's socket out of the home
    folder = Path(tempfile.mkdtemp(prefix="keystone-e2e-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def streams_folder(stack_home: Path) -> Path:
    """Folder of the stream YAMLs that the stack's Dagster loads; tests write into it."""
    folder = stack_home / "streams"
    folder.mkdir()
    for stream in ("healed", "launched"):  # Dagster knows what is declared when it starts
        (folder / f"{stream}.yaml").write_text(stream_yaml(stream))
    pausing = "    dead_letters: {max_ratio: 0.1, on_exceed: pause}\n"
    (folder / "paused.yaml").write_text(stream_yaml("paused") + pausing)
    return folder


@pytest.fixture(scope="session")
def stack(stack_home: Path, streams_folder: Path) -> Iterator[EmbeddedStack]:
    """All servers on free ports in a home of their own; the environment names that home while the session lasts."""
    with started(stack_home, streams_folder) as stack:
        yield stack


@pytest.fixture(scope="session")
def registry_url() -> Iterator[str]:
    """A real schema registry; tests name their subjects apart."""
    with apicurio() as url:
        yield url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the ends of the servers' logs to the report of a test that failed on the stack."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, EmbeddedStack):
        for server in stack.status():
            report.sections.append((f"log of {server.name}", stack.tail(server.name)))
    return report


@pytest.fixture
def little_home() -> Iterator[Path]:
    """A folder for a stack that a test starts and kills by itself; whatever is left of it is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="keystone-little-"))
    yield folder
    EmbeddedStack(folder, streams=folder / "streams", env=dict(os.environ)).down()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def platform(stack: EmbeddedStack, streams_folder: Path) -> Iterator[Platform]:
    """The stack with what clients of it need; the routers that a module started are stopped with it."""
    settings = stack.settings()
    platform = Platform(stack, settings, connect(settings), DagsterApi(settings.dagster_url), streams_folder)
    before = platform.running_routes()
    yield platform
    platform.stop(platform.running_routes() - before)
