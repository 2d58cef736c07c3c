"""Reads Java's exceptions: what became of a submission, and the one line of its reason that a person needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

LONGEST_REASON = 400

_SENDING = (
    "org.apache.flink.runtime.client.JobSubmissionException",
    "org.apache.flink.util.FlinkException",
    "java.util.concurrent.ExecutionException",
    "org.apache.flink.runtime.concurrent.FutureUtils$RetryException",
    "org.apache.flink.util.concurrent.FutureUtils$RetryException",
)
"""One of these in the chain: planning was over, the job was on its way."""

_DUPLICATE = re.compile(r"\bDuplicate(Job|Application)SubmissionException$")
_INITIALISATION = re.compile(r"\bJobInitializationException$")
_ANSWERED = "RestClientException"
_LATE = re.compile(r"\b(Ask)?TimeoutException\b")
_ON_SERVER_SIDE = "<Exception on server side:"
_CAUSED_BY = re.compile(r"^Caused by: (.+)$", re.MULTILINE)
_CLASS = re.compile(r"^(?:[a-z_][\w]*\.)+(?:\w+\$)*([A-Z]\w*)(?:: )?")


@dataclass(frozen=True)
class Thrown:
    """One exception of a chain of causes: full class name and message."""

    name: str
    message: str


class JavaThrew(Exception):
    """The JVM threw.

    Attributes:
        chain: the exception and its causes, outermost first.
    """

    def __init__(self, chain: tuple[Thrown, ...]) -> None:
        super().__init__(reason_of(chain))
        self.chain = chain


def chain_of(exception: Any) -> tuple[Thrown, ...]:  # noqa: ANN401 - a Java object
    """Return a Java exception and its causes, outermost first."""
    chain: list[Thrown] = []
    while exception is not None and len(chain) < 50:
        chain.append(Thrown(str(exception.getClass().getName()), str(exception.getMessage() or "")))
        exception = exception.getCause()
    return tuple(chain)


def chain_of_trace(trace: str) -> tuple[Thrown, ...]:
    """Return the same of a printed stack trace, which is all that PyFlink leaves of some exceptions."""
    parts = re.split(r"^Caused by: ", trace, flags=re.MULTILINE)
    return tuple(_thrown(part.split("\n\tat ", 1)[0]) for part in parts)


def status_of(chain: Sequence[Thrown]) -> Literal["refused", "duplicate", "unknown"]:
    """Return what became of a submission that ended so. `unknown` unless it is certain that nothing runs."""
    if _mentions(chain, _DUPLICATE):
        return "duplicate"
    if not any(thrown.name in _SENDING for thrown in chain):
        return "refused"
    if _mentions(chain, _INITIALISATION):
        return "refused"
    # the cluster answered with an error, unless what it says is that it gave up waiting for itself
    answered = any(thrown.name.endswith(_ANSWERED) for thrown in chain)
    late = any(_LATE.search(f"{thrown.name}: {thrown.message}") for thrown in chain)
    return "refused" if answered and not late else "unknown"


def reason_of(chain: Sequence[Thrown]) -> str:
    """Return the innermost message, on one line, of bounded length; the innermost one says what is wrong."""
    for thrown in reversed(chain):
        causes = _CAUSED_BY.findall(thrown.message)
        message = causes[-1] if causes else thrown.message.rpartition(_ON_SERVER_SIDE)[2]
        if message.strip():
            return _CLASS.sub(_named, message.strip().splitlines()[0])[:LONGEST_REASON]
    return chain[0].name if chain else "no reason given"


def _thrown(head: str) -> Thrown:
    name, _, message = head.partition(": ")
    return Thrown(name.strip(), message.strip())


def _named(match: re.Match[str]) -> str:
    return f"{match[1]}: " if match[0].endswith(": ") else match[1]


def _mentions(chain: Sequence[Thrown], name: re.Pattern[str]) -> bool:
    """Whether an exception of that class is in the chain, or in what the cluster sent as text."""
    heads = (line.partition(": ")[0] for thrown in chain for line in thrown.message.splitlines())
    causes = (cause.partition(": ")[0] for thrown in chain for cause in _CAUSED_BY.findall(thrown.message))
    return any(name.search(text) for text in (*(thrown.name for thrown in chain), *heads, *causes))
