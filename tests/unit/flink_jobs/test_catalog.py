from __future__ import annotations

import pytest

from flink_jobs.catalog import catalog_name, catalog_options
from keystone_platform.errors import Terminal
from keystone_platform.gateways.lake import CATALOG_NAME
from tests.unit.flink_jobs.plans import CONNECTION


def options(**catalog: str) -> dict[str, str]:
    return catalog_options(CONNECTION.model_copy(update={"catalog": {"warehouse": "s3://b/w", **catalog}}))


def test_flink_and_pyiceberg_call_the_catalog_by_one_name() -> None:
    assert catalog_name(CONNECTION) == CATALOG_NAME


@pytest.mark.parametrize(
    ("uri", "jdbc"),
    [
        ("sqlite:////data/catalog.db", "jdbc:sqlite:/data/catalog.db"),
        ("sqlite:///catalog.db", "jdbc:sqlite:catalog.db"),
        ("postgresql+psycopg://db/catalog", "jdbc:postgresql://db/catalog"),
        ("postgresql+psycopg://keystone@db:5433/catalog", "jdbc:postgresql://db:5433/catalog"),
    ],
)
def test_an_sql_catalog_is_the_same_database_for_both(uri: str, jdbc: str) -> None:
    assert options(type="sql", uri=uri)["uri"] == jdbc


def test_an_sql_catalog_has_the_layout_that_pyiceberg_makes() -> None:
    assert options(type="sql", uri="sqlite:////c.db")["jdbc.schema-version"] == "V1"


def test_a_rest_catalog_is_known_by_its_type_or_its_address() -> None:
    assert options(type="rest", uri="http://c:8181") == options(uri="http://c:8181")


@pytest.mark.parametrize("catalog", [{"type": "hive", "uri": "thrift://h"}, {"type": "sql", "uri": "mysql://h/c"}])
def test_a_catalog_that_routers_cannot_write_to_is_refused(catalog: dict[str, str]) -> None:
    with pytest.raises(Terminal):
        options(**catalog)
