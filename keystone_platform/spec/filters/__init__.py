"""The language of `filter` and of computed columns: text, typed tree, SQL of both engines."""

from keystone_platform.spec.filters.parse import parse_expression, parse_filter
from keystone_platform.spec.filters.sql_duckdb import duckdb_sql
from keystone_platform.spec.filters.sql_flink import flink_sql
from keystone_platform.spec.filters.tree import Expr, field_paths

__all__ = ["Expr", "duckdb_sql", "field_paths", "flink_sql", "parse_expression", "parse_filter"]
