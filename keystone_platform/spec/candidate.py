"""A stream between form and rules: valid value by value, not yet held against the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.models import StreamSpec
from keystone_platform.spec.yaml_tree import NodePath, YamlTree, dotted


@dataclass(frozen=True)
class Candidate:
    """A stream that is valid in form, with its file to point into."""

    spec: StreamSpec
    file: Path
    tree: YamlTree

    def error(self, path: NodePath, what: str, mend: str) -> InvalidSpec:
        """Return an error at that place of the file."""
        return InvalidSpec(
            what, mend=mend, file=str(self.file), line=self.tree.line(path), field=dotted(self.tree.nearest(path))
        )

    def place(self, path: NodePath) -> str:
        """Name a place for another file's error: `file:line`."""
        return f"{self.file}:{self.tree.line(path)}"
