"""The Kubernetes API server, as far as FlinkDeployments need it: a few requests with their errors typed."""

from __future__ import annotations

from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from keystone_platform.errors import Conflict, KeystoneError, Terminal, Transient, UnknownOutcome
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.flink_deployment import API_VERSION
from keystone_platform.gateways.kubernetes_resource import Resource, resource_of

_PAGE = 500
_PLURAL = "flinkdeployments"
_MERGE = "application/merge-patch+json"


class KubernetesApi:
    """FlinkDeployments of one namespace. Reads are tried three times; what changes something is sent once.

    Args:
        http: knows the API server's address, its certificate and the credentials.
        namespace: of the FlinkDeployments.
        clock: for the waits between tries.
    """

    def __init__(self, http: httpx.Client, namespace: str, *, clock: Clock | None = None) -> None:
        self.http = http
        self.namespace = namespace
        self._path = f"/apis/{API_VERSION}/namespaces/{namespace}/{_PLURAL}"
        self._clock = clock or SystemClock()

    def list(self, selector: str) -> tuple[Resource, ...]:
        """Return all that the label selector finds, in one request for each 500.

        Raises:
            Transient: the API server does not answer.
            Terminal: it refuses, such as for want of rights.
        """
        found: list[Resource] = []
        query: dict[str, str] = {"labelSelector": selector, "limit": str(_PAGE)}
        while True:
            body = self._read(self._path, query)
            found += map(resource_of, body["items"])
            token = body["metadata"].get("continue")
            if not token:
                return tuple(found)
            query = query | {"continue": token}

    def get(self, name: str) -> Resource | None:
        """Return the one of that name, or None; raises as `list` does."""
        try:
            return resource_of(self._read(f"{self._path}/{name}"))
        except _NotFound:
            return None

    def create(self, manifest: dict[str, Any]) -> Resource:
        """Make it, unless a field is unknown to the cluster's schema.

        Raises:
            Conflict: one of that name is there.
            Terminal: the cluster does not take it, and says why.
            Transient: nothing was sent, or the server was too busy to take it.
            UnknownOutcome: no answer came; it may be there.
        """
        return resource_of(self._request("POST", f"{self._path}?fieldValidation=Strict", manifest))

    def patch(self, resource: Resource, spec: dict[str, Any]) -> Resource:
        """Change parts of its spec, as long as nothing of it, status included, has changed since it was read.

        Raises:
            Conflict: it has changed, or another one has its name now.
            Terminal, Transient, UnknownOutcome: as for `create`; Terminal also when it is gone.
        """
        body = {"metadata": {"resourceVersion": resource.version}, "spec": spec}
        path = f"{self._path}/{resource.name}?fieldValidation=Strict"
        return resource_of(self._request("PATCH", path, body, content_type=_MERGE))

    def delete(self, resource: Resource) -> None:
        """Ask for its deletion; it is gone when the operator has cleaned up. Harmless if it is gone already.

        Raises:
            Conflict: another one has its name now.
            Terminal, Transient, UnknownOutcome: as for `create`.
        """
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": resource.uid}}
        try:
            self._request("DELETE", f"{self._path}/{resource.name}", options)
        except _NotFound:
            return

    def _read(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        for attempt in Retrying(
            retry=retry_if_exception_type(Transient),
            stop=stop_after_attempt(3),
            wait=wait_exponential(0.2),
            sleep=self._clock.sleep,
            reraise=True,
        ):
            with attempt:
                return self._request("GET", path, query=query)
        raise AssertionError  # reraise=True: the loop returns or raises

    def _request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        headers = {"Content-Type": content_type} if body is not None else None
        try:
            response = self.http.request(method, path, params=query, json=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _unreachable(self.http, error) from error
        except httpx.HTTPError as error:
            if method == "GET":
                raise _unreachable(self.http, error) from error
            message = f"{method} {path}: the API server did not answer ({type(error).__name__})"
            raise UnknownOutcome(message, mend="It may have been done: observe before acting again.") from error
        if response.is_success:
            answer: dict[str, Any] = response.json()
            return answer
        raise _refusal(method, path, response)


class _NotFound(Terminal):
    """No such resource, namespace or kind."""


def _unreachable(http: httpx.Client, error: Exception) -> Transient:
    message = f"the API server at {http.base_url} does not answer ({type(error).__name__})"
    return Transient(message, mend="Is the address right, and the cluster up? `kubectl get flinkdeployments` tells.")


def _refusal(method: str, path: str, response: httpx.Response) -> KeystoneError:
    message = f"the API server refused {method} {path.partition('?')[0]}: {response.status_code} {_reason(response)}"
    match response.status_code:
        case 404:
            mend = "Is the namespace there, and the operator's CRD installed (`kubectl get crd`)?"
            return _NotFound(message, mend=mend)
        case 409:
            return Conflict(message)
        case 429:
            return Transient(message)
        case 401 | 403:
            return Terminal(message, mend="Give the service account the rights that docs/kubernetes.md lists.")
        case status if status < 500:
            return Terminal(message, mend="Compare the `kubernetes` settings with the installed operator's CRD.")
    if method == "GET":
        return Transient(message)
    return UnknownOutcome(message, mend="It may have been done: observe before acting again.")


def _reason(response: httpx.Response) -> str:
    """Return what the server's Status says, bounded."""
    try:
        return str(response.json()["message"])[:600]
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
