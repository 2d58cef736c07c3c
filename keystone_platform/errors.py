"""The platform's errors: who has to act is the type, so nobody decides by an error's text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class KeystoneError(Exception):
    """Root of every error that the platform raises on purpose.

    Attributes:
        what: what is wrong, in one line, naming the place.
        mend: what the reader can do about it; empty when there is nothing to do but retry.
    """

    def __init__(self, what: str, *, mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend

    def as_json(self) -> dict[str, str | int]:
        """Return the error's type and attributes as JSON values."""
        return {"type": type(self).__name__, "what": self.what, "mend": self.mend}

    def __str__(self) -> str:
        """Return the error and its mend on one line."""
        return f"{self.what}. {self.mend}" if self.mend else self.what


class InvalidSpec(KeystoneError):
    """The user's input is wrong. Nothing was touched.

    Attributes:
        file: the YAML file, as the user named it; empty when the text did not come from a file.
        line: line in that file, from 1; 0 when unknown.
        field: dotted path of the field, e.g. `routes[0].filter`.
    """

    def __init__(self, what: str, *, mend: str = "", file: str = "", line: int = 0, field: str = "") -> None:
        super().__init__(what, mend=mend)
        self.file = file
        self.line = line
        self.field = field

    def as_json(self) -> dict[str, str | int]:
        return super().as_json() | {"file": self.file, "line": self.line, "field": self.field}

    def __str__(self) -> str:
        """Return `file:line: field: what. mend`, leaving out what is unknown."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        head = ": ".join(part for part in (place, self.field) if part)
        return f"{head}: {super().__str__()}" if head else super().__str__()


class InvalidSpecs(InvalidSpec):
    """Several things are wrong in the users' input; all of them are told at once.

    Attributes:
        errors: each single error, ordered by file and line; never empty.
    """

    def __init__(self, errors: tuple[InvalidSpec, ...]) -> None:
        super().__init__(f"{len(errors)} errors in the stream files")
        self.errors = errors

    def __str__(self) -> str:
        """Return one error a line."""
        return "\n".join(str(error) for error in self.errors)


class Transient(KeystoneError):
    """A server did not answer or refused for now; the same call may succeed later. Nothing was changed."""


class Terminal(KeystoneError):
    """Retrying cannot help; a person has to act."""


class UnknownOutcome(KeystoneError):
    """The act may or may not have happened. Observe before acting again."""


class Conflict(KeystoneError):
    """Somebody else acted on the same thing first (an open intent, a newer epoch, a changed table)."""


def single_errors(error: KeystoneError) -> tuple[KeystoneError, ...]:
    """Return the errors that are told together, or the error itself."""
    return error.errors if isinstance(error, InvalidSpecs) else (error,)


class Interruptible(Protocol):
    """What works in threads of its own until it is told not to: a DuckDB connection."""

    def interrupt(self) -> None: ...


@contextmanager
def interruptible(session: Interruptible | None = None) -> Iterator[None]:
    """Let Ctrl-C in a statement be a KeyboardInterrupt: DuckDB's binding takes it and raises a RuntimeError instead.

    Where the session is given its threads are told as well; else closing it waits until what they do is done.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            if session is not None:
                session.interrupt()
            raise KeyboardInterrupt from error
        raise
