"""Holds declared schemas to those that were published, and publishes new ones."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from functools import cached_property

from keystone_platform.control.gateways import Gateways
from keystone_platform.errors import Conflict, InvalidSpec, InvalidSpecs, Transient
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.ledger import Ledger
from keystone_platform.schemas.compatibility import Break, SchemaVersion, breaks
from keystone_platform.schemas.document import Contract
from keystone_platform.spec.fleet import LoadedRoute, LoadedStream


class SchemaGate:
    """The published versions at one moment, asked for once, and what declared schemas are to them."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock
        self._errors: dict[str, tuple[InvalidSpec, ...]] = {}

    @classmethod
    def of(cls, gateways: Gateways) -> SchemaGate:
        """Return the gate of these gateways."""
        return cls(gateways.ledger, gateways.clock)

    def check(self, declared: LoadedRoute | LoadedStream) -> None:
        """Make sure that the stream's schema, as it is declared, breaks nothing that was published; touches nothing.

        Raises:
            InvalidSpec: it breaks something; names file, line, field and mend. InvalidSpecs where it is several fields.
            Transient: the ledger does not answer.
        """
        errors = self.errors(declared)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise InvalidSpecs(errors)

    def errors(self, declared: LoadedRoute | LoadedStream) -> tuple[InvalidSpec, ...]:
        """Return an error for each field of the stream whose change its rule does not allow."""
        stream = declared.stream if isinstance(declared, LoadedRoute) else declared.spec
        if stream.stream not in self._errors:
            found = breaks(self._published.get(stream.stream, ()), Contract.of(stream), stream.compatibility)
            self._errors[stream.stream] = tuple(_error(declared, each) for each in found)
        return self._errors[stream.stream]

    def publish(self, declared: LoadedRoute | LoadedStream) -> SchemaVersion | None:
        """Publish what the stream declares, as a new version if it is new, and return it; nothing without a schema.

        What breaks the rule is left: it was told where it could be refused.

        Raises:
            Conflict: somebody else published in the same moment: his is the same, or newer.
            Transient: the ledger does not answer.
        """
        stream = declared.stream if isinstance(declared, LoadedRoute) else declared.spec
        contract = Contract.of(stream)
        if stream.fields is None or self.errors(declared):
            return None
        published = self._published.get(stream.stream, ())
        if published and published[-1].digest == contract.digest:
            return published[-1]
        return self._ledger.publish_schema(contract, stream.compatibility, now=self._clock.now())

    def publish_quietly(self, declared: LoadedRoute) -> None:
        """Publish after the act, whose outcome it must not change: whoever applies next publishes what is missing."""
        with contextlib.suppress(Conflict, Transient):
            self.publish(declared)

    @cached_property
    def _published(self) -> dict[str, list[SchemaVersion]]:
        found: dict[str, list[SchemaVersion]] = defaultdict(list)
        for version in self._ledger.schemas():
            found[version.stream].append(version)
        return found


def _error(declared: LoadedRoute | LoadedStream, found: Break) -> InvalidSpec:
    line = declared.lines.get(found.field, declared.line)
    return InvalidSpec(found.what, mend=found.mend, file=str(declared.file), line=line, field=found.field)
