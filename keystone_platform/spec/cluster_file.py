"""Reads the file of clusters. Everything that is wrong is told at once, each with file, line, field and mend."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from keystone_platform.errors import InvalidSpec, InvalidSpecs
from keystone_platform.secret import REFERENCE
from keystone_platform.spec.clusters import Cluster, Clusters, is_cluster_name, is_secret
from keystone_platform.spec.wording import described
from keystone_platform.spec.yaml_tree import NodePath, YamlTree, dotted, read_yaml

_FORM = "See docs/failover.md for the form of the file."
_SERVERS = re.compile(r"[^\s,:]+:[0-9]{1,5}(,[^\s,:]+:[0-9]{1,5})*|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")

_Breach = tuple[NodePath, str, str]
"""Place, what is wrong, and the mend."""


def load_clusters(file: Path | None, kafka: Mapping[str, str] | None = None) -> Clusters:
    """Read the clusters; without a file there is one, `primary`, with the settings' properties `kafka`.

    Raises:
        InvalidSpecs: anything is wrong in the file, or it is not there.
    """
    clusters, errors = read_clusters(file, kafka)
    if clusters is None:
        raise InvalidSpecs(errors)
    return clusters


def read_clusters(
    file: Path | None, kafka: Mapping[str, str] | None = None
) -> tuple[Clusters | None, tuple[InvalidSpec, ...]]:
    """Read the clusters like `load_clusters`; returns them, or None and what is wrong. Never raises for the content."""
    if file is None:
        return Clusters.alone(kafka), ()
    try:
        tree = read_yaml(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        return None, (InvalidSpec("no UTF-8 text", mend="Save the file as UTF-8.", file=str(file)),)
    except OSError as error:
        what = f"the file of clusters can't be read: {error.strerror}"
        return None, (InvalidSpec(what, mend="Mend KEYSTONE_CLUSTERS, or the file's permissions.", file=str(file)),)
    errors = [
        InvalidSpec(each.what, mend=each.mend, file=str(file), line=each.line, field=dotted(each.path))
        for each in tree.problems
    ]
    errors += [_error(file, tree, breach) for breach in ([] if errors else _breaches(tree.value))]
    if errors:
        return None, tuple(sorted(errors, key=lambda error: error.line))
    return _clusters(file, tree.value), ()


def _error(file: Path, tree: YamlTree, breach: _Breach) -> InvalidSpec:
    place, what, mend = breach
    return InvalidSpec(what, mend=mend, file=str(file), line=tree.line(place), field=dotted(tree.nearest(place)))


def _clusters(file: Path, value: dict[str, Any]) -> Clusters:
    declared = {
        name: Cluster(
            name, each["bootstrap_servers"], {key: _text(said) for key, said in (each.get("properties") or {}).items()}
        )
        for name, each in value["clusters"].items()
    }
    return Clusters(declared, value["streams"]["primary"], value["streams"].get("standby"), file)


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _breaches(value: Any) -> Iterator[_Breach]:  # noqa: ANN401 - raw YAML
    yield from _keys(value, (), {"clusters": True, "streams": True})
    declared = value.get("clusters") if isinstance(value, dict) else None
    if not isinstance(declared, dict) or not declared:
        if isinstance(value, dict) and "clusters" in value:
            yield ("clusters",), "no cluster is declared", _FORM
        return
    for name, each in declared.items():
        yield from _cluster(name, each)
    yield from _defaults(value.get("streams"), declared)


def _keys(value: Any, place: NodePath, known: Mapping[str, bool]) -> Iterator[_Breach]:  # noqa: ANN401 - raw YAML
    """Yield what is wrong with a mapping's keys; of `known` those must be there whose value is true."""
    if not isinstance(value, dict):
        yield place, f"{described(value)} where a mapping is expected", _FORM
        return
    for key in value:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            yield (*place, key), f"unknown key {key!r}", f"{hint}Allowed: {', '.join(known)}."
    for key, is_needed in known.items():
        if is_needed and value.get(key) is None:
            yield (*place, key), f"the key {key!r} is missing", _FORM


def _cluster(name: str, value: Any) -> Iterator[_Breach]:  # noqa: ANN401 - raw YAML
    place: NodePath = ("clusters", name)
    if not is_cluster_name(name):
        mend = "A lower-case letter first, then lower-case letters, digits and dashes, at most 31; not `none`."
        yield place, f"{name!r} can't be a cluster's name", mend
    yield from _keys(value, place, {"bootstrap_servers": True, "properties": False})
    if not isinstance(value, dict):
        return
    servers = value.get("bootstrap_servers")
    if servers is not None and not (isinstance(servers, str) and _SERVERS.fullmatch(servers)):
        yield (
            (*place, "bootstrap_servers"),
            f"{described(servers)} is no list of servers",
            "Write `host:port,host:port`.",
        )
    properties = value.get("properties")
    if properties is None:
        return
    if not isinstance(properties, dict):
        yield (*place, "properties"), f"{described(properties)} where a mapping is expected", _FORM
        return
    for key, said in properties.items():
        yield from _property((*place, "properties", key), key, said)


def _property(place: NodePath, key: str, value: Any) -> Iterator[_Breach]:  # noqa: ANN401 - raw YAML
    if key == "bootstrap.servers":
        yield place, "the servers are named twice", "Write them as `bootstrap_servers` alone."
    elif isinstance(value, dict | list) or value is None:
        yield place, f"{described(value)} is no value of a client's property", "Write text, a number or a boolean."
    elif is_secret(key) and not (isinstance(value, str) and re.match(REFERENCE, value)):
        yield place, "a secret stands in the file", "Write where it is found: `env:NAME` or `file:/PATH`."


def _defaults(value: Any, declared: Mapping[str, Any]) -> Iterator[_Breach]:  # noqa: ANN401 - raw YAML
    if value is None:
        return
    yield from _keys(value, ("streams",), {"primary": True, "standby": False})
    if not isinstance(value, dict):
        return
    for key in ("primary", "standby"):
        name = value.get(key)
        if name is not None and name not in declared:
            yield ("streams", key), f"no cluster {name!r} is declared", f"Declared are: {', '.join(declared)}."
    if value.get("primary") is not None and value.get("primary") == value.get("standby"):
        yield ("streams", "standby"), "primary and standby are the same cluster", "Name another, or leave it out."
