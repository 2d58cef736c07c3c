"""Backfill: a part of a route is run again, and its rows replace those that are there. Runs without Dagster."""
