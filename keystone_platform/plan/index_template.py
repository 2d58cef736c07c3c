"""The index template of a search route: declared types become mappings, whatever the first document holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keystone_platform.plan.router_plan import RouterPlan, SearchTarget
from keystone_platform.spec.sinks import DATE_PLACEHOLDER
from keystone_platform.spec.types import Array, Field, FieldType, Scalar, Struct

PRIORITY = 100
"""Plus the pattern's length, so that of two routes' templates the narrower one counts. A template of one's own wins, as
a whole, with a higher priority: 400 is above all of ours."""

LONGEST_KEYWORD = 8191
"""Characters: a longer string is kept but not found by. Lucene refuses terms of more than 32,766 bytes."""

_KEYWORD = {"type": "keyword", "ignore_above": LONGEST_KEYWORD}

_TIME = {"type": "date", "format": "strict_date_optional_time||yyyy-MM-dd HH:mm:ss.SSSSSS"}
"""The second form is that of times in lists."""

_SCALARS: dict[Scalar, dict[str, Any]] = {
    Scalar.STRING: _KEYWORD,
    Scalar.BOOLEAN: {"type": "boolean"},
    Scalar.INT: {"type": "integer"},
    Scalar.BIGINT: {"type": "long"},
    Scalar.FLOAT: {"type": "float"},
    Scalar.DOUBLE: {"type": "double"},
    Scalar.DATE: {"type": "date", "format": "strict_date"},
    Scalar.TIMESTAMP: _TIME,
}

_METADATA: dict[str, dict[str, Any]] = {
    "_guid": _KEYWORD,
    "_time": _TIME,
    "_host": _KEYWORD,
    "_app": _KEYWORD,
    "_topic": _KEYWORD,
    "_partition": {"type": "integer"},
    "_offset": {"type": "long"},
}
"""Mappings of METADATA_COLUMNS."""


def template_name(route: str) -> str:
    """Return the name of the route's template; all of ours begin alike, and no other is touched."""
    return f"keystone-{route}"


def index_pattern(target: SearchTarget) -> str:
    """Return the wildcard pattern of the target's indexes."""
    return target.index.replace(DATE_PLACEHOLDER, "*")


def index_template(plan: RouterPlan) -> dict[str, Any]:
    """Return the composable index template (the body of PUT _index_template) of a plan into a search index."""
    assert isinstance(plan.target, SearchTarget)
    pattern = index_pattern(plan.target)
    mappings = {
        "date_detection": False,
        # a column that is added shows up in today's index too, which no template reaches any more
        "dynamic_templates": [{"strings": {"match_mapping_type": "string", "mapping": _KEYWORD}}],
        "properties": {**_properties(Field(column.name, column.type) for column in plan.columns), **_METADATA},
    }
    return {
        "index_patterns": [pattern],
        "priority": PRIORITY + len(pattern),
        "template": {"mappings": mappings},
        "_meta": {"owner": "keystone", "route": plan.route},
    }


def _properties(fields: Iterable[Field]) -> dict[str, Any]:
    return {field.name: _mapping(field.type) for field in fields}


def _mapping(kind: FieldType) -> dict[str, Any]:
    match kind:
        case Struct(fields=fields):
            return {"type": "object", "properties": _properties(fields)}
        case Array(element=element):
            return _SCALARS[element]
        case _:
            return _SCALARS[kind]
