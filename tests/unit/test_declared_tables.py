"""A table or a route that a person names, and what he is told when no file declares it."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.errors import InvalidSpec, InvalidSpecs
from keystone_platform.plan.declared_tables import declared_table

STREAM = """\
stream: {name}
owner: team:tests
schema: {{n: bigint}}
routes:
  - sink: {{warehouse: {{table: events.{name}}}}}
    select: [n]
"""


@pytest.fixture
def streams(tmp_path: Path) -> Path:
    (tmp_path / "clicks.yaml").write_text(STREAM.format(name="clicks"))
    return tmp_path


def test_a_table_is_found_by_its_name_and_by_its_route(streams: Path) -> None:
    assert declared_table(streams, "events.clicks") == declared_table(streams, "clicks.warehouse")


def test_a_name_that_nobody_declares_is_answered_with_those_that_are(streams: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"events\.klicks is neither") as refused:
        declared_table(streams, "events.klicks")
    assert "events.clicks" in refused.value.mend


def test_a_file_that_is_wrong_is_named_when_its_table_is_missing(streams: Path) -> None:
    (streams / "plays.yaml").write_text(STREAM.format(name="plays").replace("n: bigint", "n: bigit"))
    with pytest.raises(InvalidSpecs, match=r"plays\.yaml:3"):
        declared_table(streams, "events.plays")
    assert declared_table(streams, "events.clicks").name == "events.clicks"
