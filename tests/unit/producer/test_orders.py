"""Orders: their two forms, which one holds, and a file of them that changes, breaks and goes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from keystone_platform.producer import Problem
from keystone_platform.producer.order_sources import OrderFile
from keystone_platform.producer.orders import BadOrder, Order, Orders
from keystone_platform.producer.problems import Reporter

TO_B = Order("b", 10, "ann", "a is slow")


def test_both_forms_give_back_what_was_written() -> None:
    orders = Orders({"*": TO_B, "plays": Order(None, 12, "bob", "")})
    assert Orders.read(orders.text()) == orders
    record = json.dumps(TO_B.value()).encode()
    assert Orders.of_record(b"*", record) == Orders({"*": TO_B})
    assert Orders.of_record(b"*", None) == Orders()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "no JSON"),
        ("[]", "no document of version 1"),
        ('{"version": 2}', "no document of version 1"),
        ('{"version": 1}', "`orders` is no mapping"),
        ('{"version": 1, "orders": {"*": "b"}}', "an order is"),
        ('{"version": 1, "orders": {"*": {"at": 1}}}', "an order is"),
        ('{"version": 1, "orders": {"*": {"cluster": "b"}}}', "an order is"),
        ('{"version": 1, "orders": {"*": {"cluster": 1, "at": 1}}}', "an order is"),
        ('{"version": 1, "orders": {"*": {"cluster": "b", "at": true}}}', "an order is"),
    ],
)
def test_what_is_no_order_is_refused(text: str, what: str) -> None:
    with pytest.raises(BadOrder, match=what):
        Orders.read(text)


@pytest.mark.parametrize(
    "record", [(None, b'{"cluster": "b", "at": 1}'), (b"s", b"\xff"), (b"\xff", b"{}"), (b"s", b"3")]
)
def test_a_record_that_is_no_order_is_refused(record: Any) -> None:
    with pytest.raises(BadOrder):
        Orders.of_record(*record)


@pytest.mark.parametrize(
    ("orders", "cluster"),
    [
        ({}, None),
        ({"*": Order("b", 1)}, "b"),
        ({"plays": Order("b", 1)}, "b"),
        ({"other": Order("b", 1)}, None),
        # the newer one holds: all means all, and a stream may be told something else later
        ({"plays": Order("a", 1), "*": Order("b", 2)}, "b"),
        ({"*": Order("b", 1), "plays": Order("a", 2)}, "a"),
        ({"*": Order("b", 1), "plays": Order(None, 2)}, None),
    ],
)
def test_which_order_holds_for_a_stream(orders: Any, cluster: str | None) -> None:
    found = Orders(orders).of("plays")
    assert (found and found.cluster) == cluster


def test_an_older_order_from_a_cluster_that_was_away_changes_nothing() -> None:
    newer, older = Orders({"*": Order(None, 20)}), Orders({"*": TO_B})
    assert older.with_newer(newer) == newer.with_newer(older) == newer


def test_a_file_that_breaks_or_goes_leaves_the_last_good_orders_in_force(tmp_path: Path) -> None:
    problems: list[Problem] = []
    path = tmp_path / "orders.json"
    file = OrderFile(path, Reporter(problems.append))
    assert file.read() == Orders()
    assert problems == [], "no file is no order"

    def put(text: str) -> None:
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        os.replace(fresh, path)  # noqa: PTH105 - as a mount or a deployment does it

    put(Orders({"*": TO_B}).text())
    assert file.read() == Orders({"*": TO_B})
    put("{")
    assert file.read() == Orders({"*": TO_B})
    assert [(each.kind, "no JSON" in each.text) for each in problems] == [("order", True)]
    put(Orders({"*": Order(None, 11)}).text())
    assert file.read() == Orders({"*": Order(None, 11)})
    path.unlink()
    assert file.read() == Orders({"*": Order(None, 11)})
