"""Endpoints besides chat, called through the providers' own SDKs: key, model, path, limits, checks and usage."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, Callable, Iterator, Mapping

import anthropic
import openai
import pytest

import demo
from conftest import OpenWorld
from settings import Settings
from upstream import Upstream
from world import World, eventually

SPOKEN = {"type": "speech.audio.done", "usage": {"input_tokens": 4, "output_tokens": 50, "total_tokens": 54}}
EVENTS = f'data: {{"type":"speech.audio.delta","audio":"QQ=="}}\n\ndata: {json.dumps(SPOKEN)}\n\n'.encode()
MP3 = b"ID3\x04\x00" + bytes(range(256)) * 400
USAGE = {"input_tokens": 12, "output_tokens": 30, "total_tokens": 42, "input_tokens_details": {"text_tokens": 12, "image_tokens": 0}}
ANSWERS: dict[str, Any] = {
    "/v1/moderations": {"id": "modr-1", "model": "m", "results": [{"flagged": False, "categories": {}, "category_scores": {}}]},
    "/v1/images/generations": {"created": 1, "data": [{"b64_json": "QQ=="}], "usage": USAGE},
    "/v1/audio/speech": MP3,
    "/v1/rerank": {"model": "m", "results": [{"index": 0, "relevance_score": 0.5}], "usage": {"total_tokens": 9}},
    "/v2/rerank": {"results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 1}}},
    "/v1/messages/count_tokens": {"input_tokens": 14},
    "/v1/responses/input_tokens": {"object": "response.input_tokens", "input_tokens": 15},
    "/api/show": {"details": {"family": "llama"}, "model_info": {}, "capabilities": ["completion"]},
    "/api/embeddings": {"embedding": [0.5]},
}

# Only of servers that can count.
COUNTS: dict[str, Any] = {"/tokenize": {"count": 3, "max_model_len": 4096, "tokens": [1, 2, 3]}, "/base/extras/tokenize/count": 3}


class Provider(Upstream):
    """A server with an answer for each path, which keeps its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, Mapping[str, str], Any]] = []

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """The answer for the path."""
        self.asked.append((headers[":path"], headers, json.loads(body)))
        answer = {**ANSWERS, **COUNTS}[headers[":path"]]
        if self.asked[-1][2].get("stream_format") == "sse":
            answer = EVENTS
        kind, answer = ("audio/mpeg", answer) if isinstance(answer, bytes) else ("application/json", json.dumps(answer).encode())
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(answer)}\r\n\r\n".encode() + answer)
        await writer.drain()
        return True


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider  # type: ignore[misc]


@pytest.fixture(scope="module")
def _further(settings: Callable[[], Settings], open_world: OpenWorld, provider: Provider) -> Iterator[World]:
    changed = settings()
    changed.add_cluster("further", provider.address)
    changed.upstreams["further"] = {"dialects": ["openai", "anthropic", "ollama"], "host": "further.example"}
    for name, counter in (("vllm", "/tokenize"), ("llama", "/base/extras/tokenize/count")):
        changed.add_cluster(name, provider.address)
        changed.upstreams[name] = {"host": "further.example", "usage": {"count": {"path": counter}}}
        changed.models.append({"name": name, "targets": [{"upstream": name, "model": f"own-{name}"}]})
    changed.models.append({"name": "it", "targets": [{"upstream": "further", "model": "own-name"}]})
    changed.upstreams["mock-a"]["dialects"] = ["openai"]
    changed.models.append({"name": "gpt-alone", "targets": [{"upstream": "mock-a"}]})
    changed.upstreams["mock-b"]["responses_api"] = False
    changed.models.append({"name": "chat-alone", "targets": [{"upstream": "mock-b"}]})
    with open_world(changed.text()) as world:
        yield world


@pytest.fixture
def further(_further: World, provider: Provider) -> World:
    _further.reset()
    provider.asked.clear()
    return _further


@pytest.fixture
def client(further: World) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{further.url}/v1", api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:
        yield client


def test_openai_sdk(client: openai.OpenAI, provider: Provider) -> None:
    assert client.moderations.create(model="it", input=["a", "b"]).results[0].flagged is False
    images = client.images.generate(model="it", prompt="A cat")
    assert (images.data[0].b64_json, images.usage.total_tokens) == ("QQ==", 42)
    assert client.audio.speech.create(model="it", voice="alloy", input="Hello").content == MP3
    assert client.responses.input_tokens.count(model="it", input="Hello").input_tokens == 15
    assert [path for path, _, _ in provider.asked] == [path for path in ANSWERS if path in {path for path, _, _ in provider.asked}]
    for _, headers, body in provider.asked:
        assert (body["model"], headers["host"]) == ("own-name", "further.example")
        assert demo.USER_KEY not in str(headers)


def test_token_counts(further: World, provider: Provider) -> None:
    with anthropic.Anthropic(base_url=further.url, api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:
        messages: list[Any] = [{"role": "user", "content": "Hello there"}]
        assert client.messages.count_tokens(model="it", messages=messages).input_tokens == 14
        # no target of that model counts tokens: an estimate
        raw = client.messages.with_raw_response.count_tokens(model="gpt-alone", messages=messages)
        assert 2 <= raw.parse().input_tokens <= 12 and raw.headers["x-sluice-token-count"] == "estimate"
        with pytest.raises(anthropic.NotFoundError):
            client.messages.count_tokens(model="nobody", messages=messages)
    with openai.OpenAI(base_url=f"{further.url}/v1", api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:
        raw = client.responses.input_tokens.with_raw_response.count(model="chat-alone", input="Hello there")
        assert raw.parse().object == "response.input_tokens" and 2 <= raw.parse().input_tokens <= 12
        assert raw.headers["x-sluice-token-count"] == "estimate"
    assert len(provider.asked) == 1


def test_tokenizers(further: World, provider: Provider) -> None:
    """By the target's own counter, else an estimate that says so."""
    for path, model, own in [("/tokenize", "vllm", "/tokenize"), ("/extras/tokenize/count", "llama", "/base/extras/tokenize/count")]:
        for body in ({"model": model, "prompt": "Hello there"}, {"model": model, "messages": [{"role": "user", "content": "Hello"}]}):
            answer = further.send(json.dumps(body).encode(), path=path)
            assert answer.status_code == 200 and "x-sluice-token-count" not in answer.headers
            asked, headers, sent = provider.asked.pop()
            assert (asked, headers["host"], sent) == (own, "further.example", {**body, "model": f"own-{model}"})
            assert answer.json() == COUNTS[own]
        for other in ("gpt-alone", "it", "vllm" if model == "llama" else "llama"):
            for text in ({"prompt": "Hello there"}, {"content": "Hello there"}, {"messages": [{"role": "user", "content": "Hello there"}]}):
                answer = further.send(json.dumps({"model": other, **text}).encode(), path=path)
                assert (list(answer.json()), answer.headers["x-sluice-token-count"]) == (["count"], "estimate")
                assert 2 <= answer.json()["count"] <= 12
        answer = further.send(b'{"prompt":"Hello"}', path=path)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert provider.asked == []


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/api/show", "/api/embeddings"])
def test_plain_paths(further: World, provider: Provider, path: str) -> None:
    body = {"model": "it", "query": "q", "documents": ["a", {"text": "b"}], "prompt": "p"}
    answer = further.send(json.dumps(body).encode(), path=path)
    assert (answer.status_code, answer.json()) == (200, ANSWERS[path])
    assert [(asked, body["model"]) for asked, _, body in provider.asked] == [(path, "own-name")]


def test_first_requests_of_ollama_clients(further: World) -> None:
    assert further.send(path="/api/version", method="GET").json()["version"]
    assert further.send(path="/api/ps", method="GET").json() == {"models": []}
    assert further.send(path="/api/ps", method="GET", headers={}).status_code == 401


def test_usage(further: World) -> None:
    """Free endpoints use nothing; reported usage counts as reported; the rest is estimated."""
    want = {"/v1/moderations": (0, 0), "/v1/messages/count_tokens": (0, 0), "/v1/images/generations": (12, 30), "/v1/rerank": (9, 0)}
    for path, (taken, made) in want.items():
        before = further.counted("llm_tokens_total")
        body = {"model": "it", "input": "Hello", "prompt": "Hello", "query": "q", "documents": ["a"], "messages": []}
        assert further.send(json.dumps(body).encode(), path=path).status_code == 200
        tokens = {"input": taken, "output": made}
        counts = Counter({("demo-user", "it", "further", kind): count for kind, count in tokens.items() if count})
        eventually(lambda: further.counted("llm_tokens_total") - before, counts)


def test_speech_as_events(further: World) -> None:
    """The last event of a stream of sound reports its tokens."""
    before = further.counted("llm_tokens_total")
    body = {"model": "it", "voice": "alloy", "input": "Hello", "stream_format": "sse"}
    assert further.send(json.dumps(body).encode(), path="/v1/audio/speech").content == EVENTS
    kinds = [("demo-user", "it", "further", kind) for kind in ("input", "output")]
    eventually(lambda: [(further.counted("llm_tokens_total") - before)[kind] for kind in kinds], [4, 50])


def test_bad_requests(further: World, provider: Provider) -> None:
    for path, body, param in [
        ("/v1/moderations", {"input": "a"}, "model"),
        ("/v1/images/generations", {"model": "it", "prompt": "a", "stream": "yes"}, "stream"),
    ]:
        answer = further.send(json.dumps(body).encode(), path=path)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert further.send(b"{}", path="/v1/moderations", headers={}).status_code == 401
    assert further.send(path="/v1/moderations", method="GET").status_code == 405
    assert provider.asked == []
