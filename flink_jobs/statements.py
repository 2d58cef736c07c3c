"""A RouterPlan as Flink SQL: pure, so that a golden file shows all that Flink is told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flink_jobs import documents, landed, sql, tables
from flink_jobs.catalog import catalog_name, catalog_options
from flink_jobs.indexing import INDEX_DOCUMENTS, python_options, refused_view
from flink_jobs.job_options import job_options, planner_options
from flink_jobs.sinks.search import SearchConnection
from keystone_platform import envelope
from keystone_platform.errors import Terminal
from keystone_platform.plan.backfill import Backfill, TableSnapshot
from keystone_platform.plan.router_plan import (
    METADATA_COLUMNS,
    RAW_COLUMN,
    KafkaTarget,
    OutputColumn,
    RouterPlan,
    SearchTarget,
    WarehouseTarget,
)
from keystone_platform.plan.submission import Connection, KafkaServers, Submission
from keystone_platform.settings import RegistrySettings

BYTES = "BYTES"

_RFC_3339 = "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"
"""Pattern of a time in the session's zone, which is UTC."""

METADATA_TYPES = {
    "_guid": "STRING",
    "_time": "TIMESTAMP_LTZ(6)",
    "_host": "STRING",
    "_app": "STRING",
    "_topic": "STRING",
    "_partition": "INT",
    "_offset": "BIGINT",
}
"""Types of METADATA_COLUMNS."""


@dataclass(frozen=True)
class Program:
    """All that Flink is told of a router.

    Attributes:
        options: the job's configuration.
        tables: DDL, in order; nothing of it outlives the submission.
        inserts: run as one statement set, so the topic is read once.
        search: where the function `index_documents` indexes; None when no statement calls it.
    """

    options: dict[str, str]
    tables: tuple[str, ...]
    inserts: tuple[str, ...]
    search: SearchConnection | None = None

    def __str__(self) -> str:
        settings = [f"SET {sql.text(key)} = {sql.text(value)};" for key, value in self.options.items()]
        function = [f"-- {INDEX_DOCUMENTS}: {self.search}"] if self.search else []
        ddl = [*function, *(f"{statement};" for statement in self.tables)]
        inserts = [f"{statement};" for statement in self.inserts]
        return "\n\n".join(["\n".join(settings), *ddl, "EXECUTE STATEMENT SET BEGIN", *inserts, "END;"]) + "\n"


@dataclass(frozen=True)
class _Column:
    """A column of the sink: its name, its type, and the expression over the source that fills it."""

    name: str
    type: str
    expression: str


def router_program(submission: Submission, connection: Connection) -> Program:
    """Return the program that runs the submission's router.

    Which operators it becomes, and their ids, depends on the kind of target only: not on columns, filter, parallelism.

    Raises:
        Terminal: the catalog is of a kind that routers can't write to; there is no search cluster, no schema registry.
    """
    plan = submission.plan
    if submission.backfill:
        return _backfill_program(submission, submission.backfill, connection)
    source = tables.source_table(plan, connection, submission.start_at)
    reads = (source, *_dead_letter_tables(plan, connection))
    if isinstance(plan.target, KafkaTarget):
        target = tables.topic_target_table(plan, plan.target, connection)
        insert = _insert(sql.identifier(tables.TARGET), _topic_columns(plan, plan.target), _kept(plan))
        return Program(job_options(submission), (*reads, target), (insert, *_dead_letter_inserts(plan)))
    if isinstance(plan.target, SearchTarget):
        options = {**job_options(submission), **python_options(connection)}
        view, inserts = _search_statements(plan, plan.target)
        return Program(options, (*reads, view), inserts, _search(connection))
    table = _warehouse_table(plan.target, connection, {"uid-suffix": plan.route})
    inserts = (_insert(table, _warehouse_columns(plan), _kept(plan)), *_dead_letter_inserts(plan))
    return Program(job_options(submission), (_catalog(connection), *reads), inserts)


def _backfill_program(submission: Submission, backfill: Backfill, connection: Connection) -> Program:
    """Return the program that replays a part of a route into a branch of its table.

    The dead letters of that part were written when the router read it: a second time would count them twice.
    """
    plan = submission.plan
    if not isinstance(plan.target, WarehouseTarget):
        message = f"{plan.route} has no table to backfill"
        raise Terminal(message, mend="Only warehouse routes can be backfilled.")
    scope, source = backfill.scope, backfill.source
    table = _warehouse_table(plan.target, connection, {"uid-suffix": backfill.branch, "branch": backfill.branch})
    if isinstance(source, TableSnapshot):
        reads = landed.landed_source(plan, source, scope, catalog_name(connection))
        condition = _kept(plan)
    else:
        reads = (tables.source_table(plan, connection, scope=scope),)
        condition = "\n  AND ".join(filter(None, (_kept(plan), landed.in_times(scope))))
    insert = _insert(table, _warehouse_columns(plan), condition)
    return Program(job_options(submission), (_catalog(connection), *reads), (insert,))


def _catalog(connection: Connection) -> str:
    name = sql.identifier(catalog_name(connection))
    return f"CREATE CATALOG {name} WITH (\n{sql.options(catalog_options(connection))}\n)"


def _warehouse_table(target: WarehouseTarget, connection: Connection, options: dict[str, str]) -> str:
    """Return the table with options of the sink; `uid-suffix` makes the ids of its inner operators stable."""
    hint = ", ".join(f"{sql.text(key)} = {sql.text(value)}" for key, value in options.items())
    return f"{sql.identifier(catalog_name(connection), *target.table.split('.'))} /*+ OPTIONS({hint}) */"


def check_program(plan: RouterPlan) -> Program:
    """Return a program that Flink compiles iff it compiles the plan, without catalog, broker or table.

    The sink is a stand-in with the columns that the table will have, since the table is made after the check.
    """
    nowhere = Connection(
        bootstrap_servers="none:9092",
        catalog={},
        s3_endpoint="",
        s3_region="",
        s3_path_style=True,
        clusters=tuple(
            KafkaServers(name=name, bootstrap_servers="none:9092")
            for name in (plan.source.cluster, plan.source.standby)
            if name
        ),
        registry=RegistrySettings(url="http://none"),
    )
    if isinstance(plan.target, SearchTarget):
        reads = (tables.source_table(plan, nowhere), *_dead_letter_tables(plan, nowhere))
        view, inserts = _search_statements(plan, plan.target)
        return Program(planner_options(plan), (*reads, view), inserts, SearchConnection(url="http://none"))
    columns = _topic_columns(plan, plan.target) if isinstance(plan.target, KafkaTarget) else _warehouse_columns(plan)
    declared = [f"{sql.identifier(column.name)} {column.type}" for column in columns]
    ddl = (
        tables.source_table(plan, nowhere),
        *_dead_letter_tables(plan, nowhere),
        sql.create_table(tables.TARGET, declared, {"connector": "blackhole"}),
    )
    inserts = (_insert(sql.identifier(tables.TARGET), columns, _kept(plan)), *_dead_letter_inserts(plan))
    return Program(planner_options(plan), ddl, inserts)


def _kept(plan: RouterPlan) -> str:
    """Return the condition of a good event that passes the filter. Never empty: a missing operator changes ids."""
    decoded = f"{sql.identifier(tables.ERROR)} IS NULL"
    if plan.filter is None:
        return decoded
    # no partition is below zero, which the planner does not know: else it could find that a filter is never true, leave
    # the sink out of the job, and a savepoint with the sink in it would not restore
    never = f"{sql.identifier(tables.PARTITION)} < 0"
    return f"{decoded}\n  AND ({plan.filter.flink} OR {never})"


def _value(item: OutputColumn) -> str:
    """Return the expression of a selected column."""
    if item.expression is None:
        return sql.identifier(*item.path)
    return f"CAST({item.expression.flink} AS {sql.type_of(item.type)})"


def _search_statements(plan: RouterPlan, target: SearchTarget) -> tuple[str, tuple[str, ...]]:
    """Return the view that indexes, and the inserts that read it."""
    values = {item.name: documents.value(_value(item), item.type) for item in plan.columns}
    values |= {column.name: column.expression for column in _metadata_columns()}
    values["_time"] = documents.timestamp(values["_time"])
    return refused_view(target, _kept(plan), values), _dead_letter_inserts(plan, tables.REFUSED)


def _search(connection: Connection) -> SearchConnection:
    if connection.search is None:
        message = "the settings name no search cluster"
        raise Terminal(message, mend="Start one with `keystone up --with search`, or add `search` to the settings.")
    return SearchConnection(**connection.search.model_dump())


def _warehouse_columns(plan: RouterPlan) -> list[_Column]:
    raw = [_Column(RAW_COLUMN, BYTES, sql.identifier(tables.RAW))] if plan.source.raw else []
    return [*raw, *_selected(plan), *_metadata_columns()]


def _metadata_columns() -> list[_Column]:
    metadata = {
        "_guid": sql.identifier(tables.GUID),
        "_time": f"CAST({sql.identifier(tables.TIME)} AS TIMESTAMP_LTZ(6))",
        "_host": sql.identifier(tables.HOST),
        "_app": sql.identifier(tables.APP),
        "_topic": sql.identifier(tables.TOPIC),
        "_partition": sql.identifier(tables.PARTITION),
        "_offset": sql.identifier(tables.OFFSET),
    }
    return [_Column(name, METADATA_TYPES[name], metadata[name]) for name in METADATA_COLUMNS]


def _selected(plan: RouterPlan) -> list[_Column]:
    return [_Column(item.name, sql.type_of(item.type), _value(item)) for item in plan.columns]


def _topic_columns(plan: RouterPlan, target: KafkaTarget) -> list[_Column]:
    """Return key, payload, headers and time of what goes on: the payload's bytes where nothing is selected."""
    key, raw, *rest = _record_columns()
    if target.key == "none":
        key = replace(key, expression=f"CAST(NULL AS {BYTES})")
    elif target.key_path:
        key = replace(key, expression=f"ENCODE(CAST({sql.identifier(*target.key_path)} AS STRING), 'UTF-8')")
    return [key, *(_selected(plan) or [raw]), *rest]


def _record_columns() -> list[_Column]:
    """Return all of a record as it came, key and payload first."""
    kept = {
        tables.KEY: BYTES,
        tables.RAW: BYTES,
        tables.HEADERS: "MAP<STRING, BYTES>",
        tables.TIME: "TIMESTAMP_LTZ(3)",
    }
    return [_Column(name, kind, sql.identifier(name)) for name, kind in kept.items()]


def _dead_letter_tables(plan: RouterPlan, connection: Connection) -> tuple[str, ...]:
    primary, standby = tables.dead_letter_table(plan, connection), plan.source.standby
    return (primary, tables.standby_dead_letter_table(plan, standby, connection)) if standby else (primary,)


def _dead_letter_inserts(plan: RouterPlan, dead: str = tables.SOURCE) -> tuple[str, ...]:
    """Return the inserts of the rows of `dead` that have an error, one a cluster, the primary's first: ids count."""
    died = f"{sql.identifier(tables.ERROR)} IS NOT NULL"
    if not plan.source.standby:
        return (_dead_letter_insert(plan, dead, tables.DEAD_LETTERS, died),)
    topics = ", ".join(sql.text(topic) for topic in plan.source.standby_topics)
    topic = sql.identifier(tables.TOPIC)
    return (
        _dead_letter_insert(plan, dead, tables.DEAD_LETTERS, f"{died} AND {topic} NOT IN ({topics})"),
        _dead_letter_insert(plan, dead, tables.STANDBY_DEAD_LETTERS, f"{died} AND {topic} IN ({topics})"),
    )


def _dead_letter_insert(plan: RouterPlan, dead: str, into: str, condition: str) -> str:
    """Return the insert of the rows of `dead` that the condition holds for."""
    error = sql.identifier(tables.ERROR)  # `code: text`
    added = {
        envelope.DLQ_CODE: f"SPLIT_INDEX({error}, ':', 0)",
        envelope.DLQ_TEXT: f"SUBSTRING({error}, POSITION(': ' IN {error}) + 2)",
        envelope.DLQ_TIME: f"DATE_FORMAT(CURRENT_ROW_TIMESTAMP(), {sql.text(_RFC_3339)})",
        envelope.DLQ_ROUTE: sql.text(plan.route),
        envelope.DLQ_DIGEST: sql.text(plan.digest),
        envelope.DLQ_TOPIC: sql.identifier(tables.TOPIC),
        envelope.DLQ_PARTITION: f"CAST({sql.identifier(tables.PARTITION)} AS STRING)",
        envelope.DLQ_OFFSET: f"CAST({sql.identifier(tables.OFFSET)} AS STRING)",
    }
    pairs = ",\n    ".join(f"{sql.text(name)}, ENCODE({value}, 'UTF-8')" for name, value in added.items())
    headers = f"MAP_UNION({sql.identifier(tables.HEADERS)}, MAP[\n    {pairs}])"
    columns = [
        _Column(column.name, column.type, headers if column.name == tables.HEADERS else column.expression)
        for column in _record_columns()
    ]
    return _insert(sql.identifier(into), columns, condition, dead)


def _insert(table: str, columns: list[_Column], condition: str, source: str = tables.SOURCE) -> str:
    names = ", ".join(sql.identifier(column.name) for column in columns)
    values = ",\n  ".join(column.expression for column in columns)
    return f"INSERT INTO {table}\n  ({names})\nSELECT\n  {values}\nFROM {sql.identifier(source)}\nWHERE {condition}"
