"""Reaches the API server with the credentials of a kubeconfig or of the pod; lightkube reads them.

Imported only where routers run on Kubernetes: lightkube comes with the extra `kubernetes`.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import Any

import httpx
from yaml import YAMLError

from keystone_platform.errors import Terminal
from keystone_platform.settings import KubernetesSettings

TIMEOUT_S = 15.0


def api_server(kubernetes: KubernetesSettings, env: Mapping[str, str] = os.environ) -> httpx.Client:
    """Return a client whose base URL is the API server; nothing is asked of it yet.

    Raises:
        Terminal: there are no credentials, they can't be read, or the extra is not installed.
    """
    try:
        from lightkube.config.client_adapter import user_auth, verify_cluster
        from lightkube.config.kubeconfig import KubeConfig
        from lightkube.config.models import User
        from lightkube.core.exceptions import ConfigError
        from msgspec import MsgspecError
    except ImportError as error:
        message = "routers on Kubernetes need the package lightkube"
        raise Terminal(message, mend="Install `keystone-platform[kubernetes]`.") from error
    file = kubernetes.kubeconfig or env.get("KUBECONFIG")
    try:
        config = (KubeConfig.from_file(file) if file else KubeConfig.from_env()).get(kubernetes.context)
        assert config is not None  # without a default it raises instead
        user = config.user or User()
        verify = verify_cluster(config.cluster, user, config.abs_file, trust_env=False)
        auth = user_auth(user)
    except (ConfigError, MsgspecError, YAMLError, LookupError, AttributeError, TypeError, OSError) as error:
        message = f"no way to the Kubernetes API server: {type(error).__name__}: {error}"
        raise Terminal(message, mend="Name `kubeconfig` and `context` in the `kubernetes` settings.") from error
    return httpx.Client(
        base_url=config.cluster.server,
        verify=verify,
        auth=_Credentials(auth) if auth else None,
        timeout=TIMEOUT_S,
        trust_env=False,
    )


class _Credentials(httpx.Auth):
    """lightkube's tokens, which it renews when the server says 401, for httpx's requests."""

    def __init__(self, source: Any) -> None:  # noqa: ANN401 - written for a fork of httpx with the same interface
        self._source = source

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        yield from self._source.sync_auth_flow(request)
