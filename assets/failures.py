"""How a run over many assets ends when some of them failed."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from keystone_platform.errors import InvalidSpec, KeystoneError, Terminal


def fail_if_any(errors: Sequence[KeystoneError]) -> None:
    """Raise Failure for the errors; Dagster tries again unless nothing could go better the next time."""
    if errors:
        hopeless = all(isinstance(error, Terminal | InvalidSpec) for error in errors)
        raise dg.Failure("\n".join(map(str, errors)), allow_retries=not hopeless) from errors[0]
