"""A stack of its own with Dagster, whose health sensor is on, and a load on two routes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.wiring import connect
from tests.drills.control_plane.dagster_watch import DagsterWatch
from tests.drills.control_plane.steered import DRILLED, Steered
from tests.drills.load import Load
from tests.e2e.platform import Platform


@pytest.fixture(scope="package")
def steered() -> Iterator[Steered]:
    """The stack, up; its routes run."""
    folder = Path(tempfile.mkdtemp(prefix="keystone-steered-"))
    streams = folder / "streams"
    streams.mkdir()
    (streams / f"{DRILLED.stream}.yaml").write_text(DRILLED.text)  # Dagster knows what is declared when it starts
    stack = EmbeddedStack(folder, streams=streams, usual_ports=False)
    try:
        settings = stack.up().settings
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(HOME_VARIABLE, str(folder))
            patch.setenv(SETTINGS_VARIABLE, str(stack.home.settings))
            patch.setenv(STREAMS_VARIABLE, str(streams))
            platform = Platform(stack, settings, connect(settings), DagsterApi(settings.dagster_url), streams)
            load = Load(platform, settings, DRILLED)
            try:
                yield Steered(stack, platform, load, DagsterWatch(settings.dagster_url))
            finally:
                load.close()
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)
