"""Links an asset to the YAML that it comes from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import dagster as dg


def code_reference(file: Path, line: int) -> Mapping[str, dg.CodeReferencesMetadataValue]:
    """Return the metadata that links an asset to its place in a stream's YAML."""
    with warnings.catch_warnings():
        # beta since 1.8 and without a stable counterpart; a change would fail the test of the definitions
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(file_path=str(file.absolute()), line_number=line, label=file.name)
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}
