"""The language of `filter`: text, typed tree, SQL of both engines."""

from keystone_platform.spec.filters.parse import parse_expression, parse_filter
from keystone_platform.spec.filters.render import duckdb_sql, flink_sql
from keystone_platform.spec.filters.tree import Expr, field_paths

__all__ = ["Expr", "duckdb_sql", "field_paths", "flink_sql", "parse_expression", "parse_filter"]
