"""YAML text as values that remember their line, so that an error can name the place.

YAML 1.2 in what it takes for a number, a boolean or nothing: a key `on` or a country `NO` stays text, which the 1.1
rules of PyYAML would turn into booleans. Keys are always text. Nothing is ever constructed from a tag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

import yaml

NodePath = tuple[str | int, ...]
"""Keys and list positions from the top of a document."""

MAX_NODES = 20_000
"""Nodes of one document, aliases written out; a stream file has some tens. Stops aliases of aliases."""

_TAG = "tag:yaml.org,2002:"


class _Reader(yaml.SafeLoader):
    """PyYAML's parser with the scalar rules of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute


class _FastReader(yaml.CSafeLoader):
    """The same by libyaml, seven times as fast; what is nested too deep for its stack ends the process."""

    yaml_implicit_resolvers = _Reader.yaml_implicit_resolvers


for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]{1,18}", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Reader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(f"^(?:{_pattern})$"), list(_first))

_NESTS = re.compile(r"[\[{:?-]")
"""One of these begins each level of nesting."""

_FAST_UP_TO = 2_000
"""Levels that certainly fit on libyaml's stack."""


@dataclass(frozen=True)
class YamlProblem:
    """Something wrong with the text as YAML, before it is anything of ours."""

    line: int
    path: NodePath
    what: str
    mend: str


@dataclass(frozen=True)
class YamlTree:
    """One document.

    Attributes:
        value: dicts, lists and scalars; None where the text was no YAML.
        lines: line of each value by its path, from 1; for a value in a mapping the line of its key.
        problems: what is wrong, in the order of the text; the value leaves it out.
    """

    value: Any
    lines: dict[NodePath, int]
    problems: tuple[YamlProblem, ...]

    def nearest(self, path: NodePath) -> NodePath:
        """Return the longest beginning of `path` that the document has."""
        while path and path not in self.lines:
            path = path[:-1]
        return path

    def line(self, path: NodePath) -> int:
        """Return the line of the nearest place to `path`; the first line for the document itself."""
        return self.lines.get(self.nearest(path), 1)


def read_yaml(text: str) -> YamlTree:
    """Parse one YAML document. Never raises: what is wrong is in `problems`."""
    try:
        documents = list(_compose_all(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = f"no valid YAML at column {column}: {error.problem or error.context}"
        mend = "Mind indentation by spaces, a space after `:` and `-`, and quotes around text that holds `: ` or `#`."
        return YamlTree(None, {}, (YamlProblem(line, (), what, mend),))
    except yaml.YAMLError as error:
        what = f"no valid YAML: {' '.join(str(error).split())}"
        return YamlTree(None, {}, (YamlProblem(1, (), what, "Remove the character."),))
    except RecursionError:
        return _too_deep(1)
    if not documents:
        what, mend = (
            "the file is empty",
            "Declare a stream, or in clusters.yaml clusters; or delete the file.",
        )
        return YamlTree(None, {}, (YamlProblem(1, (), what, mend),))
    if len(documents) > 1:
        line = documents[1].start_mark.line + 1
        what, mend = "a second document begins here", "Write one stream a file: move what follows `---` to its own."
        return YamlTree(None, {}, (YamlProblem(line, (), what, mend),))
    walk = _Walk()
    try:
        value = walk.value(documents[0], ())
    except RecursionError:
        return _too_deep(documents[0].start_mark.line + 1)
    return YamlTree(value, walk.lines, tuple(sorted(walk.problems, key=lambda problem: problem.line)))


def _too_deep(line: int) -> YamlTree:
    return YamlTree(None, {}, (YamlProblem(line, (), "nested too deep", "A stream file needs few levels."),))


def _compose_all(text: str) -> list[yaml.Node]:
    is_flat = sum(1 for _ in islice(_NESTS.finditer(text), _FAST_UP_TO)) < _FAST_UP_TO
    reader = _FastReader(text) if is_flat else _Reader(text)
    try:
        nodes = []
        while reader.check_node():
            node = reader.get_node()
            if node is not None and not _is_nothing(node):
                nodes.append(node)
        return nodes
    finally:
        reader.dispose()


def _is_nothing(node: yaml.Node) -> bool:
    """Whether a document holds no content: `---` alone, or comments."""
    return isinstance(node, yaml.ScalarNode) and not node.value and node.style is None


def dotted(path: NodePath) -> str:
    """Write a place as `routes[0].select[1]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


class _Walk:
    """One pass over the nodes, collecting lines and problems."""

    def __init__(self) -> None:
        self.lines: dict[NodePath, int] = {(): 1}
        self.problems: list[YamlProblem] = []
        self._count = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: NodePath) -> Any:  # noqa: ANN401 - raw YAML
        self._count += 1
        if id(node) in self._open or self._count > MAX_NODES:
            if self._count <= MAX_NODES + 1:
                self._problem(node, path, "an alias refers to itself, or aliases grow too large", "Write it out.")
            self._count = max(self._count, MAX_NODES + 1)
            return None
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: NodePath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "a key that is a list or a mapping", "Keys are plain text.")
                continue
            key = str(key_node.value)
            place = (*path, key)
            if key in found:
                what = f"{key!r} is there twice, first on line {self.lines[place]}"
                self._problem(key_node, place, what, "Keep one.")
                continue
            self.lines[place] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, place)
        return found

    def _scalar(self, node: yaml.Node, path: NodePath) -> str | int | float | bool | None:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        if kind == "str":
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        try:
            converted: int | float = {"int": int, "float": float}[kind](text)
        except (KeyError, ValueError):  # a tag that a person wrote
            self._problem(node, path, f"the tag {node.tag!r} is not allowed here", "Write the plain value.")
            return None
        return converted

    def _problem(self, node: yaml.Node, path: NodePath, what: str, mend: str) -> None:
        self.problems.append(YamlProblem(node.start_mark.line + 1, path, what, mend))
