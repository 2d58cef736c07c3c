"""Reads the folder of stream files. Everything that is wrong is told at once, each with file, line, field and mend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec import rules, wording
from keystone_platform.spec.candidate import Candidate
from keystone_platform.spec.cluster_file import read_clusters
from keystone_platform.spec.cluster_rules import on_clusters
from keystone_platform.spec.clusters import Clusters, clusters_file
from keystone_platform.spec.fleet import Fleet, LoadedRoute, LoadedStream
from keystone_platform.spec.models import StreamSpec
from keystone_platform.spec.schema import schema_problems
from keystone_platform.spec.yaml_tree import NodePath, YamlProblem, YamlTree, dotted, read_yaml

__all__ = ["Fleet", "LoadedRoute", "LoadedStream", "load_streams", "load_streams_leniently"]

SUFFIXES = (".yaml", ".yml")

MAX_BYTES = 1_000_000
"""Size of a stream file; a larger one is no stream file."""


def load_streams(folder: Path) -> Fleet:
    """Read the stream files directly in `folder`, and the file of their clusters; hidden files are left out.

    Raises:
        InvalidSpecs: anything is wrong in any of them, all errors at once; or there is no such folder.
    """
    return load_streams_leniently(folder).checked()


def load_streams_leniently(folder: Path, clusters: Clusters | None = None) -> Fleet:
    """Read the stream files like `load_streams`, but keep the valid streams and put errors into `Fleet.errors`.

    For what must go on while somebody else's file is wrong. Never raises for what the files hold. Without `clusters`
    they are read from the file beside the folder, or the one that the environment names; while that is wrong, no stream
    is valid: nobody can tell where it lives.
    """
    if not folder.is_dir():
        mend = "Create it with a stream file in it, or name another folder: --streams DIR or KEYSTONE_STREAMS."
        return Fleet((), (InvalidSpec("no such folder", mend=mend, file=str(_shown(folder))),))
    wrong: tuple[InvalidSpec, ...] = ()
    if clusters is None:
        clusters, wrong = read_clusters(clusters_file(folder))
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    sources = [_read(file) for file in files if not file.name.startswith(".")]
    candidates = [Candidate(source.spec, source.file, source.tree) for source in sources if source.spec]
    found = [*rules.check(candidates), *(on_clusters(candidates, clusters) if clusters else ())]
    broken = {error.file for error in found}
    streams = tuple(
        _loaded(source.spec, source, clusters.names(source.spec))
        for source in sources
        if clusters and source.spec and str(source.file) not in broken
    )
    errors = [*wrong, *found, *(error for source in sources for error in source.errors)]
    ordered = tuple(sorted(errors, key=lambda error: (error.file, error.line)))
    return Fleet(streams, ordered, clusters or Clusters.alone())


@dataclass(frozen=True)
class _Source:
    """One file: its spec if it is valid by itself, else what is wrong."""

    file: Path
    tree: YamlTree
    spec: StreamSpec | None
    errors: tuple[InvalidSpec, ...] = ()


@dataclass(frozen=True)
class _Problem:
    """Something wrong at a place; `absent` if the last key of the place is what is missing."""

    place: NodePath
    what: str
    mend: str
    absent: bool = False


def _read(file: Path) -> _Source:
    shown = _shown(file)
    try:
        content = file.read_bytes()
        if len(content) > MAX_BYTES:
            return _unreadable(shown, "larger than 1 MB", "A stream file has some kilobytes.")
        return _validate(shown, read_yaml(content.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return _unreadable(shown, "no UTF-8 text", "Save the file as UTF-8.", line)
    except OSError as error:
        return _unreadable(shown, f"can't be read: {error.strerror}", "Check the file's permissions.")


def _unreadable(file: Path, what: str, mend: str, line: int = 0) -> _Source:
    return _Source(file, YamlTree(None, {}, ()), None, (InvalidSpec(what, mend=mend, file=str(file), line=line),))


def _validate(file: Path, tree: YamlTree) -> _Source:
    if not isinstance(tree.value, dict) and not tree.problems:
        what = f"{wording.described(tree.value)} where a stream is expected"
        tree = replace(tree, problems=(YamlProblem(tree.line(()), (), what, "Begin with `stream: NAME`."),))
    errors = [
        InvalidSpec(problem.what, mend=problem.mend, file=str(file), line=problem.line, field=dotted(problem.path))
        for problem in tree.problems
    ]
    said = {problem.path for problem in tree.problems}
    for problem in _problems(tree.value) if isinstance(tree.value, dict) else ():
        if problem.place in said:
            continue
        field = dotted(problem.place if problem.absent else tree.nearest(problem.place))
        line = tree.line(problem.place)
        errors.append(InvalidSpec(problem.what, mend=problem.mend, file=str(file), line=line, field=field))
    spec = None if errors else StreamSpec.model_validate(tree.value)
    return _Source(file, tree, spec, tuple(errors))


def _problems(value: dict[str, Any]) -> Iterator[_Problem]:
    """Yield everything that is wrong in one file by itself."""
    if "fields" in value:  # the model's own name of `schema`, which pydantic would take
        yield _Problem(("fields",), *wording.unknown_key(("fields",)))
    if value.get("schema") is not None:
        for problem in schema_problems(value["schema"]):
            yield _Problem(("schema", *problem.path), problem.what, problem.mend)
    try:
        StreamSpec.model_validate({key: inner for key, inner in value.items() if key not in ("schema", "fields")})
    except ValidationError as error:
        details = error.errors(include_url=False)
        for detail in details:
            place = detail["loc"]
            if detail["type"] == "too_short" and any(d["loc"] != place == d["loc"][: len(place)] for d in details):
                continue  # pydantic drops wrong items before it counts them: the items' own errors say it
            yield _Problem(place, *wording.sentence(detail), absent=detail["type"] == "missing")


def _loaded(spec: StreamSpec, source: _Source, clusters: tuple[str, str | None]) -> LoadedStream:
    lines = {dotted(path): line for path, line in source.tree.lines.items() if path and path[0] != "routes"}
    routes = tuple(
        LoadedRoute(spec, route, source.file, source.tree.line(("routes", index)), lines, clusters)
        for index, route in enumerate(spec.routes)
    )
    return LoadedStream(spec, source.file, source.tree.line(("stream",)), routes, lines)


def _shown(path: Path) -> Path:
    """Return the path as a person would type it here: relative to the working directory if it is below it."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
