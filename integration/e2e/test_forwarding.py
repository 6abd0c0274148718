"""The parts of a client's request that reach a model server: those that SDKs need, and those that the operator names."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import anthropic
import openai
import pytest

import demo
from conftest import OpenWorld
from settings import Settings
from world import BEARER, CHAT, World, chat_body

GEMINI = "/v1beta/models/gpt-4o:generateContent"
GEMINI_BODY = b'{"contents":[{"parts":[{"text":"Hello"}]}]}'
# All headers that a server may get from a plain client's request, besides its credential.
PLAIN = {"host", "accept", "accept-encoding", "content-length", "content-type", "user-agent", "authorization", "x-request-id"}
# Headers that must not leave the gateway.
PRIVATE = {
    "cookie": "session=1",
    "proxy-authorization": "Basic eDp5",
    "forwarded": "for=10.1.2.3",
    "via": "1.1 inner",
    "x-forwarded-for": "10.1.2.3",
    "x-forwarded-host": "inner.example",
    "x-forwarded-proto": "https",
    "x-forwarded-client-cert": "Hash=1",
    "x-real-ip": "10.1.2.3",
    "x-auth-token": "secret",
    "x-team": "red",
    "openai-organization": "org",
    "openai-project": "project",
    "x-goog-user-project": "project",
    "chatgpt-account-id": "account",
    "te": "trailers",
    "x-http-method-override": "DELETE",
}
# Headers of Codex, Claude Code and tracers.
TOOLS = {
    "originator": "codex_cli_rs",
    "version": "0.144.0",
    "session_id": "1",
    "conversation_id": "1",
    "x-codex-turn-state": "s",
    "x-app": "cli",
    "x-claude-code-session-id": "1",
    "anthropic-dangerous-direct-browser-access": "true",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "baggage": "a=b",
    "idempotency-key": "1",
    "http-referer": "https://app.example",
    "x-title": "App",
}
TEXT = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def _forwarding(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    changed.upstreams["mock-a"].update(forward_headers=["Cookie", "x-t*", "OpenAI-Organization"], query="v=1&api-version=2")
    changed.upstreams["mock-c"].update(dialects=["openai"], host="models.example", base_path="/v1/deployments/{model}")
    changed.add_model("a-first", "mock-a", "mock-b")
    changed.add_model("b-first", "mock-b", "mock-a")
    changed.models.append({"name": "*", "targets": [{"upstream": "mock-c"}]})
    changed.add_model("only-b", "mock-b")
    host = changed.manager["route_config"]["virtual_hosts"][0]
    host["request_headers_to_add"] = [{"header": {"key": name, "value": "operator"}} for name in ("x-auth-token", "x-site")]
    with open_world(changed.text()) as world:
        yield world


@pytest.fixture
def forwarding(_forwarding: World) -> World:
    _forwarding.reset()
    return _forwarding


def _headers(world: World, headers: dict[str, str], model: str = "only-b", path: str = CHAT) -> dict[str, str]:
    response = world.send(chat_body(model=model), path=path, headers={**BEARER, **TEXT, **headers})
    assert response.status_code == 200
    _, entry = world.entry()
    return dict(entry["headers"])


def test_only_listed_headers_are_forwarded(world: World) -> None:
    found = _headers(world, {**PRIVATE, **TOOLS}, model="gpt-4o")
    assert found.keys() - TOOLS.keys() <= PLAIN
    assert {name: found.get(name) for name in TOOLS} == TOOLS


def test_headers_from_the_operator(forwarding: World) -> None:
    """Envoy's route adds two headers; the client has sent one of them, too."""
    own = {"x-auth-token": "operator", "x-site": "operator"}
    found = _headers(forwarding, PRIVATE)
    assert {name: value for name, value in found.items() if name not in PLAIN} == own
    forwarding.reset()
    found = _headers(forwarding, PRIVATE, model="a-first")
    wanted = {"cookie": "session=1", "x-team": "red", "openai-organization": "org", **own}
    assert {name: value for name, value in found.items() if name not in PLAIN} == wanted


@pytest.mark.parametrize(("model", "failing"), [("a-first", "mock-a"), ("b-first", "mock-b")])
def test_each_attempt_gets_its_own_headers(forwarding: World, model: str, failing: str) -> None:
    """All attempts share Envoy's headers: an attempt must not see the previous one's headers, and must not lose the client's."""
    forwarding.fault({"fault": "status", "status": 500}, failing)
    assert forwarding.send(chat_body(model=model), headers={**BEARER, **PRIVATE}).status_code == 200
    journals = forwarding.journals()
    forwarded = {"cookie", "x-team", "openai-organization"}
    for name, wanted in (("mock-a", forwarded), ("mock-b", set())):
        (entry,) = journals[name]
        assert entry["headers"].keys() & PRIVATE.keys() - {"x-auth-token"} == wanted, name
        assert entry["headers"]["authorization"] == f"Bearer {name}-secret"


def test_authority(forwarding: World) -> None:
    """The client's name for the gateway does not go upstream."""
    assert _headers(forwarding, {"host": "gateway.internal"})["host"] == "mock-b"
    forwarding.reset()
    forwarding.send(chat_body(model="anything"), headers={**BEARER, "host": "gateway.internal"})
    assert forwarding.entry()[1]["headers"]["host"] == "models.example"


@pytest.mark.parametrize("name", ["key", "KEY", "%6bey", "k%65y", "api_key", "api-key", "API%5Fkey", "access_token"])
def test_no_key_in_the_query(world: World, name: str) -> None:
    for path, body in ((CHAT, chat_body()), (GEMINI, GEMINI_BODY)):
        world.reset()
        assert world.send(body, path=f"{path}?a=1&{name}={demo.USER_KEY}&alt=json").status_code == 200
        server, entry = world.entry()
        assert entry["path"] == f"{path}?a=1&alt=json".replace("gpt-4o", f"gpt-4o-{server}")


def test_operator_query_wins(forwarding: World) -> None:
    assert forwarding.send(chat_body(model="a-first"), path=f"{CHAT}?API-version=9&a=b&%76=7").status_code == 200
    assert forwarding.entry()[1]["path"] == f"{CHAT}?v=1&api-version=2&a=b"


def test_model_names_in_paths(forwarding: World) -> None:
    for name in ("..", "../../admin", "a/../b", r"a\..\b", "."):
        assert forwarding.send(chat_body(model=name)).status_code == 404
    assert forwarding.entries() == []
    forwarding.send(chat_body(model="org/model?x#y"))
    assert forwarding.entry()[1]["path"] == "/v1/deployments/org%2Fmodel%3Fx%23y/chat/completions"


def test_servers_cannot_set_gateway_headers(world: World) -> None:
    forged = {"x-sluice-cluster": "forged", "x-sluice-guard": "forged", "x-sluice-dropped": "forged", "X-Sluice-New": "forged"}
    for status in (200, 400):
        world.fault({"fault": "status", "status": status, "headers": forged})
        assert "forged" not in str(world.chat().headers)


def test_sdk_headers_arrive(world: World) -> None:
    """All SDK headers arrive, except keys and accounts."""
    messages: list[Any] = [{"role": "user", "content": "Hello"}]
    recorded: list[dict[str, str]] = []
    hooks = {"request": [lambda request: recorded.append(dict(request.headers))]}
    with openai.OpenAI(base_url=f"{world.url}/v1", api_key=demo.USER_KEY, organization="org") as client:
        client._client.event_hooks = hooks
        client.chat.completions.create(model="gpt-4o", messages=messages)
    with anthropic.Anthropic(base_url=world.url, api_key=demo.USER_KEY) as claude:
        claude._client.event_hooks = hooks
        claude.messages.create(model="gpt-4o", max_tokens=9, messages=messages)
    arrived = [entry["headers"] for entry in sorted((entry for _, entry in world.entries()), key=lambda entry: len(entry["path"]), reverse=True)]
    ours = {"authorization", "x-api-key", "openai-organization", "connection", "host", "accept-encoding", "content-length"}
    for sent, found in zip(recorded, arrived, strict=True):
        assert len(sent) > 12 and {name: found.get(name) for name in sent if name not in ours} == {
            name: value for name, value in sent.items() if name not in ours
        }
