"""A place in a payload's bytes, as Avro and Protobuf lay them down."""

from __future__ import annotations

import struct

from keystone_platform.audit.parse import DeadEvent, Reason

_MASK = 2**64 - 1
_LONGEST_VARINT = 10


class ByteCursor:
    """Reads from `at` up to before `end`; what is not there raises DeadEvent with the code that it was made with."""

    def __init__(self, data: bytes, at: int, end: int, code: Reason) -> None:
        self.data, self.at, self.end, self._code = data, at, end, code

    def malformed(self) -> DeadEvent:
        return DeadEvent(self._code)

    def window(self, start: int, end: int) -> ByteCursor:
        """Return a cursor over a part of the same bytes."""
        return ByteCursor(self.data, start, end, self._code)

    def take(self, count: int) -> bytes:
        start = self.at
        if not 0 <= count <= self.end - start:
            raise self.malformed()
        self.at = start + count
        return self.data[start : self.at]

    def unsigned(self) -> int:
        """Read a base-128 number; bits beyond 64 are dropped."""
        value = shift = 0
        for _ in range(_LONGEST_VARINT):
            if self.at >= self.end:
                raise self.malformed()
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & _MASK
            shift += 7
        raise self.malformed()

    def signed(self) -> int:
        """Read the same as a number of 64 bits with a sign."""
        value = self.unsigned()
        return value - 2**64 if value >= 2**63 else value

    def zigzag(self) -> int:
        value = self.unsigned()
        return (value >> 1) ^ -(value & 1)

    def single(self) -> float:
        found: float = struct.unpack("<f", self.take(4))[0]
        return found

    def double(self) -> float:
        found: float = struct.unpack("<d", self.take(8))[0]
        return found
