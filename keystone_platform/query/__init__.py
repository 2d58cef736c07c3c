"""Analysts' way to the landed tables: DuckDB in this process."""
