"""One stack with a standby and a search cluster for all of the package; each drill begins with all of it up."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.wiring import connect
from tests.drills.two_clusters.twins import WITHOUT
from tests.e2e.platform import Platform, started


@pytest.fixture(scope="package")
def stack() -> Iterator[tuple[EmbeddedStack, Path]]:
    folder = Path(tempfile.mkdtemp(prefix="keystone-twins-"))
    streams = folder / "streams"
    streams.mkdir()
    try:
        with started(folder, streams, without=WITHOUT, including=("standby", "search")) as stack:
            yield stack, streams
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def platform(stack: tuple[EmbeddedStack, Path]) -> Platform:
    """The stack as its clients see it, whatever the drill before has killed."""
    embedded, streams = stack
    settings = embedded.up(without=WITHOUT).settings
    return Platform(embedded, settings, connect(settings), DagsterApi(settings.dagster_url), streams)
