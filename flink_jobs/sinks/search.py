"""The search sink: a vectorised function that indexes a batch of documents and says of each what became of it.

Flink calls it in a Python worker of the TaskManager. A batch is done before the call returns, and a checkpoint waits
for the batches before it, so nothing that a checkpoint covers is only on its way. What is read again after a restart is
indexed again under the same id, from the same bytes, into the index of the same day: that changes nothing.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, Protocol

import urllib3

from flink_jobs.sinks.bulk import REJECTED_CODE, Fate, Outcome, entry, fate_of, outcomes, reason_of, requests
from keystone_platform.secret import read_secret

if TYPE_CHECKING:
    import pandas as pd

MAX_REQUEST_BYTES = 5 * 1024 * 1024
"""Of one request; a larger document goes alone. Servers take 100 MB by default, but hold it all in memory."""

PATIENCE_S = 240.0
"""How long nothing at all may be taken until the job is made to start again. Below the checkpoint's timeout: a shorter
outage only delays the checkpoint that waits for it."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0

CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S = 5.0, 60.0

_log = logging.getLogger(__name__)


class SinkUnavailable(Exception):
    """The search cluster took nothing for PATIENCE_S: the job ends and goes on from its last checkpoint."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `status` 0 when there was none, and `body` says why."""

    status: int
    body: bytes


class Post(Protocol):
    """Sends one `_bulk` request."""

    def __call__(self, body: bytes) -> Answer:
        """Block until it is answered or given up; never raises for what the network or the server does."""
        ...


@dataclass(frozen=True)
class SearchConnection:
    """How to reach the cluster; holds no secret, only where the password is found."""

    url: str
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None


class BulkWriter:
    """Indexes batches, and sends again what was not taken, waiting longer each time."""

    def __init__(
        self,
        post: Post,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Write through `post`.

        Args:
            post: sends a request.
            clock: seconds, never going backwards.
            sleep: waits so many seconds.
            jitter: from 0 to 1, so that many workers do not come back at one moment.
        """
        self._post = post
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter

    def write(self, entries: Sequence[bytes]) -> list[str | None]:
        """Return for each document None when it is indexed, else why the server will never take it.

        Blocks until each is decided.

        Raises:
            SinkUnavailable: nothing was decided for PATIENCE_S.
        """
        told: list[str | None] = [None] * len(entries)
        pending = list(range(len(entries)))
        waits, since = 0, self._clock()
        while pending:
            undecided, complaint = self._once(entries, pending, told)
            if undecided:
                if len(undecided) < len(pending):
                    waits, since = 0, self._clock()
                elif self._clock() - since > PATIENCE_S:
                    message = f"the search cluster took nothing for {PATIENCE_S:.0f} s: {complaint}"
                    raise SinkUnavailable(message)
                wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**waits) * (0.5 + self._jitter() / 2)
                _log.warning("%d documents again in %.1f s: %s", len(undecided), wait, complaint)
                self._sleep(wait)
                waits += 1
            pending = undecided
        return told

    def _once(self, entries: Sequence[bytes], chosen: Sequence[int], told: list[str | None]) -> tuple[list[int], str]:
        """Send the chosen documents once; return which have to be sent again, and why."""
        again, complaint = [], ""
        for request in requests(entries, chosen, MAX_REQUEST_BYTES):
            for number, outcome in zip(request, self._send(entries, request), strict=True):
                if outcome.fate is Fate.AGAIN:
                    again.append(number)
                    complaint = outcome.reason
                elif outcome.fate is Fate.REJECTED:
                    told[number] = f"{REJECTED_CODE}: {outcome.reason}"
        return again, complaint

    def _send(self, entries: Sequence[bytes], request: Sequence[int]) -> list[Outcome]:
        answer = self._post(b"".join(entries[number] for number in request))
        fate = fate_of(answer.status)
        if fate is Fate.INDEXED:
            return outcomes(answer.body, len(request))
        reason = f"{answer.status or 'no answer'}: {reason_of(answer.body)}"
        if fate is Fate.AGAIN or len(request) == 1:
            return [Outcome(fate, reason)] * len(request)
        # one document can make a server refuse a whole request (an id that is too long, too many bytes): find it
        middle = len(request) // 2
        return self._send(entries, request[:middle]) + self._send(entries, request[middle:])


class HttpPost:
    """The real Post: one connection that is kept open."""

    def __init__(self, connection: SearchConnection) -> None:
        self._connection = connection
        self._url = f"{connection.url.rstrip('/')}/_bulk?filter_path=errors,error,items.*.status,items.*.error"
        self._pool = urllib3.PoolManager(
            num_pools=1,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=ANSWER_TIMEOUT_S),
            ca_certs=connection.ca_file,
        )

    def __call__(self, body: bytes) -> Answer:
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=self._headers(), redirect=False)
        except urllib3.exceptions.HTTPError as error:
            return Answer(0, f"{type(error).__name__}: {error}".encode())
        return Answer(answer.status, answer.data)

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/x-ndjson"}
        if self._connection.username is not None and self._connection.password is not None:
            # looked up each time, so a password that was changed needs no restart
            basic = f"{self._connection.username}:{read_secret(self._connection.password)}"
            headers |= urllib3.make_headers(basic_auth=basic)
        return headers


class IndexDocuments:
    """What Flink calls, by SQL's name index_documents(index, id, document).

    It is pickled into the job, so it holds the connection only; the client is made in the worker, one for each.
    """

    def __init__(self, connection: SearchConnection) -> None:
        self._connection = connection
        self._writer: BulkWriter | None = None

    def __call__(self, index: pd.Series[Any] | str, identity: pd.Series[Any], source: pd.Series[Any]) -> pd.Series[Any]:
        """Index a batch; return null for each document that is indexed, else `code: text`.

        Where all go into one index Flink passes its name instead of a column of it.
        """
        import pandas as pd  # PyFlink has it loaded; whoever reads this file without a worker need not

        if self._writer is None:
            self._writer = BulkWriter(HttpPost(self._connection))
        indexes = repeat(index, len(source)) if isinstance(index, str) else index
        entries = [entry(*document) for document in zip(indexes, identity, source, strict=True)]
        return pd.Series(self._writer.write(entries), dtype=object)
