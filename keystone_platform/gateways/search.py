"""The search cluster as the control plane sees it: templates, and what an audit reads back."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import httpx

from keystone_platform.errors import Terminal, Transient
from keystone_platform.plan.index_template import index_template, template_name
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.secret import read_secret
from keystone_platform.settings import SearchSettings

TIMEOUT_S = 30.0

_LENIENT = "ignore_unavailable=true&allow_no_indices=true"
"""No index yet is no error."""

PAGE = 10_000
"""Documents that are read at a time: the server's default limit."""


class SearchCluster(Protocol):
    """Prepares indexes."""

    def ensure_template(self, plan: RouterPlan) -> None:
        """Make the indexes of the plan's route, those that come from now on, map the declared columns.

        Touches no template but the route's own, and no index: one that exists keeps its mapping.

        Raises:
            Transient: the cluster does not answer, or not now.
            Terminal: there is none, or it refuses.
        """
        ...


class OpenSearch:
    """The real SearchCluster: OpenSearch, or Elasticsearch from 7.8 on. Reaches for nothing until it is called."""

    def __init__(self, settings: SearchSettings | None) -> None:
        self._settings = settings

    def ensure_template(self, plan: RouterPlan) -> None:
        self.request("PUT", f"/_index_template/{template_name(plan.route)}", index_template(plan))

    def places(self, pattern: str, topics: Sequence[str]) -> Iterator[list[tuple[str, int, int]]]:
        """Yield, page by page, topic, partition and offset of the documents in these indexes that came from the topics.

        What was indexed before the call is seen. Raises like `ensure_template`.
        """
        self.refresh(pattern)
        query = {
            "size": PAGE,
            "sort": ["_doc"],
            "query": {"terms": {"_topic": list(topics)}},
            "_source": ["_topic", "_partition", "_offset"],
        }
        page = self.request("POST", f"/{pattern}/_search?scroll=1m&{_LENIENT}", query)
        while page["hits"]["hits"]:
            sources = [hit["_source"] for hit in page["hits"]["hits"]]
            yield [(source["_topic"], source["_partition"], source["_offset"]) for source in sources]
            page = self.request("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
        self.request("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]})

    def refresh(self, pattern: str) -> None:
        """Return when what was indexed before can be searched. Raises like `ensure_template`."""
        # an index that was made a moment ago answers with 503 until its shard has started
        self.request("GET", f"/_cluster/health/{pattern}?wait_for_status=yellow&timeout=20s")
        self.request("POST", f"/{pattern}/_refresh?{_LENIENT}")

    def request(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send a request and return the answer's JSON; raises like `ensure_template`."""
        if self._settings is None:
            message = "the settings name no search cluster"
            raise Terminal(message, mend="Start one with `keystone up --with search`, or add `search` to the settings.")
        try:
            with httpx.Client(
                base_url=self._settings.url,
                auth=_credentials(self._settings),
                verify=_trusted(self._settings),
                timeout=TIMEOUT_S,
            ) as client:
                answer = client.request(method, path, json=body)
        except httpx.HTTPError as error:
            message = f"the search cluster at {self._settings.url} does not answer: {error}"
            raise Transient(message, mend="Is it up? `keystone status` shows the embedded one.") from error
        return _checked(answer)


def _trusted(settings: SearchSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # ssl.SSLError is one
        message = f"the authorities in {settings.ca_file} can't be read: {error}"
        raise Terminal(message, mend="`search.ca_file` of the settings names a file of PEM certificates.") from error


def _credentials(settings: SearchSettings) -> httpx.BasicAuth | None:
    if settings.username is None or settings.password is None:
        return None
    return httpx.BasicAuth(settings.username, read_secret(settings.password))


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        document: dict[str, Any] = answer.json()
        return document
    message = f"the search cluster answers {answer.status_code} to {answer.request.url.path}: {answer.text[:500]}"
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise Transient(message)
    raise Terminal(message, mend="Check the rights of its user, and that no other template has our priority.")
