from __future__ import annotations

import socket

import pytest

from keystone_platform.errors import Terminal
from keystone_platform.stack.ports import asked_ports, choose_ports, is_free
from keystone_platform.stack.state import Ports


def _all_free(_: int) -> bool:
    return True


def test_usual_ports_are_taken_when_they_are_free() -> None:
    ports = choose_ports({}, None, is_free=_all_free)
    assert (ports.kafka, ports.s3, ports.flink, ports.dagster) == (9092, 9000, 8081, 3000)


def test_a_taken_usual_port_gives_the_next_free_one() -> None:
    ports = choose_ports({}, None, is_free=lambda port: port not in {9092, 9093})
    assert ports.kafka == 9094


def test_remembered_ports_are_taken_again_although_usual_ones_are_free() -> None:
    remembered = choose_ports({}, None, is_free=lambda port: port != 9092)
    assert choose_ports({}, remembered, is_free=_all_free) == remembered


def test_a_remembered_port_that_is_taken_meanwhile_is_given_up() -> None:
    remembered = choose_ports({}, None, is_free=_all_free)
    assert choose_ports({}, remembered, is_free=lambda port: port != 9092).kafka == 9093


def test_an_asked_port_wins_over_the_remembered_one() -> None:
    remembered = choose_ports({}, None, is_free=_all_free)
    assert choose_ports({"kafka": 19092}, remembered, is_free=_all_free).kafka == 19092


def test_an_asked_port_that_is_taken_is_refused_with_the_mend() -> None:
    with pytest.raises(Terminal, match="port 9000, asked for s3, is taken") as refused:
        choose_ports({"s3": 9000}, None, is_free=lambda port: port != 9000)
    assert "KEYSTONE_S3_PORT" in refused.value.mend


def test_one_port_is_not_given_to_two_servers() -> None:
    with pytest.raises(Terminal):
        choose_ports({"kafka": 9500, "s3": 9500}, None, is_free=_all_free)
    ports = choose_ports({"kafka": 9000}, None, is_free=_all_free)
    assert len(set(ports.model_dump().values())) == len(Ports.model_fields)


def test_a_stack_beside_another_takes_none_of_the_usual_ports() -> None:
    ports = choose_ports({}, None, usual=False, is_free=_all_free)
    assert not {9092, 9000, 8081, 3000} & set(ports.model_dump().values())


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "9092.0"])
def test_what_is_no_port_is_refused_by_its_variable(text: str) -> None:
    with pytest.raises(Terminal, match="KEYSTONE_KAFKA_PORT"):
        asked_ports({"KEYSTONE_KAFKA_PORT": text})


def test_an_empty_variable_asks_for_nothing() -> None:
    assert asked_ports({"KEYSTONE_KAFKA_PORT": ""}) == {}


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])
