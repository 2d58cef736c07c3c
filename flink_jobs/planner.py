"""Hands Programs to Flink's planner and to a cluster: with `refusal`, all that knows PyFlink."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from py4j.protocol import Py4JJavaError
from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway
from pyflink.table import DataTypes, EnvironmentSettings, StatementSet, TableEnvironment
from pyflink.table.udf import udf
from pyflink.util.exceptions import JavaException

from flink_jobs.indexing import INDEX_DOCUMENTS
from flink_jobs.refusal import JavaThrew, chain_of, chain_of_trace
from flink_jobs.sinks.search import IndexDocuments, SearchConnection
from flink_jobs.statements import Program


def start_jvm() -> None:
    """Start this process's JVM, or do nothing when it runs; takes a few seconds.

    Raises:
        Exception: whatever kept it from starting.
    """
    get_gateway()


def cluster_options(flink_rest: str) -> dict[str, str]:
    """Return the options by which a job goes to that session cluster."""
    url = urlsplit(flink_rest)
    is_https = url.scheme == "https"
    return {
        "execution.target": "remote",
        "execution.attached": "false",
        "rest.address": url.hostname or "",
        "rest.port": str(url.port or (443 if is_https else 80)),
        "security.ssl.rest.enabled": "true" if is_https else "false",
        # 20 tries of 3 s are Flink's default: too long to learn that nobody is there
        "rest.retry.max-attempts": "4",
        "rest.retry.delay": "1 s",
    }


def compile_program(program: Program) -> str:
    """Return the planner's explanation of the program; nothing runs.

    Raises:
        JavaThrew: the planner refuses it.
    """
    with _translated():
        explanation: str = _statement_set(program, {}).explain()
    return explanation


def start_program(program: Program, cluster: Mapping[str, str]) -> None:
    """Submit the program and return when the cluster's JobManager has initialised the job, not when it runs.

    Raises:
        JavaThrew: `refusal.status_of` its chain says what became of it.
    """
    with _translated():
        _statement_set(program, cluster).execute()


def operator_ids(program: Program) -> tuple[tuple[str | None, int], ...]:
    """Return id and parallelism of each operator that the program becomes, sinks last, without running it."""
    environment = _environment(program, {})
    operations = get_gateway().jvm.java.util.ArrayList()
    for insert in program.inserts:
        operations.addAll(environment._j_tenv.getParser().parse(insert))
    found: dict[tuple[str | None, int], None] = {}
    for sink in environment._j_tenv.getPlanner().translate(operations):
        for operator in reversed(list(sink.getTransitivePredecessors())):
            if operator.getClass().getSimpleName() == "UnionTransformation":
                continue  # nothing runs there
            found[operator.getUid(), operator.getParallelism()] = None
    return tuple(found)


def rewrite_data_files(
    catalog: tuple[str, Mapping[str, str]],
    table: str,
    column: str,
    bounds: tuple[int, ...],
    target_bytes: int,
    summary: Mapping[str, str],
    cluster: Mapping[str, str],
) -> tuple[int, int]:
    """Let Iceberg's action merge the files whose `column` is within `bounds`; return files replaced and written.

    Blocks until the bounded job on the cluster has ended and its result is committed.

    Args:
        catalog: its name and properties.
        table: `namespace.table`.
        column: a timestamp that the table is partitioned by.
        bounds: microseconds since 1970, the second one excluded; on borders of partitions.
        target_bytes: size of the files written.
        summary: entries of the snapshot's summary.
        cluster: options by which the job goes to a cluster.

    Raises:
        JavaThrew: the job failed, or the commit did.
    """
    jvm: Any = get_gateway().jvm
    iceberg = jvm.org.apache.iceberg
    name, properties = catalog
    options = Configuration()
    for key, value in {**cluster, "execution.attached": "true", "execution.runtime-mode": "BATCH"}.items():
        options.set_string(key, value)
    with _translated():
        # getExecutionEnvironment would start a cluster in this process, whatever `execution.target` says
        environment = jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
        implementation = properties["catalog-impl"]
        loaded = iceberg.CatalogUtil.loadCatalog(implementation, name, dict(properties), None)
        rewritten = loaded.loadTable(iceberg.catalog.TableIdentifier.parse(table))
        expressions = iceberg.expressions.Expressions
        within = getattr(expressions, "and")(
            expressions.greaterThanOrEqual(column, bounds[0]), expressions.lessThan(column, bounds[1])
        )
        action = iceberg.flink.actions.Actions.forTable(
            environment(options._j_configuration), rewritten
        ).rewriteDataFiles()
        for key, value in summary.items():
            action.set(key, value)
        result = action.filter(within).targetSizeInBytes(target_bytes).execute()
        return result.deletedDataFiles().size(), result.addedDataFiles().size()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except Py4JJavaError as error:
        raise JavaThrew(chain_of(error.java_exception)) from error
    except JavaException as error:  # PyFlink's own wrapping of some of them
        raise JavaThrew(chain_of_trace(error.stack_trace)) from error


def _statement_set(program: Program, cluster: Mapping[str, str]) -> StatementSet:
    statements = _environment(program, cluster).create_statement_set()
    for insert in program.inserts:
        statements.add_insert_sql(insert)
    return statements


def _environment(program: Program, cluster: Mapping[str, str]) -> TableEnvironment:
    # else PyFlink, which overlooks the job's `execution.target`, makes the cluster run Python functions in this process
    os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112 - PyFlink spells it so
    configuration = Configuration()
    for key, value in {**program.options, **cluster}.items():
        configuration.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    environment = TableEnvironment.create(settings)
    _number_operators_from_one(environment)
    if program.search:
        _register(environment, program.search)
    for statement in program.tables:
        environment.execute_sql(statement)
    return environment


def _register(environment: TableEnvironment, connection: SearchConnection) -> None:
    """Make the indexing function known. Not deterministic: the planner must neither call it twice nor leave it out."""
    function = udf(
        IndexDocuments(connection),
        result_type=DataTypes.STRING(),
        func_type="pandas",
        deterministic=False,
        name=INDEX_DOCUMENTS,
    )
    environment.create_temporary_system_function(INDEX_DOCUMENTS, function)


def _number_operators_from_one(environment: TableEnvironment) -> None:
    """Make operator ids a function of the plan alone.

    An id holds a number that Flink's planner counts up as long as the JVM lives, so the second plan from one JVM
    would else get ids that no savepoint of its router knows.
    """
    gateway: Any = get_gateway()
    loader = environment._j_tenv.getPlanner().getClass().getClassLoader()
    counter = loader.loadClass("org.apache.flink.table.planner.plan.nodes.exec.ExecNodeContext")
    no_types, no_values = gateway.new_array(gateway.jvm.Class, 0), gateway.new_array(gateway.jvm.Object, 0)
    counter.getMethod("resetIdCounter", no_types).invoke(None, no_values)
