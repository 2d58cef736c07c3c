"""The way to an API server: with the credentials of a kubeconfig, and what is told when there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from keystone_platform.errors import Terminal
from keystone_platform.gateways.flink_deployment import FLEET
from keystone_platform.gateways.kubernetes_api import KubernetesApi
from keystone_platform.gateways.kubernetes_http import api_server
from keystone_platform.settings import KubernetesSettings
from tests.kubernetes.api_server import ApiServer, serve


def kubeconfig(folder: Path, url: str, user: dict[str, Any]) -> str:
    file = folder / "kubeconfig"
    document = {
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(yaml.safe_dump(document))
    return str(file)


def fleet(file: str, **more: str) -> object:
    chosen = KubernetesSettings(namespace="a", image="b", kubeconfig=file, **more)  # type: ignore[arg-type]
    return KubernetesApi(api_server(chosen, {}), "a").list(FLEET)


def test_the_token_of_a_kubeconfig_lets_in_and_another_one_does_not(tmp_path: Path) -> None:
    with serve(ApiServer(token="sesame")) as url:
        assert fleet(kubeconfig(tmp_path, url, {"token": "sesame"})) == ()
        with pytest.raises(Terminal, match="401"):
            fleet(kubeconfig(tmp_path, url, {"token": "wrong"}))


def test_a_token_that_was_renewed_in_its_file_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    server = ApiServer(token="old")
    with serve(server) as url:
        file = kubeconfig(tmp_path, url, {"tokenFile": str(token)})
        api = KubernetesApi(api_server(KubernetesSettings(namespace="a", image="b", kubeconfig=file), {}), "a")
        assert api.list(FLEET) == ()
        token.write_text("new")
        server.token = "new"
        assert api.list(FLEET) == ()


@pytest.mark.parametrize("text", ["", "{", "[]", "clusters: []\ncontexts: []\n", "clusters: 1\n"])
def test_a_broken_kubeconfig_is_told_with_what_to_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(Terminal, match="`kubernetes` settings"):
        fleet(str(file))


def test_a_kubeconfig_or_context_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="not found"):
        fleet(str(tmp_path / "none"))
    with pytest.raises(Terminal, match="elsewhere"):
        fleet(kubeconfig(tmp_path, "http://127.0.0.1:1", {}), context="elsewhere")
