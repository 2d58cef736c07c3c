from __future__ import annotations

import pytest

from flink_jobs import sql
from flink_jobs.statements import METADATA_TYPES, check_program, router_program
from keystone_platform.errors import Terminal
from keystone_platform.plan.router_plan import METADATA_COLUMNS, Expression, OutputColumn
from keystone_platform.plan.submission import Connection
from keystone_platform.settings import S3Settings, Settings
from keystone_platform.spec.types import Scalar
from tests.unit.flink_jobs.plans import (
    CONNECTION,
    kafka,
    kafka_projected,
    submission,
    warehouse,
    warehouse_avro,
    warehouse_raw,
)

CANARY = "canary-7f3a"


def settings(**catalog: str) -> Settings:
    return Settings(
        kafka={"bootstrap.servers": "broker:9092"},
        s3=S3Settings(endpoint="http://s3:9000", access_key_id=f"{CANARY}-id", secret_access_key=f"{CANARY}-key"),
        catalog={
            "warehouse": "s3://bucket/warehouse",
            "s3.access-key-id": f"{CANARY}-id",
            "s3.secret-access-key": f"{CANARY}-key",
            "s3.session-token": CANARY,
            **catalog,
        },
        flink_rest="http://flink:8081",
        dagster_url="http://dagster:3000",
        ledger_url="sqlite:///ledger.db",
    )


def test_no_secret_gets_into_a_job() -> None:
    for catalog in (
        {"type": "sql", "uri": f"postgresql+psycopg://keystone:{CANARY}@db:5432/catalog"},
        {"type": "rest", "uri": "http://catalog:8181", "credential": f"id:{CANARY}", "token": CANARY},
    ):
        unchecked = settings(type="sql", uri="sqlite://")
        unchecked = unchecked.model_copy(update={"catalog": {**unchecked.catalog, **catalog}})
        program = router_program(submission(warehouse()), Connection.of(unchecked))
        assert CANARY not in str(program)


def test_a_job_is_told_where_the_rest_catalogs_secrets_are() -> None:
    catalog = {"type": "rest", "uri": "http://catalog:8181", "token": "env:TOKEN", "credential": "file:/run/client"}
    create = router_program(submission(warehouse()), Connection.of(settings(**catalog))).tables[0]
    assert "'keystone.secret.token' = 'variable:TOKEN'" in create
    assert "'keystone.secret.credential' = 'file:/run/client'" in create
    assert "'rest.auth.type' = 'io.keystone.auth.ReferencedAuth'" in create


def test_the_table_has_a_type_for_each_metadata_column() -> None:
    assert tuple(METADATA_TYPES) == METADATA_COLUMNS


def test_a_filter_with_or_does_not_let_dead_events_into_the_table() -> None:
    insert = router_program(submission(warehouse("`a` OR `b`")), CONNECTION).inserts[0]
    assert insert.endswith("WHERE `_error` IS NULL\n  AND (`a` OR `b` OR `_partition` < 0)")


def test_a_computed_column_is_cast_to_its_type() -> None:
    constant = Expression(text="'player'", flink="'player'", duckdb="'player'")
    computed = OutputColumn(name="source", type=Scalar.STRING, expression=constant)
    plan = warehouse().model_copy(update={"columns": (*warehouse().columns, computed)})
    assert "\n  CAST('player' AS STRING),\n" in router_program(submission(plan), CONNECTION).inserts[0]


def test_the_format_is_told_what_becomes_null() -> None:
    plan = warehouse()
    source = plan.source.model_copy(update={"null_on_type_error": ("user_id", "device.os")})
    table = router_program(submission(plan.model_copy(update={"source": source})), CONNECTION).tables[1]
    assert "'value.keystone-json.null-on-type-error' = 'user_id;device.os'" in table
    assert "on-type-error" not in str(router_program(submission(plan), CONNECTION))


def test_a_route_without_schema_declares_no_column_of_the_payload() -> None:
    source = router_program(submission(warehouse_raw()), CONNECTION).tables[1]
    declared = [line.split("`")[1] for line in source.splitlines() if line.startswith("  `")]
    assert all(name.startswith("_") for name in declared)


def test_a_checked_plan_reaches_for_no_server() -> None:
    for plan in (warehouse(), warehouse_raw(), kafka(), kafka(None)):
        told = str(check_program(plan))
        assert "CREATE CATALOG" not in told
        assert "s3" not in told


def test_a_name_or_text_with_quotes_stays_a_name_or_a_text() -> None:
    assert sql.identifier("a`; DROP TABLE x; --", "b") == "`a``; DROP TABLE x; --`.`b`"
    assert sql.text("it's') --") == "'it''s'') --'"


def test_no_routes_transactions_are_found_by_another_routes_prefix() -> None:
    one, other = (kafka_projected().model_copy(update={"route": route}) for route in ("a.kafka", "a.kafka_errors"))
    prefixes = [
        next(line for line in str(router_program(submission(plan), CONNECTION)).splitlines() if "id-prefix" in line)
        for plan in (one, other)
    ]
    first, second = (line.split("'")[3] for line in prefixes)
    assert not second.startswith(first)
    assert not first.startswith(second)


def test_both_inserts_read_the_one_source() -> None:
    for plan in (warehouse(), warehouse_raw(), kafka(), kafka(None)):
        inserts = router_program(submission(plan), CONNECTION).inserts
        assert len(inserts) == 2
        assert all("FROM `_source`" in insert for insert in inserts)


def test_a_stream_with_a_registry_is_refused_where_the_settings_name_none() -> None:
    with pytest.raises(Terminal, match="no schema registry") as refused:
        router_program(submission(warehouse_avro()), CONNECTION.model_copy(update={"registry": None}))
    assert "`registry`" in refused.value.mend
