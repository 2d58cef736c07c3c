"""Operator ids, by Flink's own planner: a savepoint of one plan has to restore into the next one, strictly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keystone_platform.gateways.flink_home import (
    JAVA_OPTIONS,
    SHORT_LIVED,
    assemble_flink_home,
    jars_folder,
    wheel_folder,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SCRIPT = """
import json
import os
from flink_jobs import planner
from flink_jobs.statements import check_program
from flink_jobs.statements import router_program
from tests.unit.flink_jobs.plans import CONNECTION, kafka, kafka_projected, on_two_clusters, search, submission
from tests.unit.flink_jobs.plans import warehouse, warehouse_raw

plans = {
    "warehouse": warehouse(),
    "warehouse, other filter": warehouse("`user_id` = 7 OR `device`.`os` LIKE 'i%'"),
    "warehouse, never true": warehouse("`duration_ms` > 5 AND `duration_ms` < 3"),
    "warehouse, always true": warehouse("`duration_ms` > 5 OR `duration_ms` <= 5 OR `duration_ms` IS NULL"),
    "warehouse, no filter": warehouse(None),
    "warehouse, fewer columns": warehouse(columns=1),
    "warehouse, raw": warehouse_raw(),
    "warehouse, parallel": warehouse(parallelism=4),
    "kafka": kafka(),
    "kafka, never true": kafka("`duration_ms` > 5 AND `duration_ms` < 3"),
    "kafka, raw": kafka(None),
    "search": search(),
    "search, other filter": search("`user_id` = 7"),
    "search, no filter": search(None),
    "search, never true": search("`duration_ms` > 5 AND `duration_ms` < 3"),
    "search, fewer columns": search(None, columns=1),
}
plans |= {f"two clusters, {kind}": on_two_clusters(plans[kind]) for kind in ("warehouse", "kafka", "search")}
ids = {name: planner.operator_ids(check_program(plan)) for name, plan in plans.items()}
topics = {
    "topic": kafka(),
    "topic, raw": kafka(None),
    "topic, columns, key, transactions": kafka_projected(),
    "topic, columns, no key": kafka_projected("none", None),
}
topics |= {"search, real": search(), "search, real, no filter": search(None, columns=1)}
for name, plan in topics.items():
    ids[name] = planner.operator_ids(router_program(submission(plan), CONNECTION))
os.write(1, json.dumps(ids).encode())
"""


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str | None, int]]]:
    """Id and parallelism of each operator of each plan, all from one JVM."""
    folder = tmp_path_factory.mktemp("flink")
    environment = assemble_flink_home(
        folder, jars_folder(os.environ), {"env.java.opts.all": f"{JAVA_OPTIONS} {SHORT_LIVED}"}
    )
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **environment, "FLINK_HOME": str(wheel_folder())},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, list[tuple[str | None, int]]] = json.loads(done.stdout)
    return found


def test_every_operator_has_an_id(operators: dict[str, list[tuple[str | None, int]]]) -> None:
    assert all(identity for plan in operators.values() for identity, _ in plan)


def test_ids_do_not_depend_on_filter_columns_or_what_the_jvm_planned_before(
    operators: dict[str, list[tuple[str | None, int]]],
) -> None:
    ids = {name: [identity for identity, _ in plan] for name, plan in operators.items()}
    assert all(found == ids["warehouse"] for name, found in ids.items() if name.startswith("warehouse"))
    assert ids["kafka"] == ids["kafka, raw"] == ids["kafka, never true"]
    assert all(found == ids["search"] for name, found in ids.items() if name.startswith("search"))
    assert all(found == ids["topic"] for name, found in ids.items() if name.startswith("topic"))


@pytest.mark.parametrize("kind", ["warehouse", "kafka", "search"])
def test_a_second_cluster_leaves_the_ids_of_the_others_as_they_are(
    operators: dict[str, list[tuple[str | None, int]]], kind: str
) -> None:
    one, two = ({identity for identity, _ in operators[name]} for name in (kind, f"two clusters, {kind}"))
    assert one < two
    assert {identity for identity in two if identity and "kafka-" in identity} == {"1_kafka-kafka-b", "1_kafka-both"}
    assert not any(identity and "python" in identity for identity in two - one), "a document would be indexed twice"


def test_every_operator_takes_the_plans_parallelism(operators: dict[str, list[tuple[str | None, int]]]) -> None:
    assert {parallelism for _, parallelism in operators["warehouse, parallel"]} == {4}
