"""Answers of model servers with another dialect are kept as the client gets them: in its own dialect, as JSON or as a stream."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import pytest

from conftest import OpenWorld
from settings import Settings
from world import BEARER, MESSAGES, World

COLD = {"temperature": 0}
# The model servers, by their only dialect. Each has a model of that name.
SERVERS = {"openai": "mock-a", "anthropic": "mock-b", "gemini": "mock-c"}
CHAT = {"messages": [{"role": "user", "content": "one two three four"}], "max_tokens": 50, **COLD}
RESPONSE = {"input": "one two three four", **COLD}
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "messages": (MESSAGES, CHAT),
    "responses": ("/v1/responses", RESPONSE),
}
PAIRS = [
    ("chat", "anthropic"),
    ("chat", "gemini"),
    ("messages", "openai"),
    ("responses", "openai"),
    ("responses", "anthropic"),
    ("responses", "gemini"),
]


@pytest.fixture(scope="module")
def _translated(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    for dialect, server in SERVERS.items():
        changed.upstreams[server]["dialects"] = [dialect]
        targets = [{"upstream": server, "model": f"gpt-4o-{server}"}]
        changed.models.append({"name": dialect, "targets": targets, "cache": {}})
    changed.upstreams["mock-a"]["responses_api"] = False
    with open_world(changed.text()) as world:
        yield world


def _words(client: str, text: str, stream: bool) -> str:
    """The text of an answer."""
    if not stream:
        body = json.loads(text)
        return {
            "chat": lambda: body["choices"][0]["message"]["content"],
            "messages": lambda: body["content"][0]["text"],
            "responses": lambda: "".join(part["text"] for item in body["output"] for part in item.get("content", [])),
        }[client]()
    found = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]
    if client == "chat":
        assert text.endswith("data: [DONE]\n\n")
        return "".join(choice["delta"].get("content") or "" for event in found for choice in event["choices"])
    deltas = [event["delta"] for event in found if event["type"] in ("content_block_delta", "response.output_text.delta")]
    assert found[-1]["type"] in ("message_stop", "response.completed")
    return "".join(delta if isinstance(delta, str) else delta.get("text", "") for delta in deltas)


@pytest.mark.parametrize("first", [False, True], ids=["json-first", "stream-first"])
@pytest.mark.parametrize("client, server", PAIRS)
def test_translated(_translated: World, client: str, server: str, first: bool) -> None:
    world = _translated
    world.reset()
    path, body = CLIENTS[client]
    answers = []
    for stream in (first, not first, first):
        content = json.dumps({**body, "model": server, "stream": stream}).replace("one", f"one {client} {first}")
        answer = world.send(content.encode(), path=path, headers={**BEARER, "anthropic-version": "2023-06-01"})
        assert answer.status_code == 200, answer.text
        answers.append((answer.headers["x-sluice-cache"], _words(client, answer.text, stream)))
    assert [result for result, _ in answers] == ["miss", "hit", "hit"]
    assert len({words for _, words in answers}) == 1 and answers[0][1]
    (name, entry) = world.entry()
    assert name == SERVERS[server] and entry["path"].split("?")[0] != path
