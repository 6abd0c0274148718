"""A model's defaults and overrides, and the default model."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import pytest

from conftest import OpenWorld
from settings import Settings
from world import BEARER, MESSAGES, World, chat_body, eventually


@pytest.fixture(scope="module")
def _set(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    for upstream in changed.upstreams.values():
        upstream["dialects"] = ["openai", "anthropic", "ollama", "gemini"]
    targets = [{"upstream": "mock-a", "model": "gpt-4o-mock-a"}]
    fields = {"defaults": {"temperature": 0, "max_tokens": 30, "stream": True}, "overrides": {"system": "From the operator", "seed": 7}}
    changed.models.append({"name": "set", "targets": targets, "cache": {"time": "10m"}, **fields})
    changed.models.append({"name": "strict", "targets": targets, "validate": "on"})
    changed.models.append({"name": "lenient", "targets": targets, "validate": "warn"})
    changed.values("router")["default_model"] = "set"
    with open_world(changed.text(), own=True) as world:
        yield world


@pytest.fixture
def world(_set: World) -> World:
    _set.reset()
    return _set


def _sent(world: World) -> dict[str, Any]:
    _, entry = world.entry()
    return entry["body"]


HEADERS = {**BEARER, "anthropic-version": "2023-06-01"}
SYSTEM = {"role": "system", "content": "From the operator"}
USER = {"role": "user", "content": "Hello"}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "chat": (
        "/v1/chat/completions",
        {"model": "set", "messages": [{"role": "developer", "content": "Mine"}, USER]},
        {"messages": [SYSTEM, USER], "temperature": 0, "max_tokens": 30, "seed": 7, "stream": True},
    ),
    "chat_with_fields": (
        "/v1/chat/completions",
        {"model": "set", "messages": [USER], "temperature": 1, "max_completion_tokens": 5, "seed": 1, "stream": False},
        {"messages": [SYSTEM, USER], "temperature": 1, "max_completion_tokens": 5, "seed": 7, "stream": False},
    ),
    "no_model": ("/v1/chat/completions", {"messages": [USER]}, {"messages": [SYSTEM, USER], "temperature": 0}),
    "messages": (
        MESSAGES,
        {"model": "set", "messages": [USER], "system": "Mine"},
        {"system": "From the operator", "temperature": 0, "max_tokens": 30, "stream": True},
    ),
    "responses": (
        "/v1/responses",
        {"model": "set", "input": [{"role": "system", "content": "Mine"}, USER]},
        {"input": [USER], "instructions": "From the operator", "max_output_tokens": 30, "stream": True},
    ),
    "gemini": (
        "/v1beta/models/set:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], "generationConfig": {"topP": 1}},
        {
            "systemInstruction": {"parts": [{"text": "From the operator"}]},
            "generationConfig": {"topP": 1, "temperature": 0, "maxOutputTokens": 30, "seed": 7},
        },
    ),
    "ollama": (
        "/api/chat",
        {"model": "set", "messages": [USER], "stream": False},
        {"messages": [SYSTEM, USER], "options": {"temperature": 0, "num_predict": 30, "seed": 7}, "stream": False},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_server_gets_the_settings(world: World, case: str) -> None:
    path, body, want = CASES[case]
    answer = world.send(json.dumps(body).encode(), path=path, headers={**HEADERS, "cache-control": "no-cache"})
    assert answer.status_code == 200, answer.text
    sent = _sent(world)
    assert {name: sent.get(name) for name in want} == want


def test_other_models_are_left_alone(world: World) -> None:
    body = chat_body("Untouched")
    assert world.send(body).status_code == 200
    sent = _sent(world)
    asked = json.loads(body)
    assert {name: value for name, value in sent.items() if name != "model"} == {n: v for n, v in asked.items() if n != "model"}


def test_a_default_of_zero_is_kept(world: World) -> None:
    answers = [world.chat("Cold by default", model="set") for _ in range(2)]
    assert [answer.headers.get("x-sluice-cache") for answer in answers] == ["miss", "hit"]
    assert len(world.entries()) == 1


def test_large_and_chunked_bodies(world: World) -> None:
    text = "long " * 100_000
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    parts = iter([body[:70_000], body[70_000:]])
    for content in (body, parts):
        world.heal()
        answer = world.send(content, headers={**BEARER, "cache-control": "no-cache"})
        assert answer.status_code == 200, answer.text
        sent = _sent(world)
        assert sent["messages"][0] == SYSTEM and sent["messages"][1]["content"] == text


INVALID = [{"role": "user", "content": [{"type": "text", "text": "a secret"}, {"type": "text", "txt": "a secret"}]}]
WHERE = "`messages[0].content[1].text` is missing"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat"])
def test_invalid_bodies_are_refused_in_the_clients_dialect(world: World, path: str) -> None:
    body = {"model": "strict", "max_tokens": 5, "messages": INVALID}
    if path != "/v1/chat/completions":
        body = {"model": "strict", "max_tokens": 5, "messages": [{"role": "robot", "content": "a secret"}]}
    answer = world.send(json.dumps(body).encode(), path=path)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    message = error if path == "/api/chat" else error["message"]
    assert message.startswith(WHERE if path == "/v1/chat/completions" else "`messages[0].role` must be one of")
    assert not world.entries()


def test_invalid_bodies_are_counted(world: World) -> None:
    before = world.counted("llm_invalid_requests_total")
    body = {"messages": INVALID}
    answers = [world.send(json.dumps({"model": model, **body}).encode()) for model in ("strict", "lenient")]
    assert [answer.status_code for answer in answers] == [400, 200], [answer.text for answer in answers]
    labels = {("strict", "messages.content.text"): 1, ("lenient", "messages.content.text"): 1}
    eventually(lambda: world.counted("llm_invalid_requests_total") - before, labels)
    assert "`messages[0].content[1].text`" in world.gateway.log()
    assert "a secret" not in world.gateway.log()


SPLITS = [("auth+router+usage",), ("auth", "router+usage"), ("auth", "guard", "router", "usage"), ("router+usage",)]


@pytest.mark.parametrize("entries", SPLITS, ids=" ".join)
def test_without_a_model(settings: Callable[[], Settings], open_world: OpenWorld, entries: tuple[str, ...]) -> None:
    """Wherever the request is read, and also if it names a prompt of the library."""
    changed = settings()
    changed.models.append({"name": "plain", "targets": [{"upstream": "mock-a", "model": "gpt-4o-mock-a"}], "overrides": {"seed": 7}})
    changed.values("router").update(default_model="plain", prompts={"greeting": {"en": "Greet {{ name }}."}})
    greeting = {"role": "system", "content": "Greet Ada."}
    prompt = {"name": "greeting", "variables": {"name": "Ada"}}
    if len(entries) > 1 or entries[0] != changed.plugin("router")["root_id"]:
        changed.split(*entries)
    with open_world(changed.text(), own=True) as world:
        for body, messages in (
            ({"messages": [USER]}, [USER]),
            ({"prompt": prompt, "messages": [USER]}, [greeting, USER]),
            ({"model": "plain", "prompt": prompt, "messages": [USER]}, [greeting, USER]),
        ):
            world.heal()
            answer = world.send(json.dumps(body).encode())
            assert answer.status_code == 200, answer.text
            sent = _sent(world)
            assert (sent["messages"], sent.get("seed"), "prompt" in sent) == (messages, 7, False)
