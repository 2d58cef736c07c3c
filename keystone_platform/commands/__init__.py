"""The commands of `keystone`, one module a group; heavy imports (pyflink, duckdb, dagster) stay inside functions."""
