"""Servers that report no tokens: they count the prompt on request, or everything is estimated."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import Any, Callable, Iterator

import pytest

import clients
import demo
from conftest import OpenWorld
from generated import generated_tokens
from player import Played, Player
from resilience import NEVER_EJECTED_ALONE, add_upstream, target
from settings import Settings
from world import BEARER, CHAT, World, chat_body, eventually

SILENT = {"no_usage": True}
SAID = "One, two, three, four: how many bytes is that in all, grüße and all?"
ANSWER = "A text of some length, so that there is something to be estimated."
# The prompt's tokens by the mock's tokenizer.
PROMPT_TOKENS = 20
METRICS = ("llm_requests_total", "llm_attempts_total", "llm_usage_source_total", "llm_tokens_total")
# Upstreams by name, all of them mock-a, with their `usage`.
COUNTS: dict[str, dict[str, Any]] = {
    "silent": {},
    "vllm": {"count": {"path": "/tokenize"}},
    "extras": {"count": {"path": "/extras/tokenize/count", "timeout": "2s"}},
    "absent": {"count": {"path": "/nowhere"}},
    "wordless": {"count": {"path": "/healthz"}},
    "late": {"count": {"path": "/tokenize", "timeout": "50ms"}},
    "patient": {"count": {"path": "/tokenize", "timeout": "10s"}},
    "narrow": {"count": {"path": "/tokenize"}},
    "other": {"format": "gemini"},
}


def _shapes(model: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Requests in every dialect: path and body."""
    chat = {"model": model, "messages": [{"role": "user", "content": SAID}]}
    contents = {"contents": [{"role": "user", "parts": [{"text": SAID}]}]}
    return {
        "chat": (CHAT, chat),
        "chat stream": (CHAT, {**chat, "stream": True}),
        "completion": ("/v1/completions", {"model": model, "prompt": SAID}),
        "completion stream": ("/v1/completions", {"model": model, "prompt": SAID, "stream": True}),
        "responses": ("/v1/responses", {"model": model, "input": SAID}),
        "responses stream": ("/v1/responses", {"model": model, "input": SAID, "stream": True}),
        "embeddings": ("/v1/embeddings", {"model": model, "input": SAID}),
        "messages": ("/v1/messages", {**chat, "max_tokens": 100}),
        "messages stream": ("/v1/messages", {**chat, "max_tokens": 100, "stream": True}),
        "ollama chat": ("/api/chat", {**chat, "stream": False}),
        "ollama chat stream": ("/api/chat", chat),
        "ollama generate stream": ("/api/generate", {"model": model, "prompt": SAID}),
        "ollama embed": ("/api/embed", {"model": model, "input": SAID}),
        "gemini": (f"/v1beta/models/{model}:generateContent", contents),
        "gemini stream": (f"/v1beta/models/{model}:streamGenerateContent?alt=sse", contents),
        "gemini array": (f"/v1beta/models/{model}:streamGenerateContent", contents),
    }


# One for each way to read a text; tests/core/usage/estimate.rs has every dialect's.
ESTIMATED = ["chat", "chat stream", "messages stream", "responses", "ollama chat stream", "gemini array", "embeddings"]
COUNTED = [
    ("chat", "vllm"),
    ("completion stream", "vllm"),
    ("responses", "vllm"),
    ("messages stream", "vllm"),
    ("ollama embed", "vllm"),
    ("chat stream", "extras"),
]
HEADERS = {**BEARER, "anthropic-version": "2023-06-01"}


@pytest.fixture(scope="module")
def _silent_world(settings: Callable[[], Settings], models: Any, open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    encoded = gzip.compress(b'{"choices":[{"message":{"content":"Hello"}}]}')
    with Player({"encoded": Played("application/json", encoded, headers={"content-encoding": "gzip"})}) as player:
        for name, usage in COUNTS.items():
            add_upstream(changed, name, "mock-a", models["mock-a"].address, usage=usage, ejection=NEVER_EJECTED_ALONE)
            changed.models.append({"name": name, "targets": [target(name, "mock-a")]})
        changed.add_cluster("player", player.address)
        changed.upstreams["player"] = {"usage": {"count": {"path": "/tokenize"}}, "forward_headers": ["x-answer"]}
        changed.models.append({"name": "player", "targets": [{"upstream": "player"}]})
        narrow = next(each for each in changed.tree["static_resources"]["clusters"] if each["name"] == "narrow")
        narrow["circuit_breakers"] = {"thresholds": [{"max_requests": 1}]}
        with open_world(changed.text()) as world:
            yield world


@pytest.fixture
def silent_world(_silent_world: World) -> World:
    """mock-a reports no tokens, under several names."""
    _silent_world.reset()
    _silent_world.fault({**SILENT, "text": ANSWER}, "mock-a")
    return _silent_world


class Since:
    """The counts since then."""

    def __init__(self, world: World):
        self._world = world
        self._before = {metric: world.counted(metric) for metric in METRICS}

    def __call__(self, metric: str) -> Counter[tuple[str, ...]]:
        return self._world.counted(metric) - self._before[metric]

    def tokens(self) -> dict[str, int]:
        """By type."""
        return {labels[3]: count for labels, count in self("llm_tokens_total").items()}


def _prompt(text: str) -> int:
    """The estimate of a prompt."""
    return -(-len(text.encode()) // 4)


def _ask(world: World, shape: str, model: str) -> None:
    path, body = _shapes(model)[shape]
    response = world.send(json.dumps(body, ensure_ascii=False).encode(), path=path, headers=HEADERS)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("shape", ESTIMATED)
def test_without_an_endpoint_everything_is_estimated(silent_world: World, shape: str) -> None:
    since = Since(silent_world)
    _ask(silent_world, shape, "silent")
    want = {"input": _prompt(SAID), "output": 0 if "embed" in shape else generated_tokens(ANSWER)}
    eventually(since.tokens, {kind: count for kind, count in want.items() if count})
    assert since("llm_usage_source_total") == Counter({("estimated",): 1})
    assert [entry["path"] for _, entry in silent_world.entries()] == [_shapes("gpt-4o-mock-a")[shape][0]]


@pytest.mark.parametrize(("shape", "model"), COUNTED)
def test_prompt_is_counted(silent_world: World, shape: str, model: str) -> None:
    """By the server that answered, with its key; the call does not count as a client's request."""
    since = Since(silent_world)
    _ask(silent_world, shape, model)
    eventually(lambda: since("llm_usage_source_total"), Counter({("counted",): 1}))
    output = {} if "embed" in shape else {"output": generated_tokens(ANSWER)}
    assert since.tokens() == {"input": PROMPT_TOKENS, **output}
    assert since("llm_requests_total") == Counter({("demo-user", model, model, "200"): 1})
    assert since("llm_attempts_total") == Counter({(model, "success"): 1})
    (_, asked), (name, count) = silent_world.entries()
    assert (name, count["path"], count["status"]) == ("mock-a", COUNTS[model]["count"]["path"], 200)
    server = next(server for server in demo.SERVERS if server.name == name)
    assert count["headers"]["authorization"] == f"Bearer {server.key}" and demo.USER_KEY not in json.dumps(count)
    if "messages" in asked["body"]:
        assert count["body"] == {"model": server.models[0], "messages": asked["body"]["messages"]}


def test_uncountable_prompts_are_estimated(silent_world: World) -> None:
    """A prompt in another dialect, and one too long to keep."""
    since = Since(silent_world)
    _ask(silent_world, "gemini", "vllm")
    eventually(since.tokens, {"input": _prompt(SAID), "output": generated_tokens(ANSWER)})
    long = "x" * (100 << 10)
    assert silent_world.send(chat_body(long, model="vllm")).status_code == 200
    eventually(since.tokens, {"input": _prompt(SAID) + _prompt(long), "output": 2 * generated_tokens(ANSWER)})
    assert since("llm_usage_source_total") == Counter({("estimated",): 2})
    assert len(silent_world.entries()) == 2


@pytest.mark.parametrize("model", ["absent", "wordless", "late"])
def test_failed_count_keeps_the_estimate(silent_world: World, model: str) -> None:
    if model == "late":
        silent_world.fault({**SILENT, "text": ANSWER, "delay_ms": 300}, "mock-a")
    since = Since(silent_world)
    for _ in range(3):
        _ask(silent_world, "chat stream", model)
    eventually(lambda: since("llm_usage_source_total"), Counter({("estimated",): 3}))
    assert since.tokens() == {"input": 3 * _prompt(SAID), "output": 3 * generated_tokens(ANSWER)}
    assert since("llm_requests_total").total() == 3


def test_count_refused_by_envoy_keeps_the_estimate(silent_world: World) -> None:
    """The cluster takes one request at a time, and a stream runs when the count should be sent."""
    since = Since(silent_world)

    async def visit(client: clients.Client) -> None:
        silent_world.fault({**SILENT, "text": ANSWER}, "mock-a")
        assert (await client.ask(chat_body(SAID, model="narrow"))).status_code == 200
        silent_world.fault({**SILENT, "chunk_delay_ms": 50, "text": ANSWER}, "mock-a")
        assert (await client.ask(chat_body(SAID, model="narrow", stream=True))).complete

    # if the count was sent before the stream began, try again
    for visits in range(1, 6):
        clients.each(silent_world.gateway.port, 1, [visit])
        eventually(lambda: since("llm_requests_total").total(), 2 * visits)
        if since("llm_usage_source_total")["estimated",]:
            break
    # the stream's own prompt can be counted, because nothing else runs then
    assert since("llm_usage_source_total") == Counter({("estimated",): 1, ("counted",): 2 * visits - 1})
    silent_world.fault({}, "mock-a")
    assert silent_world.chat(model="narrow").status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_reported_usage_is_not_mixed(silent_world: World, stream: bool) -> None:
    """No count and no estimate, although the server can count."""
    silent_world.fault({"text": ANSWER}, "mock-a")
    since = Since(silent_world)
    assert silent_world.chat(SAID, model="vllm", stream=stream).status_code == 200
    eventually(lambda: since("llm_usage_source_total"), Counter({("reported",): 1}))
    (_, entry), = silent_world.entries()
    usage = entry["usage"]
    assert since.tokens() == {"input": usage["prompt_tokens"], "output": usage["completion_tokens"]}
    assert usage["prompt_tokens"] == PROMPT_TOKENS


def test_cut_stream_is_estimated(silent_world: World) -> None:
    """The passed text is estimated: three events have text."""
    silent_world.fault({**SILENT, "text": ANSWER, "fault": "truncate_stream", "after_events": 4}, "mock-a")
    since = Since(silent_world)
    assert silent_world.chat(SAID, model="vllm", stream=True).status_code == 200
    eventually(lambda: since("llm_usage_source_total"), Counter({("partial",): 1}))
    assert since.tokens() == {"input": _prompt(SAID), "output": generated_tokens("A text of")}
    assert len(silent_world.entries()) == 1


def test_unreadable_answers_are_missing(silent_world: World) -> None:
    since = Since(silent_world)
    headers = {**BEARER, "x-answer": "encoded"}
    assert silent_world.send(chat_body(SAID, model="player"), headers=headers).status_code == 200
    eventually(lambda: since("llm_usage_source_total"), Counter({("missing",): 1}))
    assert since.tokens() == {}


def test_other_formats_are_not_read(silent_world: World) -> None:
    """If an upstream is configured with another format, its dialect's usual fields are ignored."""
    silent_world.fault({"text": ANSWER}, "mock-a")
    since = Since(silent_world)
    assert silent_world.chat(SAID, model="other").status_code == 200
    eventually(lambda: since("llm_usage_source_total"), Counter({("estimated",): 1}))


def test_own_answers_have_no_tokens(silent_world: World) -> None:
    since = Since(silent_world)
    for path in ("/gateway/usage", "/gateway/whoami", "/v1/models"):
        assert silent_world.send(path=path, method="GET").status_code == 200
    eventually(lambda: since("llm_requests_total").total(), 3)
    assert since("llm_usage_source_total") == Counter()


def test_running_counts_are_limited(silent_world: World) -> None:
    """Each request is counted once; those beyond the limit by estimate."""
    silent_world.fault({**SILENT, "text": ANSWER, "delay_ms": 1000}, "mock-a")
    since = Since(silent_world)
    calls = 500
    answers = clients.ask(silent_world.gateway.port, [chat_body(SAID, model="patient")] * calls, calls)
    assert {answer.status_code for answer in answers} == {200}
    eventually(lambda: since("llm_requests_total").total(), calls)
    sources = since("llm_usage_source_total")
    assert sources.total() == calls and sources.keys() == {("counted",), ("estimated",)}
    # a hundred at a time in each worker; a slow machine takes longer to send the calls than one takes
    assert sources[("counted",)] <= 400
    tokens = since.tokens()
    input_tokens = sources[("counted",)] * PROMPT_TOKENS + sources[("estimated",)] * _prompt(SAID)
    assert tokens == {"input": input_tokens, "output": calls * generated_tokens(ANSWER)}
