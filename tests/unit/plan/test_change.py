from __future__ import annotations

import pytest
from pydantic import BaseModel

from keystone_platform.plan.change import ChangeKind, diff_plans
from keystone_platform.plan.cost import Cost
from keystone_platform.plan.router_plan import (
    Filter,
    KafkaTarget,
    OutputColumn,
    RouterPlan,
    SearchTarget,
    Source,
    WarehouseTarget,
)
from keystone_platform.spec.types import Field, Scalar

PLAN = RouterPlan(
    route="plays.warehouse",
    stream="plays",
    source=Source(topic="plays", columns=(Field("a", Scalar.INT), Field("b", Scalar.STRING))),
    filter=Filter(text="a > 1", flink="(`a` > 1)", duckdb='("a" > 1)'),
    columns=(OutputColumn(name="b", path=("b",), type=Scalar.STRING),),
    target=WarehouseTarget(table="events.plays"),
    dead_letter_topic="plays.dlq",
    parallelism=1,
    checkpoint_interval_s=10,
)
SOURCE = PLAN.source


def test_a_route_that_never_ran_is_new() -> None:
    assert diff_plans(None, PLAN).kind is ChangeKind.NEW


def test_the_same_plan_costs_nothing() -> None:
    change = diff_plans(PLAN, PLAN.model_copy(deep=True))
    assert (change.kind, change.differences) == (ChangeKind.NOTHING, ())


CHANGES = {
    "parallelism": ({"parallelism": 2}, ChangeKind.RESCALE, ["parallelism: 1 -> 2"]),
    "checkpoints": ({"checkpoint_interval_s": 30}, ChangeKind.RESTART, ["checkpoint_interval_s: 10 -> 30"]),
    "a filter": (
        {"filter": Filter(text="a > 2", flink="(`a` > 2)", duckdb='("a" > 2)')},
        ChangeKind.RESTART,
        ["filter: a > 1 -> a > 2"],
    ),
    "what comes of the same filter": (
        {"filter": Filter(text="a > 1", flink="(1 < `a`)", duckdb='("a" > 1)')},
        ChangeKind.RESTART,
        ["filter: (`a` > 1) -> (1 < `a`)"],
    ),
    "the filter's spelling": (
        {"filter": Filter(text="a  >  1", flink="(`a` > 1)", duckdb='("a" > 1)')},
        ChangeKind.NOTHING,
        ["filter: a > 1 -> a  >  1"],
    ),
    "no filter any more": ({"filter": None}, ChangeKind.RESTART, ["filter: a > 1 -> (none)"]),
    "another table": (
        {"target": WarehouseTarget(table="events.other")},
        ChangeKind.NEW,
        ["target.table: events.plays -> events.other"],
    ),
    "another sink": (
        {"target": KafkaTarget(topic="x")},
        ChangeKind.NEW,
        ["target: kind warehouse, table events.plays -> kind kafka, topic x, key keep"],
    ),
    "another topic": (
        {"source": SOURCE.model_copy(update={"topic": "p2"})},
        ChangeKind.NEW,
        ["source.topic: plays -> p2"],
    ),
    "a column more": (
        {"columns": (*PLAN.columns, OutputColumn(name="c", path=("d", "e"), type=Scalar.INT))},
        ChangeKind.RESTART,
        ["columns.c: (none) -> d.e (int)"],
    ),
    "a column's order": (
        {"source": SOURCE.model_copy(update={"columns": SOURCE.columns[::-1]})},
        ChangeKind.RESTART,
        ["source.columns (order): a, b -> b, a"],
    ),
    "a computed column": (
        {"columns": (*PLAN.columns, OutputColumn(name="c", type=Scalar.BOOLEAN, expression=PLAN.filter))},
        ChangeKind.RESTART,
        ["columns.c: (none) -> a > 1 (boolean)"],
    ),
    "null on type errors": (
        {"source": SOURCE.model_copy(update={"null_on_type_error": ("a", "b")})},
        ChangeKind.RESTART,
        ["source.null_on_type_error: (none) -> a, b"],
    ),
    "the dearest counts": (
        {"parallelism": 3, "dead_letter_topic": "x.dlq"},
        ChangeKind.RESTART,
        ["dead_letter_topic: plays.dlq -> x.dlq", "parallelism: 1 -> 3"],
    ),
}


@pytest.mark.parametrize(("update", "kind", "shown"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_costs_what_its_dearest_field_costs(
    update: dict[str, object], kind: ChangeKind, shown: list[str]
) -> None:
    change = diff_plans(PLAN, PLAN.model_copy(update=update))
    assert change.kind is kind
    assert list(map(str, change.differences)) == shown


@pytest.mark.parametrize(("update", "kind", "_shown"), CHANGES.values(), ids=CHANGES.keys())
def test_the_digest_differs_exactly_where_a_change_costs_something(
    update: dict[str, object], kind: ChangeKind, _shown: list[str]
) -> None:
    assert (PLAN.model_copy(update=update).digest == PLAN.digest) is (kind is ChangeKind.NOTHING)


def test_another_spelling_of_a_computed_column_costs_nothing() -> None:
    plans = [
        PLAN.model_copy(
            update={
                "columns": (
                    OutputColumn(
                        name="c",
                        type=Scalar.BOOLEAN,
                        expression=Filter(text=text, flink="(`a` > 1)", duckdb='("a" > 1)'),
                    ),
                )
            }
        )
        for text in ("a > 1", "a  >  1")
    ]
    change = diff_plans(*plans)
    assert (change.kind, list(map(str, change.differences))) == (
        ChangeKind.NOTHING,
        ["columns.c: a > 1 (boolean) -> a  >  1 (boolean)"],
    )
    assert plans[0].digest == plans[1].digest


def test_kafka_to_another_kafka_topic_goes_on_at_its_position() -> None:
    old = PLAN.model_copy(update={"target": KafkaTarget(topic="a")})
    new = PLAN.model_copy(update={"target": KafkaTarget(topic="b")})
    assert diff_plans(old, new).kind is ChangeKind.RESTART


def test_another_key_or_delivery_of_a_topic_is_a_restart() -> None:
    old = PLAN.model_copy(update={"target": KafkaTarget(topic="a")})
    new = PLAN.model_copy(update={"target": KafkaTarget(topic="a", key="b", transaction_timeout_s=900)})
    change = diff_plans(old, new)
    assert change.kind is ChangeKind.RESTART
    assert [str(each) for each in change.differences] == [
        "target.key: keep -> b",
        "target.transaction_timeout_s: (none) -> 900",
    ]


def test_another_index_is_a_restart() -> None:
    old, new = (PLAN.model_copy(update={"target": SearchTarget(index=index)}) for index in ("a", "b"))
    assert diff_plans(old, new).kind is ChangeKind.RESTART


@pytest.mark.parametrize("part", [RouterPlan, Source, Filter, WarehouseTarget, KafkaTarget, SearchTarget])
def test_no_field_of_a_plan_is_without_its_cost(part: type[BaseModel]) -> None:
    fields = part.model_fields
    costs = {name: sum(isinstance(each, Cost) for each in info.metadata) for name, info in fields.items()}
    assert costs == dict.fromkeys(fields, 1)
