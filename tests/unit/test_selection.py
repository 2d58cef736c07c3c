"""Who is meant by a selection."""

from __future__ import annotations

import pytest

from keystone_platform.control.selection import Candidate, Selection
from keystone_platform.errors import InvalidSpec

FLEET = (
    Candidate("plays.warehouse", "plays", "team:player"),
    Candidate("plays.search", "plays", "team:player"),
    Candidate("clicks.warehouse", "clicks", "team:web"),
    Candidate("errors.warehouse", "errors", "team:player"),
)

CASES = {
    "nothing: all": (Selection(), "plays.warehouse plays.search clicks.warehouse errors.warehouse"),
    "names": (Selection(("clicks.warehouse", "plays.search")), "plays.search clicks.warehouse"),
    "a glob": (Selection(("plays.*",)), "plays.warehouse plays.search"),
    "globs and names": (Selection(("*.search", "errors.warehouse")), "plays.search errors.warehouse"),
    "an owner": (Selection(owners=("team:web",)), "clicks.warehouse"),
    "a stream": (Selection(streams=("plays",)), "plays.warehouse plays.search"),
    "streams": (Selection(streams=("clicks", "errors")), "clicks.warehouse errors.warehouse"),
    "all hold": (Selection(("*.warehouse",), ("team:player",), ("plays",)), "plays.warehouse"),
}


@pytest.mark.parametrize(("selection", "chosen"), CASES.values(), ids=CASES.keys())
def test_what_is_chosen(selection: Selection, chosen: str) -> None:
    assert selection.of(FLEET) == tuple(chosen.split())


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        (Selection(("play.warehouse",)), "Did you mean 'plays.warehouse'"),
        (Selection(("x*",)), "no declared route matches 'x\\*'"),
        (Selection(owners=("team:pleyer",)), "Did you mean 'team:player'"),
        (Selection(streams=("x",)), "There are: clicks, errors, plays"),
        (Selection(owners=("team:web",), streams=("plays",)), "meets all of the conditions"),
    ],
)
def test_what_selects_nothing_is_an_error_and_not_the_whole_fleet(selection: Selection, told: str) -> None:
    with pytest.raises(InvalidSpec, match=told):
        selection.of(FLEET)
