"""Who may send: whoever has the token, where one is asked for."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from contextlib import suppress

from keystone_platform.errors import Terminal
from keystone_platform.secret import read_secret

KEPT_S = 5.0
"""How long a token that was read is taken for the newest one: a rotated file holds after that."""


class Bearer:
    """Compares a request's `Authorization` header with a token that is found by reference.

    Args:
        reference: `env:NAME` or `file:/PATH`.
        now: monotonic seconds.

    Raises:
        Terminal: the secret can't be read now.
    """

    def __init__(self, reference: str, now: Callable[[], float] = time.monotonic) -> None:
        self._reference = reference
        self._now = now
        self._token = read_secret(reference)
        self._read_at = now()

    def lets_in(self, header: str | None) -> bool:
        """Whether the header holds the token. A file that can't be read any more leaves the one before in force."""
        if self._now() - self._read_at > KEPT_S:
            self._read_at = self._now()
            with suppress(Terminal):
                self._token = read_secret(self._reference)
        scheme, _, token = (header or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token.encode())
