"""What another sender said of an event that is passed on for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """Attributes that are kept instead of those that this producer would give.

    Attributes:
        id: becomes `ce_id`, so that an event that is sent again is known by it; unique at its source.
        source: becomes `ce_source`; None: this producer's own.
        type: becomes `ce_type`; None: the stream's name.
    """

    id: str
    source: str | None = None
    type: str | None = None

    @property
    def size(self) -> int:
        """What the texts take in the buffer, at most."""
        texts = (self.id, self.source or "", self.type or "")
        return sum(len(text) * (1 if text.isascii() else 4) for text in texts)
