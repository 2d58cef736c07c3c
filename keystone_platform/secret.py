"""Secrets by reference: what travels through plans, jobs and logs says where a secret is found, never what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from keystone_platform.errors import Terminal

REFERENCE = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$"
"""Form of a reference: `env:NAME`, a variable of the process that looks, or `file:/PATH`, a file on its machine."""


def read_secret(reference: str, env: Mapping[str, str] | None = None) -> str:
    """Return the secret, without the line's end that editors add to a file. Read anew each time, so it can be rotated.

    Raises:
        Terminal: the variable is not set, or the file can't be read.
    """
    kind, _, place = reference.partition(":")
    if kind == "env":
        found = (os.environ if env is None else env).get(place)
        if not found:
            message = f"the variable {place} is not set in the process that needs the secret {reference}"
            raise Terminal(message, mend="Set it where the control plane and each TaskManager are started.")
        return found
    try:
        return Path(place).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        message = f"the secret {reference} can't be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        raise Terminal(
            message, mend="Put the file there, readable by the control plane and each TaskManager."
        ) from None
