"""A guard on every path that carries text: what it blocks never reaches a server, what it hides comes back, and who is refused is
told so in the words of the client's dialect, whichever dialect the server speaks."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import httpx
import pytest

import answers
from conftest import OpenWorld
from gateway import MockModels
from guarded import guarded, since, verdicts
from settings import Settings
from test_endpoints import ANSWERS, Provider
from world import BEARER, World, eventually

BAD = "E-4711"
ADDRESS, PLACEHOLDER = "ann@example.com", "<EMAIL_ADDRESS_1>"
OWN_NAME = "gpt-4o-further"
EVERYBODY = ["system", "user", "assistant", "tool"]
CUSTOM = {"api": "patterns", "custom": [{"name": "EMPLOYEE_ID", "regex": "E-[0-9]{4}"}]}

# Path, where a text can stand in its request, and the field that the error names.
REQUESTS: list[tuple[str, Callable[[str], dict[str, Any]], str | None]] = [
    ("/v1/moderations", lambda text: {"input": text}, "input"),
    ("/v1/moderations", lambda text: {"input": ["fine", text]}, "input"),
    ("/v1/moderations", lambda text: {"input": [{"type": "text", "text": text}]}, "input"),
    ("/v1/images/generations", lambda text: {"prompt": text}, "prompt"),
    ("/v1/audio/speech", lambda text: {"input": text, "voice": "alloy"}, "input"),
    ("/v1/audio/speech", lambda text: {"input": "fine", "voice": "alloy", "instructions": text}, "input"),
    ("/v1/rerank", lambda text: {"query": text, "documents": ["fine"]}, None),
    ("/v1/rerank", lambda text: {"query": "fine", "documents": ["fine", text]}, None),
    ("/v2/rerank", lambda text: {"query": "fine", "documents": [{"title": "fine", "body": text}]}, None),
    ("/v1/messages/count_tokens", lambda text: {"messages": [{"role": "user", "content": text}]}, None),
    ("/v1/messages/count_tokens", lambda text: {"system": text, "messages": [{"role": "user", "content": "fine"}]}, None),
    ("/v1/responses/input_tokens", lambda text: {"input": text}, "input"),
    ("/v1/responses/input_tokens", lambda text: {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]}, "input"),
    ("/api/show", lambda text: {"system": text}, None),
    ("/api/embeddings", lambda text: {"prompt": text}, None),
]
# Paths of clients, a request of each, and what a filtered answer of it says.
CLIENTS: dict[str, tuple[Callable[[str], dict[str, Any]], str]] = {
    "/v1/chat/completions": (lambda text: {"messages": [{"role": "user", "content": text}]}, '"finish_reason":"content_filter"'),
    "/v1/messages": (lambda text: {"messages": [{"role": "user", "content": text}], "max_tokens": 99}, '"stop_reason":"refusal"'),
    "/v1/responses": (lambda text: {"input": text}, '"incomplete_details":{"reason":"content_filter"}'),
}
SERVERS = {"mock-a": "openai", "mock-b": "anthropic", "mock-c": "gemini", "mock-d": "converse"}
# Which of them translate, beside those that speak the client's own dialect.
PAIRS = [(path, server) for path in CLIENTS for server in SERVERS if (path, server) not in (("/v1/messages", "mock-c"), ("/v1/messages", "mock-d"))]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider  # type: ignore[misc]


@pytest.fixture(scope="module")
def _world(settings: Callable[[], Settings], open_world: OpenWorld, provider: Provider) -> Iterator[World]:
    with MockModels("mock-d") as bedrock:
        changed = settings()
        changed.add_cluster("further", provider.address)
        changed.upstreams["further"] = {"dialects": ["openai", "anthropic", "ollama"]}
        changed.upstreams["mock-a"].update(dialects=["openai"], responses_api=False)
        changed.upstreams["mock-b"]["dialects"] = ["anthropic"]
        changed.upstreams["mock-c"]["dialects"] = ["gemini"]
        changed.add_cluster("mock-d", bedrock.address)
        changed.upstreams["mock-d"] = {"dialects": ["converse"]}
        for model in ("blocked", "hidden", "watched"):
            changed.add_model(model, "further")
        for server in SERVERS:
            changed.add_model(f"asked-{server}", server)
            changed.add_model(f"answered-{server}", server)
        asked = {"name": "asked", **CUSTOM, "phase": ["request"], "action": "block", "roles": EVERYBODY, "models": ["blocked", "asked-*"]}
        hidden = {"name": "hidden", "api": "patterns", "phase": ["request"], "action": "restore", "models": ["hidden"]}
        answered = {"name": "answered", **CUSTOM, "phase": ["response"], "action": "block", "models": ["watched", "answered-*"]}
        with open_world(guarded(changed, [asked, hidden, answered]).text(), {"mock-d": bedrock}) as world:
            yield world


@pytest.fixture
def world(_world: World, provider: Provider) -> World:
    _world.reset()
    provider.asked.clear()
    return _world


def _send(world: World, path: str, model: str, body: dict[str, Any]) -> httpx.Response:
    headers = {**BEARER, "anthropic-version": "2023-06-01"}
    return world.send(json.dumps({"model": model, **body}).encode(), path=path, headers=headers)


def _assert_refused(response: httpx.Response, path: str, what: str, check: str, param: str | None = None) -> None:
    """In the shape that the path's clients know, and without the text."""
    message = f"The {what} was blocked by the check `{check}`: EMPLOYEE_ID."
    assert response.status_code == 400 and BAD not in response.text
    if path.startswith("/api/"):
        assert response.json() == {"error": message}
    elif path.startswith("/v1/messages"):
        error = answers.anthropic_error(response)
        assert (error["type"], error["message"]) == ("invalid_request_error", message)
    else:
        error = answers.openai_error(response)
        assert (error["code"], error["message"], error["param"]) == ("content_filter", message, param)


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_requests(world: World, provider: Provider, number: int) -> None:
    path, body, param = REQUESTS[number]
    before = verdicts(world)
    _assert_refused(_send(world, path, "blocked", body(f"Of {BAD}.")), path, "request", "asked", param)
    assert provider.asked == [] and since(before, verdicts(world)) == {("asked", "request", "block"): 1}
    assert _send(world, path, "blocked", body("Of nobody.")).status_code == 200
    response = _send(world, path, "hidden", body(f"Of {ADDRESS}."))
    (_, _, clean), (_, _, hidden) = provider.asked
    assert (response.status_code, clean.pop("model"), hidden.pop("model")) == (200, OWN_NAME, OWN_NAME)
    assert (clean, hidden) == (body("Of nobody."), body(f"Of {PLACEHOLDER}."))


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_documents_come_back(world: World, provider: Provider, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rerank's answers may repeat the documents."""
    body = {"query": "who", "documents": [f"{ADDRESS} has it", "nobody"], "return_documents": True}
    result = {"index": 0, "relevance_score": 0.5, "document": {"text": f"{PLACEHOLDER} has it"}}
    monkeypatch.setitem(ANSWERS, path, {**ANSWERS[path], "results": [result]})
    assert _send(world, path, "hidden", body).json()["results"][0]["document"] == {"text": f"{ADDRESS} has it"}
    assert ADDRESS not in json.dumps(provider.asked[0][2])
    result["document"] = {"text": f"Of {BAD}."}
    _assert_refused(_send(world, path, "watched", body), path, "response", "answered")
    assert _send(world, path, "blocked", body).json()["results"] == [result], "it is not checked for this model"


@pytest.mark.parametrize("path", [path for path in ANSWERS if "rerank" not in path])
def test_other_answers_pass(world: World, path: str) -> None:
    """They have no words of a model's: numbers, sound, pictures."""
    body = {"input": "a", "prompt": "a", "messages": [{"role": "user", "content": "a"}]}
    response = _send(world, path, "watched", body)
    want = ANSWERS[path]
    assert (response.content == want) if isinstance(want, bytes) else (response.json() == want)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "server"), PAIRS)
def test_translated(world: World, path: str, server: str, stream: bool) -> None:
    body, ending = CLIENTS[path]
    fields = {**body(f"Of {BAD}."), "stream": stream}
    param = {"/v1/chat/completions": "messages", "/v1/responses": "input"}.get(path)
    _assert_refused(_send(world, path, f"asked-{server}", fields), path, "request", "asked", param)
    assert world.entries() == []
    before = verdicts(world)
    response = _send(world, path, f"answered-{server}", fields)
    assert response.status_code == 200 and BAD not in response.text
    assert ending in response.text.replace('": ', '":'), response.text
    assert len(world.entries()) == 1
    eventually(lambda: since(before, verdicts(world)).get(("answered", "response", "block")), 1)
