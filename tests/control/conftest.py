"""The servers of a test, with nothing on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.control.fakes import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return the servers."""
    return make_world(tmp_path)
