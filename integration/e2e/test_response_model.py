"""`response_model: requested`: answers have the client's name for the model, and a header has the target's name."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest

import demo
from conftest import OpenWorld
from resilience import add_upstream
from settings import Settings
from world import BEARER, CHAT, MESSAGES, World, chat_body

NAME = 'mine "0"'
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
MESSAGE = {"model": NAME, "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
CHATTING = {"model": NAME, "messages": [{"role": "user", "content": "Hello"}]}
# Path, body, whether it is a stream
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (CHAT, CHATTING),
    "chat stream": (CHAT, {**CHATTING, "stream": True}),
    "completion": ("/v1/completions", {"model": NAME, "prompt": "Hello"}),
    "completion stream": ("/v1/completions", {"model": NAME, "prompt": "Hello", "stream": True}),
    "response": ("/v1/responses", {"model": NAME, "input": "Hello"}),
    "response stream": ("/v1/responses", {"model": NAME, "input": "Hello", "stream": True}),
    "message": (MESSAGES, MESSAGE),
    "message stream": (MESSAGES, {**MESSAGE, "stream": True}),
    "ollama": ("/api/chat", {**CHATTING, "stream": False}),
    "ollama stream": ("/api/chat", CHATTING),
    "ollama generate": ("/api/generate", {"model": NAME, "prompt": "Hello"}),
}


@pytest.fixture(scope="module")
def named(settings: Callable[[], Settings], models: Any, open_world: OpenWorld) -> Any:
    changed = settings()
    router = changed.values("router")
    router.update(response_model="requested", answer_headers="after_failure")
    for upstream in changed.upstreams.values():
        upstream["dialects"] = ["openai", "anthropic", "ollama", "gemini"]
    for name, dialect in (("claude", "anthropic"), ("google", "gemini")):
        add_upstream(changed, name, "mock-a", models["mock-a"].address, dialects=[dialect])
        changed.models.append({"name": name, "targets": [{"upstream": name, "model": "gpt-4o-mock-a"}]})
    changed.models.append({"name": NAME, "targets": [{"upstream": "mock-a", "model": "gpt-4o-mock-a"}]})
    with open_world(changed.text()) as world:
        yield world


def _names(text: str) -> set[str]:
    """The models that an answer or a stream's events name, in every dialect."""
    lines = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith(("data:", "{"))]
    documents = [json.loads(line) for line in lines if line != "[DONE]"]
    found = set()
    for document in documents:
        for place in (document, document.get("response"), document.get("message")):
            if isinstance(place, dict):
                found |= {place[key] for key in ("model", "modelVersion") if key in place}
    return found


@pytest.mark.parametrize("call", CALLS)
def test_every_dialect(named: World, call: str) -> None:
    path, body = CALLS[call]
    headers = {**BEARER, "anthropic-version": "2023-06-01"}
    answer = named.send(json.dumps(body).encode(), path=path, headers=headers)
    assert answer.status_code == 200, answer.text
    assert _names(answer.text) == {NAME}
    assert "gpt-4o-mock-a" not in json.dumps(sorted(_names(answer.text)))
    assert answer.headers["x-sluice-model"] == "gpt-4o-mock-a"
    assert "x-sluice-cluster" not in answer.headers, "the header is only sent after a failure"
    if "content-length" in answer.headers:
        assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("provider", ["claude", "google"])
@pytest.mark.parametrize("call", ["chat", "chat stream", "response", "response stream"])
def test_translated_answers(named: World, provider: str, call: str) -> None:
    path, body = CALLS[call]
    answer = named.send(json.dumps({**body, "model": provider}).encode(), path=path, headers=BEARER)
    assert answer.status_code == 200, answer.text
    assert _names(answer.text) == {provider}
    assert answer.headers["x-sluice-model"] == "gpt-4o-mock-a"


def test_gemini_model_version(named: World) -> None:
    for verb in ("generateContent", "streamGenerateContent?alt=sse", "streamGenerateContent"):
        answer = named.send(json.dumps(CONTENTS).encode(), path=f"/v1beta/models/mine%20%220%22:{verb}", headers=BEARER)
        assert answer.status_code == 200, answer.text
        text = answer.text if "alt" in verb else json.dumps({"x": answer.json()})
        assert "gpt-4o-mock-a" not in _version(text), verb


def _version(text: str) -> str:
    return " ".join(part.split('"')[2] for part in text.split("modelVersion")[1:])


def test_default_is_the_target_name(world: World) -> None:
    answer = world.send(chat_body(model="gpt-4o"), headers=BEARER)
    assert answer.json()["model"].startswith("gpt-4o-mock-")
    assert answer.headers["x-sluice-model"] == answer.json()["model"]
    assert demo.USER_KEY not in answer.text
