from __future__ import annotations

from keystone_platform.plan.index_template import _METADATA, index_pattern, index_template
from keystone_platform.plan.router_plan import METADATA_COLUMNS, OutputColumn, SearchTarget
from keystone_platform.spec.types import Array, Field, Scalar, Struct
from tests.unit.flink_jobs.plans import search


def test_every_declared_type_and_every_column_of_our_own_has_a_mapping() -> None:
    types = [*Scalar, *(Array(scalar) for scalar in Scalar), Struct((Field("a", Scalar.DATE),))]
    columns = tuple(OutputColumn(name=f"c{n}", path=(f"c{n}",), type=kind) for n, kind in enumerate(types))
    template = index_template(search().model_copy(update={"columns": columns}))
    properties = template["template"]["mappings"]["properties"]
    assert set(properties) == {*METADATA_COLUMNS, *(column.name for column in columns)}
    assert properties[f"c{len(types) - 1}"]["properties"]["a"]["type"] == "date"
    assert tuple(_METADATA) == METADATA_COLUMNS


def test_the_template_takes_every_day_and_the_narrower_of_two_wins() -> None:
    assert index_pattern(SearchTarget(index="plays-{date}")) == "plays-*"
    assert index_pattern(SearchTarget(index="plays")) == "plays"
    wide, narrow = (
        index_template(search().model_copy(update={"target": SearchTarget(index=index)}))
        for index in ("plays-{date}", "plays-tv-{date}")
    )
    assert wide["priority"] < narrow["priority"]
