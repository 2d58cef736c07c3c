"""JSON Schema of a stream file, for editors.

`python -m keystone_platform.spec.json_schema > streams/stream.schema.json` writes it. It is made from the same models
that the loader checks with, plus the short forms that YAML allows.
"""

from __future__ import annotations

import json
from typing import Any

from keystone_platform.spec.models import StreamSpec
from keystone_platform.spec.names import FieldName, FieldPath
from keystone_platform.spec.types import Array, Scalar
from keystone_platform.spec.wording import FORMS, MODELS

Schema = dict[str, Any]


def stream_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a stream file."""
    made = StreamSpec.model_json_schema(by_alias=True, mode="validation")
    definitions = made.pop("$defs")
    for unused in ("Field", "Struct", "Scalar", "Array", "OnTypeError", "SelectItem"):
        definitions.pop(unused, None)
    definitions |= {"fields": _fields(), "selectItem": _select_item()}
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Keystone stream",
        **_plain(made),
        "$defs": {name: _plain(definition) for name, definition in definitions.items()},
    }
    schema["properties"]["schema"] = {"$ref": "#/$defs/fields"}
    schema["properties"]["on_type_error"] = {**_ON_TYPE_ERROR, "default": "dead_letter"}
    schema["properties"]["since"].pop("format")  # a date alone and a time without zone are taken as well
    schema["$defs"]["ProducerSpec"]["properties"]["acks"] = {"enum": ["all", "1", 1], "default": "all"}
    items = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/selectItem"}}
    schema["$defs"]["RouteSpec"]["properties"]["select"] = items
    schema["$defs"]["SinkSpec"] |= {"minProperties": 1, "maxProperties": 1}
    schema["$defs"].pop("RenamedColumn")
    schema["$defs"]["WarehouseSink"]["properties"]["renamed"] = _renamed()
    _describe(schema)
    return schema


def schema_text() -> str:
    """Return the schema as the bytes that are checked in."""
    return json.dumps(stream_schema(), indent=2, ensure_ascii=False) + "\n"


_ON_TYPE_ERROR: Schema = {"enum": ["dead_letter", "null", None]}


def _fields() -> Schema:
    """Return the form of a mapping of names to types, nested."""
    types = [form for scalar in Scalar for form in (str(scalar), str(Array(scalar)))]
    type_ = {"anyOf": [{"enum": types}, {"$ref": "#/$defs/fields"}]}
    typed: Schema = {"type": "object", "properties": {"type": type_, "on_type_error": _ON_TYPE_ERROR}}
    typed |= {"required": ["type", "on_type_error"], "additionalProperties": False}
    either = {"anyOf": [*type_["anyOf"], typed]}
    pattern = _pattern(FieldName)
    return {"type": "object", "minProperties": 1, "patternProperties": {pattern: either}, "additionalProperties": False}


def _renamed() -> Schema:
    """Return the form of a mapping of new column names to old ones."""
    name = {"type": "string", "pattern": _pattern(FieldName)}
    return {"type": "object", "patternProperties": {_pattern(FieldName): name}, "additionalProperties": False}


def _select_item() -> Schema:
    """Return the forms `user_id`, `{device_type: device.type}`, `{tv: "type = 'tv'"}`, and the long ones."""
    path = {"type": "string", "pattern": _pattern(FieldPath)}
    name = {"type": "string", "pattern": _pattern(FieldName)}
    short: Schema = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    short["patternProperties"] = {_pattern(FieldName): {"type": ["string", "number", "boolean"]}}
    return {"anyOf": [path, short, _long(name, path=path), _long(name, expression={"type": "string"})]}


def _long(name: Schema, **value: Schema) -> Schema:
    required = ["name", *value]
    return {
        "type": "object",
        "properties": {"name": name, **value},
        "required": required,
        "additionalProperties": False,
    }


def _pattern(text_type: Any) -> str:  # noqa: ANN401 - an Annotated type, which has no type of its own
    return str(text_type.__metadata__[0].pattern)


def _plain(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Take out what pydantic adds for programs: titles, and null beside the type, which YAML leaves out instead."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {key: value for key, value in schema.items() if key != "title" or not isinstance(value, str)}
    choices = [each for each in rest.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        rest.pop("anyOf")
        rest |= choices[0]
    if rest.get("default", "") is None:
        rest.pop("default")
    return {key: _plain(value) for key, value in rest.items()}


def _describe(schema: Schema) -> None:
    """Put the wording of the loader's errors at each property, so an editor says the same beforehand."""
    for keys, form in FORMS.items():
        model = MODELS[keys[:-1]]
        owner = schema if model is StreamSpec else schema["$defs"].get(model.__name__)
        if owner is not None and keys[-1] in owner["properties"]:
            owner["properties"][keys[-1]]["description"] = _sentence(form)


def _sentence(form: str) -> str:
    return f"{form[0].upper()}{form[1:]}."


if __name__ == "__main__":
    print(schema_text(), end="")
