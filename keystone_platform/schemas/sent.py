"""Checks payloads against the declared schemas before they are sent: the hook that KeystoneProducer takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from keystone_platform.producer.validation import Check, validator
from keystone_platform.schemas.document import Contract
from keystone_platform.spec.models import StreamSpec


def declared_check(streams: Iterable[StreamSpec], check: Check) -> Callable[[str, bytes], str | None] | None:
    """Return what tells whether a router could decode a stream's payload; None where nothing is looked at.

    A stream that is not among `streams` takes everything.
    """
    if check == "off":
        return None
    validators = {spec.stream: validator(Contract.of(spec).document(), check) for spec in streams}

    def validate(stream: str, payload: bytes) -> str | None:
        known = validators.get(stream)
        return known(payload) if known else None

    return validate
