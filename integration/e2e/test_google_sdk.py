"""Google's own SDK with the gateway: answers, and the error classes that it raises."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import pytest
from google import genai
from google.genai import errors, types

import demo
from answers import google_error
from conftest import CLOSED_PORT, OpenWorld
from resilience import add_upstream
from settings import Settings
from world import BEARER, World

GENERATE = "/v1beta/models/{}:generateContent"
CONTENTS = b'{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}'


@pytest.fixture(scope="module")
def served(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    changed.upstreams["mock-a"]["dialects"] = ["openai", "anthropic", "ollama", "gemini"]
    changed.models.append({"name": "gemini", "targets": [{"upstream": "mock-a", "model": "gpt-4o-mock-a"}]})
    add_upstream(changed, "closed", "mock-a", CLOSED_PORT, dialects=["gemini"])
    changed.models.append({"name": "closed", "targets": ["closed"]})
    add_upstream(changed, "moved", "mock-a", CLOSED_PORT, dialects=["gemini"], base_path="/elsewhere")
    changed.models.append({"name": "moved", "targets": ["moved"]})
    with open_world(changed.text()) as world:
        yield world


def _client(world: World, key: str = demo.USER_KEY) -> genai.Client:
    options = types.HttpOptions(base_url=world.url, api_version="v1beta", timeout=10_000)
    return genai.Client(api_key=key, http_options=options)


def test_answers(served: World) -> None:
    client = _client(served)
    answer = client.models.generate_content(model="gemini", contents="Hello")
    assert answer.text == "Hello from mock-a. You said: Hello"
    chunks = list(client.models.generate_content_stream(model="gemini", contents="Hello"))
    assert "".join(chunk.text or "" for chunk in chunks) == answer.text


def _error(call: Callable[[], Any]) -> errors.APIError:
    with pytest.raises(errors.APIError) as raised:
        call()
    return raised.value


@pytest.mark.parametrize("stream", [False, True])
def test_errors(served: World, stream: bool) -> None:
    def ask(model: str, key: str = demo.USER_KEY) -> Callable[[], Any]:
        client = _client(served, key)
        if stream:
            return lambda: list(client.models.generate_content_stream(model=model, contents="Hello"))
        return lambda: client.models.generate_content(model=model, contents="Hello")

    for call, kind, code, status, message in [
        (ask("nothing"), errors.ClientError, 404, "NOT_FOUND", "does not exist"),
        (ask("gemini", "sk-wrong"), errors.ClientError, 401, "UNAUTHENTICATED", "Incorrect API key"),
        (ask("closed"), errors.ServerError, 503, "UNAVAILABLE", "could be reached"),
        (ask("moved"), errors.ServerError, 503, "UNAVAILABLE", "could be reached"),
    ]:
        error = _error(call)
        assert isinstance(error, kind), error
        assert (error.code, error.status) == (code, status) and message in error.message, error


def test_envoys_own_errors(served: World) -> None:
    """A body above Envoy's limit, on the paths of both dialects."""
    body = CONTENTS + b" " * (9 << 20)
    error = google_error(served.send(body, path=GENERATE.format("gemini"), headers=BEARER))
    assert (error["code"], error["status"]) == (413, "INVALID_ARGUMENT")
    answer = served.send(b'{"model":"gpt-4o"}' + b" " * (9 << 20), path="/api/chat", headers=BEARER)
    assert answer.status_code == 413 and isinstance(answer.json()["error"], str)
