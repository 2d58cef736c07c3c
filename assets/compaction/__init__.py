"""Compaction: an hour's many small files become few large sorted ones. Runs without Dagster."""
