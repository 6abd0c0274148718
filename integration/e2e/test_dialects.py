"""For each dialect: the exact bytes that the server receives, and the counted tokens."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Iterator

import pytest

import demo
from answers import events, tokens
from conftest import OpenWorld
from recorder import Recorder
from settings import Settings
from world import BEARER, CHAT, MESSAGES, World, chat_body, eventually

SAID = [{"role": "user", "content": "Hello"}]
CONTENTS = {"contents": [{"parts": [{"text": "Hello"}]}]}
GEMINI = "/v1beta/models/gpt-4o"
# Path, body without its model, the shape of the answer, tokens in and out.
CALLS: dict[str, tuple[str, dict[str, Any], str, tuple[int, int]]] = {
    "chat": (CHAT, {"messages": SAID}, "json", (1, 10)),
    "chat stream": (CHAT, {"messages": SAID, "stream": True}, "sse", (1, 10)),
    "messages": (MESSAGES, {"messages": SAID, "max_tokens": 9}, "json", (1, 9)),
    "messages stream": (MESSAGES, {"messages": SAID, "max_tokens": 9, "stream": True}, "sse", (1, 9)),
    "responses": ("/v1/responses", {"input": "Hello"}, "json", (1, 10)),
    "responses stream": ("/v1/responses", {"input": "Hello", "stream": True}, "sse", (1, 10)),
    "completions stream": ("/v1/completions", {"prompt": "Hello", "stream": True}, "sse", (1, 10)),
    "ollama chat": ("/api/chat", {"messages": SAID}, "lines", (1, 10)),
    "ollama chat, whole": ("/api/chat", {"messages": SAID, "stream": False}, "json", (1, 10)),
    "ollama generate": ("/api/generate", {"prompt": "Hello"}, "lines", (1, 10)),
    "ollama generate, whole": ("/api/generate", {"prompt": "Hello", "stream": False}, "json", (1, 10)),
    "ollama embed": ("/api/embed", {"input": ["Hello", "big world"]}, "json", (3, 0)),
    "gemini": (f"{GEMINI}:generateContent", CONTENTS, "json", (1, 10)),
    "gemini stream, sse": (f"{GEMINI}:streamGenerateContent?alt=sse", CONTENTS, "sse", (1, 10)),
    "gemini stream, array": (f"{GEMINI}:streamGenerateContent", CONTENTS, "json", (1, 10)),
}
CONTENT_TYPES = {"json": "application/json", "sse": "text/event-stream", "lines": "application/x-ndjson"}
ANTHROPIC_VERSION = {"anthropic-version": "2023-06-01"}

# Path, the header that carries the server's key, the path the server sees.
ENDPOINTS = [
    (CHAT, "authorization", CHAT),
    ("/v1/chat/completions?api-version=1&key=sk-demo-user", "authorization", "/v1/chat/completions?api-version=1"),
    ("/v1/completions", "authorization", "/v1/completions"),
    ("/v1/embeddings", "authorization", "/v1/embeddings"),
    ("/v1/responses", "authorization", "/v1/responses"),
    (MESSAGES, "x-api-key", MESSAGES),
    (f"{MESSAGES}?beta=true", "x-api-key", f"{MESSAGES}?beta=true"),
    ("/api/chat", "authorization", "/api/chat"),
    ("/api/generate", "authorization", "/api/generate"),
    ("/api/embed", "authorization", "/api/embed"),
    (f"{GEMINI}:generateContent", "x-goog-api-key", "/v1beta/models/target%2Fname:generateContent"),
    ("/v1beta/models/gpt%2D4o:generateContent", "x-goog-api-key", "/v1beta/models/target%2Fname:generateContent"),
    (
        f"{GEMINI}:streamGenerateContent?key=sk-demo-user&alt=sse",
        "x-goog-api-key",
        "/v1beta/models/target%2Fname:streamGenerateContent?alt=sse",
    ),
]
CREDENTIALS = {"authorization": "Bearer mock-a-secret", "x-api-key": "mock-a-secret", "x-goog-api-key": "mock-a-secret"}

# A client's bytes, and the bytes for a target with the model name "target/name". tests/core/rewrite.rs has other bodies.
BODY = '{"model":"gpt-4o","s":"ü\\u00fc\\/\\"model\\":🦀","\\"model\\"":"gpt-4o"}'.encode()
REWRITTEN = '{"model":"target/name","s":"ü\\u00fc\\/\\"model\\":🦀","\\"model\\"":"gpt-4o"}'.encode()
# The same for a stream, with a request for usage.
STREAM_BODY = b'{"stream":true,"stream_options":{"a":[1]},"model":"gpt-4o"}'
STREAM_REWRITTEN = b'{"stream":true,"stream_options":{"include_usage":true,"a":[1]},"model":"target/name"}'


@pytest.fixture(scope="module")
def recorded(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[tuple[World, Recorder]]:
    """A gateway whose only server keeps the received bytes."""
    with Recorder() as recorder:
        changed = settings()
        changed.add_cluster("recorder", recorder.address)
        changed.upstreams["mock-a"]["cluster"] = "recorder"
        changed.models[0]["targets"] = [{"upstream": "mock-a", "model": "target/name"}]
        changed.models[1]["targets"] = [{"upstream": "mock-a"}]
        with open_world(changed.text()) as world:
            yield world, recorder


@pytest.mark.parametrize("name", CALLS)
def test_answer_and_tokens(world: World, name: str) -> None:
    path, fields, shape, want = CALLS[name]
    model = "text-embedding-3-small" if "embed" in name else "gpt-4o"
    before = world.counted("llm_tokens_total")
    response = world.send(json.dumps({"model": model, **fields}).encode(), path=path, headers=BEARER | ANTHROPIC_VERSION)
    assert (response.status_code, _shape(response.headers["content-type"])) == (200, shape), response.text
    server, entry = world.entry()
    assert tokens(entry["usage"]) == want
    kinds = zip(("input", "output"), want)
    counts = Counter({("demo-user", model, server, kind): count for kind, count in kinds if count})
    eventually(lambda: world.counted("llm_tokens_total") - before, counts)


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call[2] == "sse"])
def test_streams_end_as_the_server_ends_them(world: World, name: str) -> None:
    path, fields, _, _ = CALLS[name]
    body = json.dumps({"model": "gpt-4o", **fields}).encode()
    direct = _direct(world, "mock-a", path, fields)
    through = events(world.send(body, path=path, headers=BEARER | ANTHROPIC_VERSION).content)
    assert [_kind(event) for event in through] == [_kind(event) for event in direct]


@pytest.mark.parametrize(("path", "header", "seen"), ENDPOINTS)
def test_what_the_server_receives(recorded: tuple[World, Recorder], path: str, header: str, seen: str) -> None:
    world, recorder = recorded
    model = "text-embedding-3-small" if "embed" in path else "gpt-4o"
    world.send(json.dumps({"model": model}).encode(), path=path)
    request = recorder.requests[-1]
    assert request.path == seen
    assert {name: value for name, value in request.headers.items() if name in CREDENTIALS} == {header: CREDENTIALS[header]}
    assert request.headers["content-length"] == str(len(request.body))


@pytest.mark.parametrize(
    "path",
    [CHAT, "/v1/completions", "/v1/responses", MESSAGES, "/api/chat", "/api/generate", f"{GEMINI}:generateContent"],
)
def test_only_the_model_changes(recorded: tuple[World, Recorder], path: str) -> None:
    """Gemini's path names the model, but a server may read the model from either place."""
    world, recorder = recorded
    assert world.send(BODY, path=path).status_code == 200
    assert recorder.requests[-1].body == REWRITTEN


def test_streams_request_usage(recorded: tuple[World, Recorder]) -> None:
    world, recorder = recorded
    assert world.send(STREAM_BODY).status_code == 200
    assert recorder.requests[-1].body == STREAM_REWRITTEN


def test_no_encoding_is_accepted(recorded: tuple[World, Recorder]) -> None:
    """The gateway must be able to read them."""
    world, recorder = recorded
    world.send(b'{"model":"gpt-4o"}', headers=BEARER | {"accept-encoding": "gzip, br"})
    assert recorder.requests[-1].headers["accept-encoding"] == "identity"


def test_key_in_the_query(world: World) -> None:
    """Gemini's clients put it there. It is removed, and is not accepted on other paths."""
    content = json.dumps(CONTENTS).encode()
    assert world.send(content, path=f"{GEMINI}:generateContent?key={demo.USER_KEY}", headers={}).status_code == 200
    assert world.send(content, path=f"{GEMINI}:generateContent?key=sk-wrong", headers={}).status_code == 401
    assert world.send(chat_body(), path=f"/v1/chat/completions?key={demo.USER_KEY}", headers={}).status_code == 401
    _, entry = world.entry()
    assert demo.USER_KEY not in entry["path"]


def _shape(content_type: str) -> str:
    return next(shape for shape, start in CONTENT_TYPES.items() if content_type.startswith(start))


def _direct(world: World, server: str, path: str, fields: dict[str, Any]) -> list[Any]:
    """The events that a client gets directly from the server."""
    url = f"http://127.0.0.1:{world.models[server].port}{path.replace('gpt-4o', f'gpt-4o-{server}')}"
    body = {"model": f"gpt-4o-{server}", **fields}
    headers = {name: value.replace("mock-a", server) for name, value in CREDENTIALS.items()} | ANTHROPIC_VERSION
    return events(world.http.post(url, json=body, headers=headers).content)


def _kind(event: Any) -> Any:
    """The kind of an event: its fields, without the usage that the gateway requested."""
    return event if isinstance(event, str) else (event.get("type"), sorted(event.keys() - {"usage"}))
