"""pyiceberg's client of a REST catalog with a limit to its patience: by itself it waits for ever."""

from __future__ import annotations

from pyiceberg.catalog.rest import RestCatalog
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
"""A catalog writes a table's metadata to the object store before it answers a commit."""


class PromptRestCatalog(RestCatalog):
    """A RestCatalog whose requests raise requests.Timeout in the end."""

    def _create_session(self) -> Session:
        session = super()._create_session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Prompt())
        return session


class _Prompt(HTTPAdapter):
    def send(self, request: PreparedRequest, *arguments: object, **options: object) -> Response:
        options["timeout"] = options.get("timeout") or (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        return super().send(request, *arguments, **options)  # type: ignore[arg-type]
