"""Values as DuckDB gives them, for JSON, CSV and people."""

from __future__ import annotations

import base64
import json
import math
from datetime import date, datetime, time
from decimal import Decimal


def finite(value: object) -> object:
    """Return the value with null where a number is none that JSON has."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [finite(inner) for inner in value]
        case _:
            return value


def cell(value: object) -> object:
    """Return what a cell of a table or of CSV shows: nested values as JSON."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=plain, ensure_ascii=False)
    return plain(value) if isinstance(value, (datetime, bytes)) else value


def plain(value: object) -> object:
    """Return what JSON can hold instead of a value that it can't: times in ISO 8601, bytes as text or else base64."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return str(value)
