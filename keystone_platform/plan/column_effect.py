"""What an apply does to a column of a warehouse table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """The kinds; all but `refused` are changes of metadata that keep every row readable."""

    ADDED = "added"
    WIDENED = "widened"
    RENAMED = "renamed"
    DROPPED = "dropped"
    KEPT = "kept"
    """It is no longer written: the column stays, new rows leave it null."""
    REFUSED = "refused"


@dataclass(frozen=True)
class ColumnEffect:
    """One column's.

    Attributes:
        column: its name after the apply, dotted when nested.
        what: what happens to it and its values, for people.
        mend: the way around; empty unless refused.
    """

    column: str
    effect: Effect
    what: str
    mend: str = ""

    @property
    def is_safe(self) -> bool:
        """Whether an apply does it."""
        return self.effect is not Effect.REFUSED

    def __str__(self) -> str:
        text = f"column {self.column} {self.effect}: {self.what}"
        return f"{text}. {self.mend}" if self.mend else f"{text} (safe)"

    def as_json(self) -> dict[str, str | bool | None]:
        """Return it as JSON values."""
        return {
            "column": self.column,
            "effect": self.effect.value,
            "safe": self.is_safe,
            "what": self.what,
            "way_around": self.mend or None,
        }
