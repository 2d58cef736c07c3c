"""The schema of FlinkDeployment, from the operator's own artifact, and what an API server makes of it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from keystone_platform.gateways.flink_home import jars_folder, jars_of

CRD_VARIABLE = "KEYSTONE_TEST_CRD"
"""Names the CRD file of another operator release, to hold the manifests to that one."""

_IN_JAR = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"


@cache
def crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition as the operator publishes it."""
    named = os.environ.get(CRD_VARIABLE)
    if named:
        return _yaml(Path(named).read_text())
    (jar,) = jars_of(jars_folder(os.environ) / "kubernetes-operator")
    with zipfile.ZipFile(jar) as opened:
        return _yaml(opened.read(_IN_JAR).decode())


@cache
def schema() -> dict[str, Any]:
    """Return the schema of the version that is stored."""
    (version,) = (each for each in crd()["spec"]["versions"] if each["storage"])
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def newest_flink_version() -> str:
    """Return the newest Flink that this release of the operator has a word for."""
    versions: list[str] = schema()["properties"]["spec"]["properties"]["flinkVersion"]["enum"]
    return versions[-1]


def violations(body: dict[str, Any]) -> list[str]:
    """Return what the schema forbids, each as `path: why`."""
    errors = jsonschema.Draft202012Validator(schema()).iter_errors(body)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def unknown_fields(value: Any, known: dict[str, Any] | None = None, path: str = "") -> Iterator[str]:
    """Yield the paths of fields that the schema does not know: a lenient server would drop them without a word."""
    known = schema() if known is None else known
    if known.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_fields(item, known.get("items", {}), f"{path}[{index}]")
        return
    if not isinstance(value, dict) or "additionalProperties" in known:
        return
    fields = known.get("properties", {})
    for name, inner in value.items():
        place = f"{path}.{name}" if path else name
        if path == "" and name in ("apiVersion", "kind", "metadata"):
            continue
        if name not in fields:
            yield place
        else:
            yield from unknown_fields(inner, fields[name], place)


def _yaml(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return loaded
