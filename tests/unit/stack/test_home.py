from __future__ import annotations

import json
from pathlib import Path

import pytest

from keystone_platform.errors import Terminal
from keystone_platform.stack.home import Home
from keystone_platform.stack.ports import choose_ports
from keystone_platform.stack.state import (
    CATALOG_VARIABLE,
    SLOTS_VARIABLE,
    StackState,
    asked_slots,
    load_state,
    refuse_other_wishes,
    save_state,
    settings_of,
    with_wishes,
)


def test_the_mark_outlives_the_folder_and_differs_per_home(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    before = Home(folder).mark
    folder.mkdir()
    assert Home(folder).mark == before
    assert Home(tmp_path / "other").mark != before


def test_a_link_to_the_home_is_the_same_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    assert Home(tmp_path / "link").mark == Home(tmp_path / "home").mark


def test_a_deep_home_gets_a_socket_path_that_the_kernel_takes(tmp_path: Path) -> None:
    deep = Home(tmp_path / ("x" * 120))
    assert len(str(deep.socket)) <= 107
    assert Home(Path("/tmp/k")).socket == Path("/tmp/k/run/supervisor.sock")


def test_the_state_is_private_and_reads_back_with_the_same_key(tmp_path: Path) -> None:
    home = Home(tmp_path)
    state = StackState(ports=choose_ports({}, None, is_free=lambda _: True))
    save_state(home, state)
    assert home.state.stat().st_mode & 0o077 == 0
    assert load_state(home) == state


def test_the_secret_key_is_not_in_the_state_s_or_settings_representation(tmp_path: Path) -> None:
    state = StackState(ports=choose_ports({}, None, is_free=lambda _: True))
    shown = repr(state) + str(state) + repr(settings_of(Home(tmp_path), state))
    assert state.secret_access_key not in shown


def test_two_homes_have_two_keys() -> None:
    ports = choose_ports({}, None, is_free=lambda _: True)
    assert StackState(ports=ports).secret_access_key != StackState(ports=ports).secret_access_key


@pytest.mark.parametrize(("text", "slots"), [("", None), ("1", 1), ("48", 48)])
def test_slots_are_those_that_are_asked_for(text: str, slots: int | None) -> None:
    assert asked_slots({SLOTS_VARIABLE: text}) == slots


@pytest.mark.parametrize("text", ["0", "many", "-1", "100000"])
def test_a_number_of_slots_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(Terminal, match=SLOTS_VARIABLE):
        asked_slots({SLOTS_VARIABLE: text})


REST = '{"type": "rest", "uri": "http://catalog:8181", "warehouse": "w", "token": "env:TOKEN"}'


def test_another_catalog_is_asked_for_once_and_keeps_the_stacks_object_store(tmp_path: Path) -> None:
    home = Home(tmp_path)
    state = with_wishes({CATALOG_VARIABLE: REST}, StackState(ports=choose_ports({}, None, is_free=lambda _: True)))
    catalog = settings_of(home, with_wishes({}, state)).catalog
    assert {key: catalog[key] for key in ("type", "uri", "warehouse", "token")} == json.loads(REST)
    assert catalog["s3.endpoint"] == settings_of(home, state).s3.endpoint
    refuse_other_wishes({CATALOG_VARIABLE: REST}, state)
    with pytest.raises(Terminal, match="http://other"):
        refuse_other_wishes({CATALOG_VARIABLE: '{"type": "rest", "uri": "http://other"}'}, state)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://db",
        "[]",
        '{"type": "sql"}',
        '{"type": "sql", "uri": "postgresql+psycopg://keystone:s3cr3t@db/catalog"}',
        '{"type": "rest", "uri": "http://c", "token": "s3cr3t"}',
    ],
)
def test_a_catalog_that_is_none_or_tells_a_secret_is_refused(text: str) -> None:
    with pytest.raises(Terminal, match=CATALOG_VARIABLE) as error:
        with_wishes({CATALOG_VARIABLE: text}, StackState(ports=choose_ports({}, None, is_free=lambda _: True)))
    assert "s3cr3t" not in str(error.value)
