"""A provider with TLS: its certificate is checked, and neither name nor key of another server reaches it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
import trustme

import demo
from answers import content
from conftest import OpenWorld
from gateway import MockModels
from settings import Settings
from world import World, eventually

NAME = "models.example.test"
KEY = "tls-secret"
TLS_CONTEXT = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
ROUNDS = 25
# The headers that each server must see, whichever was tried before.
SEEN = {
    "mock-a": {
        "sni": None,
        "path": "/v1/chat/completions",
        "host": "mock-a",
        "authorization": "Bearer mock-a-secret",
        "api-key": None,
        "model": "gpt-4o-mock-a",
    },
    "secure": {
        "sni": NAME,
        "path": "/openai/deployments/gpt-4o-secure/chat/completions?api-version=2024-10-21",
        "host": NAME,
        "authorization": None,
        "api-key": KEY,
        "model": "gpt-4o-secure",
    },
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockModels]:
    """A model server with TLS."""
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    issued = authority.issue_cert(NAME)
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    with MockModels("secure", api_key=KEY, models=["gpt-4o-secure"], tls=(certificate, key)) as mock:
        yield mock


@pytest.fixture(scope="module")
def _tls_world(
    settings: Callable[[], Settings],
    open_world: OpenWorld,
    authority: trustme.CA,
    secure: MockModels,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    bundle = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    changed = settings()
    changed.plugin("router")["vm_config"]["environment_variables"]["host_env_keys"].append("TLS_KEY")
    _add_upstream(changed, "secure", secure, _tls(bundle, NAME))
    _add_upstream(changed, "stranger", secure, _tls(bundle, "other.example.test"))
    changed.add_model("plain-first", "mock-a", "secure")
    changed.add_model("secure-first", "secure", "mock-a")
    changed.add_model("stranger-first", "stranger", "mock-a")
    changed.add_model("stranger", "stranger")
    with open_world(changed.text(), {"secure": secure}, env={**demo.ENVIRONMENT, "TLS_KEY": KEY}) as world:
        yield world


@pytest.fixture
def tls_world(_tls_world: World) -> World:
    _tls_world.reset()
    return _tls_world


def test_failover_to_tls_and_back(tls_world: World) -> None:
    """Each in turn is the first server, and fails."""
    for number in range(ROUNDS):
        for model, failing, answering in [("plain-first", "mock-a", "secure"), ("secure-first", "secure", "mock-a")]:
            tls_world.fault({"fault": "status", "status": 503, "times": 1}, failing)
            response = tls_world.chat(model=model, stream=number % 2 == 1)
            assert (response.status_code, content(response)) == (200, f"Hello from {answering}. You said: Hello")
    for name, want in SEEN.items():
        entries = tls_world.journals()[name]
        assert Counter(entry["status"] for entry in entries) == {200: ROUNDS, 503: ROUNDS}
        assert all(_seen(entry) == want for entry in entries)


def test_broken_connections(tls_world: World) -> None:
    """The same if the first server does not answer at all."""
    for fault in ("refuse", "reset", "close"):
        tls_world.fault({"fault": fault, "times": 1}, "secure")
        response = tls_world.chat(model="secure-first")
        assert (response.status_code, content(response)) == (200, "Hello from mock-a. You said: Hello")
        assert tls_world.chat(model="secure-first").status_code == 200


def test_wrong_name_in_the_certificate(tls_world: World) -> None:
    """The request goes elsewhere, and nothing of it reaches the wrong server."""
    before = tls_world.counted("llm_attempts_total")
    response = tls_world.chat(model="stranger-first")
    assert (response.status_code, content(response)) == (200, "Hello from mock-a. You said: Hello")
    assert tls_world.journals()["secure"] == []
    assert response.headers["x-sluice-attempts"] == "stranger=connect_failure:tls, mock-a=success"
    assert 'no connection to cluster "stranger" (tls): TLS_error' in tls_world.gateway.log()
    want = Counter({("stranger", "connect_failure"): 1, ("mock-a", "success"): 1})
    eventually(lambda: tls_world.counted("llm_attempts_total") - before, want)
    assert tls_world.chat(model="stranger").status_code == 503
    assert tls_world.journals()["secure"] == []


def _add_upstream(settings: Settings, name: str, server: MockModels, transport: Mapping[str, Any]) -> None:
    """An upstream like Azure: the model in the path, the version in the query, its own header for the key."""
    cluster = settings.add_cluster(name, server.address)
    cluster["transport_socket"] = transport
    settings.upstreams[name] = {
        "host": NAME,
        "base_path": "/openai/deployments/{model}",
        "query": "api-version=2024-10-21",
        "credential": {"env": "TLS_KEY", "header": "api-key"},
    }


def _tls(bundle: Path, name: str) -> dict[str, Any]:
    names = [{"san_type": "DNS", "matcher": {"exact": name}}]
    validation = {"trusted_ca": {"filename": str(bundle)}, "match_typed_subject_alt_names": names}
    context = {"@type": TLS_CONTEXT, "sni": NAME, "common_tls_context": {"validation_context": validation}}
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _seen(entry: dict[str, Any]) -> dict[str, Any]:
    headers = {name: entry["headers"].get(name) for name in ("host", "authorization", "api-key")}
    return {"sni": entry["sni"], "path": entry["path"], "model": entry["body"]["model"], **headers}
