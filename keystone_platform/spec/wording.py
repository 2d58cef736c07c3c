"""Turns pydantic's errors about a stream file into sentences for the team that wrote it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

from keystone_platform.spec.base import Spec
from keystone_platform.spec.models import (
    AutoscaleSpec,
    DeadLetterLimit,
    HealthSpec,
    RouteSpec,
    SelectItem,
    StreamClustersSpec,
    StreamSpec,
)
from keystone_platform.spec.producer import ProducerSpec
from keystone_platform.spec.sinks import KafkaSink, RenamedColumn, SearchSink, SinkSpec, WarehouseSink

Keys = tuple[str, ...]
"""Place in a stream file without list positions: `("routes", "sink")`."""

MODELS: dict[Keys, type[Spec]] = {
    (): StreamSpec,
    ("producer",): ProducerSpec,
    ("clusters",): StreamClustersSpec,
    ("routes",): RouteSpec,
    ("routes", "sink"): SinkSpec,
    ("routes", "sink", "warehouse"): WarehouseSink,
    ("routes", "sink", "warehouse", "renamed"): RenamedColumn,
    ("routes", "sink", "kafka"): KafkaSink,
    ("routes", "sink", "search"): SearchSink,
    ("routes", "select"): SelectItem,
    ("routes", "dead_letters"): DeadLetterLimit,
    ("routes", "health"): HealthSpec,
    ("routes", "autoscale"): AutoscaleSpec,
}

_SNAKE = "a lower-case letter first, then lower-case letters, digits and underscores, at most 63"
_FIELD = (
    "a letter first, then letters, digits and underscores; a leading underscore is reserved for Keystone's own columns"
)
_TOPIC = "letters, digits, dots, dashes and underscores, at most 245, no dot at the end"
_CLUSTER = "the name of a cluster in clusters.yaml: lower-case letters, digits and dashes, at most 31"

FORMS: dict[Keys, str] = {
    ("stream",): _SNAKE,
    ("owner",): "`team:NAME` or an e-mail address",
    ("description",): "text",
    ("topic",): _TOPIC,
    ("partitions",): "a whole number from 1 to 10000",
    ("since",): "a full hour such as 2026-01-01T00:00:00Z",
    ("fresh_within_s",): "a whole number of seconds from 60 to 2592000",
    ("schema",): "a mapping of field names to types",
    ("on_type_error",): "`dead_letter` or `null`",
    ("producer",): "`acks` and, if wanted, `max_block_s`",
    ("producer", "acks"): "`all` (every in-sync replica) or `1` (the partition's leader alone)",
    ("producer", "max_block_s"): "a number of seconds from 0 to 60, with `acks: all`",
    ("format",): "`json`, `avro` or `protobuf`; the latter two in the wire format of Confluent's schema registry",
    ("compatibility",): "`backward`, `forward`, `full` or `none`: what a change of `schema` has to keep readable",
    ("clusters",): "`primary` or `standby` or both, names of clusters.yaml",
    ("clusters", "primary"): _CLUSTER,
    ("clusters", "standby"): f"{_CLUSTER}; or `none`",
    ("routes",): "a list with at least one route, each with a `sink`",
    ("routes", "name"): _SNAKE,
    ("routes", "filter"): "text, such as \"duration_ms > 1000 and country in ('US', 'BR')\"; put it in double quotes",
    ("routes", "select"): "a list with at least one field, such as [user_id, {device_type: device.type}]",
    ("routes", "select", "name"): _FIELD,
    ("routes", "select", "expression"): 'text in the language of `filter`, such as "lower(country)"',
    ("routes", "select", "path"): "a field of the schema, dotted when nested, such as `device.type`",
    ("routes", "parallelism"): "a whole number from 1 to 1024",
    ("routes", "autoscale"): "`max` and, if wanted, `min`, `mode`, `max_lag_s`, `catch_up_s`, with `min` <= `max`",
    ("routes", "autoscale", "min"): "a whole number from 1 to 1024",
    ("routes", "autoscale", "max"): "a whole number from 1 to 1024, no more than the topic has partitions",
    ("routes", "autoscale", "mode"): "`act` or `observe`",
    ("routes", "autoscale", "max_lag_s"): "a whole number of seconds from 10 to 86400",
    ("routes", "autoscale", "catch_up_s"): "a whole number of seconds from 60 to 86400",
    ("routes", "checkpoint_interval_s"): "a whole number of seconds from 1 to 3600",
    ("routes", "state"): "`running` or `suspended`",
    ("routes", "dead_letters"): "`max_ratio` and, if wanted, `on_exceed`",
    ("routes", "dead_letters", "max_ratio"): "a share of the events from 0 to 1, such as 0.01",
    ("routes", "dead_letters", "on_exceed"): "`warn` or `pause`",
    ("routes", "health"): "`max_lag_s`",
    ("routes", "health", "max_lag_s"): "a whole number of seconds from 10 to 604800",
    ("routes", "sink"): "one of `warehouse: {table: …}`, `kafka: {topic: …}`, `search: {index: …}`",
    ("routes", "sink", "warehouse"): (
        "`table: namespace.name`, and if wanted `sort_by`, `keep_days`, `renamed`, `dropped`, `raw`"
    ),
    ("routes", "sink", "warehouse", "table"): "`namespace.name`, lower-case letters, digits and underscores",
    ("routes", "sink", "warehouse", "sort_by"): "a list of at most four columns of the table, such as [country, _time]",
    ("routes", "sink", "warehouse", "keep_days"): "a whole number of days from 1 to 36500",
    (
        "routes",
        "sink",
        "warehouse",
        "renamed",
    ): "a mapping of new column names to old ones, such as {kind: type}",
    ("routes", "sink", "warehouse", "renamed", "name"): "a column that the route lands",
    ("routes", "sink", "warehouse", "renamed", "was"): "the name that the column had before",
    ("routes", "sink", "warehouse", "dropped"): "a list of columns that are no longer selected, such as [old_column]",
    ("routes", "sink", "warehouse", "raw"): "`true` or `false`",
    ("routes", "sink", "kafka"): "`topic: NAME`, and if wanted `key`, `delivery`, `transaction_timeout_s`",
    ("routes", "sink", "kafka", "topic"): _TOPIC,
    ("routes", "sink", "kafka", "key"): "`keep`, `none`, or a field of the schema, such as `user_id` or `device.id`",
    ("routes", "sink", "kafka", "delivery"): "`at_least_once` or `exactly_once`",
    (
        "routes",
        "sink",
        "kafka",
        "transaction_timeout_s",
    ): "a whole number of seconds up to 604800, with `delivery: exactly_once`",
    ("routes", "sink", "search"): "`index: NAME`",
    (
        "routes",
        "sink",
        "search",
        "index",
    ): "lower-case letters, digits, dots, dashes and underscores, no sign first, at most 200; `{date}` for the day",
}
"""What a value must be, by its place: the mend of every error there."""


def keys_of(place: tuple[str | int, ...]) -> Keys:
    """Return the place without list positions."""
    return tuple(part for part in place if isinstance(part, str))


def sentence(detail: ErrorDetails) -> tuple[str, str]:
    """Return what is wrong and how to mend it, for one of pydantic's errors."""
    kind, keys = detail["type"], keys_of(detail["loc"])
    if kind == "extra_forbidden":
        return unknown_key(keys)
    if kind == "missing":
        what = "the key is missing"
    elif kind in ("too_short", "string_too_short"):
        what = "empty"
    elif kind in ("greater_than_equal", "less_than_equal", "string_pattern_mismatch"):
        what = f"{detail['input']!r} is not allowed"
    elif kind == "value_error":
        what = f"{described(detail['input'])} is not allowed: {detail['ctx']['error']}"
    else:
        what = f"{described(detail['input'])} is not what belongs here"
    return what, _must_be(keys)


def unknown_key(keys: Keys) -> tuple[str, str]:
    """Return what is wrong and the mend for a key that nothing knows."""
    model = MODELS.get(keys[:-1])
    allowed = [field.alias or name for name, field in model.model_fields.items()] if model else []
    close = get_close_matches(keys[-1].lower(), allowed, n=1, cutoff=0.6)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"unknown key {keys[-1]!r}", f"{hint}Allowed: {', '.join(allowed)}."


def described(value: Any) -> str:  # noqa: ANN401 - raw YAML
    """Say what a YAML value is in a few words."""
    if value is None:
        return "an empty value"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    shown = text if len(text) <= 60 else f"{text[:57]}…"
    return f"the text {shown}" if isinstance(value, str) else f"the number {shown}"


def _must_be(keys: Keys) -> str:
    form = FORMS.get(keys)
    if form is None and keys in MODELS:
        form = f"a mapping with the keys {', '.join(MODELS[keys].model_fields)}"
    return f"It must be {form}." if form else "See docs/streams.md."
