"""Dead letters of both clusters are shown and replayed as one, and those of one cluster while the other is away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keystone_platform.stack.server import KAFKA
from tests.drills.two_clusters.twins import Twins, keystone
from tests.e2e.platform import Platform, stream_yaml, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

STREAM = "buried"
ROUTE = f"{STREAM}.warehouse"

WRONG_TYPE = b'{"n": "many", "country": "US"}'
NO_JSON = b"no JSON"


def test_letters_of_both_clusters_are_replayed_once_each(platform: Platform) -> None:
    twins = Twins(platform, STREAM, ROUTE)
    twins.begin(stream_yaml(STREAM))
    twins.send(STREAM, 100, [WRONG_TYPE] * 10 + [NO_JSON])
    twins.send(twins.standby_topic, 100, [WRONG_TYPE] * 20 + [NO_JSON] * 2)
    twins.platform.wait_for_rows(STREAM, 200)

    shown = wait_for("all letters", lambda: told if (told := shown_letters())["letters"] == 33 else None, 60)
    print(shown["topic"], shown["reasons"])
    assert {each["code"]: each["letters"] for each in shown["reasons"]} == {"wrong_type": 30, "not_json": 3}

    mended = stream_yaml(STREAM).replace("schema:", "on_type_error: 'null'\nschema:")
    print(f"mended in {twins.begin(mended):.0f} s")
    replayed = answered("dlq", "replay", STREAM, "--reason", "wrong_type", "--wait", "--json")
    print(replayed)
    by_topic = {f"{STREAM}.replay.warehouse": 10, f"standby.{STREAM}.replay.warehouse": 20}
    assert landed_again(platform) == by_topic
    again = answered("dlq", "replay", STREAM, "--reason", "wrong_type", "--wait", "--json")
    print(again)
    assert landed_again(platform) == by_topic

    twins.send(twins.standby_topic, 0, [NO_JSON] * 5)
    platform.stack.stop(KAFKA)
    shown = wait_for("letters of the standby", lambda: told if (told := shown_letters())["letters"] == 27 else None, 60)
    print(f"primary away: {shown['topic']} {shown['reasons']}")
    sent = answered("dlq", "replay", STREAM, "--reason", "not_json", "--same-plan", "--wait", "--json")
    print(f"primary away: {sent}")
    twins.start_all()
    wait_for("the replayed died again", lambda: shown_letters()["letters"] == 33 + 5 + 7, 90)
    twins.send_both(50)
    platform.wait_for_rows(STREAM, 200 + 30 + 100)
    assert landed_again(platform) == by_topic
    twins.end()


def landed_again(platform: Platform) -> dict[object, object]:
    query = "SELECT _topic, count(*) FROM t WHERE _topic LIKE '%replay%' GROUP BY ALL"
    return dict(platform.rows(STREAM, query))  # type: ignore[arg-type] # rows of two


def shown_letters() -> dict[str, Any]:
    return answered("dlq", "show", STREAM, "--json")


def answered(*arguments: str) -> dict[str, Any]:
    answer = keystone(*arguments)
    print(answer.stderr.strip()[-300:])
    assert answer.returncode == 0, answer.stderr
    told: dict[str, Any] = json.loads(answer.stdout)
    return told
