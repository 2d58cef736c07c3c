"""The catalog's properties as pyiceberg takes them: secrets that the settings only refer to are read here."""

from __future__ import annotations

from collections.abc import Mapping

from keystone_platform.secret import read_secret
from keystone_platform.settings import REFERENCED_SECRETS


def catalog_properties(catalog: Mapping[str, str], env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the properties with the secrets that they refer to in their place; they may not be shown.

    Args:
        catalog: `catalog` of the settings.
        env: the process's environment unless given.

    Raises:
        Terminal: a variable is not set, or a file can't be read.
    """
    return {key: read_secret(value, env) if key in REFERENCED_SECRETS else value for key, value in catalog.items()}
