"""Links an asset to the YAML that it comes from."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from keystone_platform.spec.fleet import Place


def code_reference(place: Place) -> Mapping[str, dg.CodeReferencesMetadataValue]:
    """Return the metadata that links an asset to its place in a stream's YAML."""
    reference = dg.LocalFileCodeReference(
        file_path=str(place.file.absolute()), line_number=place.line, label=place.file.name
    )
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}
