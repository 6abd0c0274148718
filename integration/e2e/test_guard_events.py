"""Streams of large events, and of very many: they are restored, masked or blocked like small ones, what the
gateway asked for is taken out, tokens are counted, and memory stays as it is.

`make soak` is the full form: streams of 200,000 events, and of eight of 5 MB, again and again.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterable, Iterator

import httpx
import pytest

from conftest import OpenWorld
from footprint import MIB, Footprint, Watch, footprint
from guarded import guarded, since, verdicts
from player import Played, Player
from settings import Settings
from table import Table
from world import BEARER, World, chat_body, eventually

SOAK = bool(os.environ.get("SOAK_MINUTES"))
# Rounds, events of 5 MB in each stream, and small ones.
ROUNDS, LARGE, MANY = (6, 8, 200_000) if SOAK else (1, 1, 10_000)
SIZE = 5_000_000
ADDRESS, PLACEHOLDER = "ann@example.com", "<EMAIL_ADDRESS_1>"
CARD, MASK = "4111 1111 1111 1111", "<CREDIT_CARD>"
BAD = "E-4711"
USAGE = {"prompt_tokens": 7, "completion_tokens": 31, "total_tokens": 38}
SSE, NDJSON = "text/event-stream", "application/x-ndjson"
# One with a value to find and one to restore; 997 is a prime, so these occur at every position of a piece.
WORDS = f"{'lorem ipsum ' * 83}{CARD} and {PLACEHOLDER}, "
DATA = "QUJD" * (SIZE // 4)
GEMINI = "/v1beta/models/{model}:streamGenerateContent?alt=sse"


def _sse(event: Any) -> bytes:
    return b"data: " + (event if isinstance(event, bytes) else json.dumps(event, separators=(",", ":")).encode()) + b"\n\n"


def _line(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def _chat(text: str, finish: str | None = None) -> bytes:
    return _sse({"id": "1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


def _gemini(text: str, data: str, finish: bool = False) -> bytes:
    parts = [{"text": text}, {"inlineData": {"mimeType": "image/png", "data": data}}, {"text": text}]
    candidate = {"content": {"parts": parts, "role": "model"}, **({"finishReason": "STOP"} if finish else {}), "index": 0}
    counts = {"promptTokenCount": 7, "candidatesTokenCount": 31, "totalTokenCount": 38}
    return _sse({"candidates": [candidate], **({"usageMetadata": counts} if finish else {})})


def _anthropic(text: str) -> bytes:
    return _sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


def _responses(text: str, count: int) -> Iterator[bytes]:
    yield _sse({"type": "response.created", "sequence_number": 0, "response": {"id": "r", "status": "in_progress"}})
    for _ in range(count):
        yield _sse({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text})
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    whole = {"id": "r", "status": "completed", "output": [message], "usage": {"input_tokens": 7, "output_tokens": 31}}
    yield _sse({"type": "response.completed", "sequence_number": 1, "response": whole})


def _end_of_chat() -> bytes:
    return _chat("", "stop") + _sse({"id": "1", "choices": [], "usage": USAGE}) + b"data: [DONE]\n\n"


def _events(kind: str) -> Iterator[bytes]:
    """A stream, event by event."""
    long = WORDS * (SIZE // len(WORDS))
    if kind == "many":
        some = (_chat("lorem ipsum ") * 98 + _chat(f"{CARD[:7]}") + _chat(f"{CARD[7:]} and {PLACEHOLDER[:5]}") + _chat(f"{PLACEHOLDER[5:]}. "))
        yield from (some for _ in range(MANY // 101))
        yield _end_of_chat()
    elif kind == "chat":
        yield from (_chat(long) for _ in range(LARGE))
        yield _end_of_chat()
    elif kind == "arguments":
        arguments = json.dumps({"text": WORDS * (SIZE // len(WORDS))})
        for piece in (arguments[: SIZE // 2], arguments[SIZE // 2 :]):
            call = {"index": 0, "function": {"arguments": piece}}
            yield _sse({"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]})
        yield _end_of_chat()
    elif kind == "gemini":
        yield from (_gemini(WORDS, DATA) for _ in range(LARGE))
        yield _gemini(WORDS, "QUJD", finish=True)
    elif kind == "anthropic":
        yield _sse({"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": {"input_tokens": 7, "output_tokens": 1}}})
        yield _sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        yield from (_anthropic(long) for _ in range(LARGE))
        yield _sse({"type": "content_block_stop", "index": 0})
        yield _sse({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 31}})
        yield _sse({"type": "message_stop"})
    elif kind == "responses":
        yield from _responses(long, LARGE)
    elif kind == "ollama":
        yield from (_line({"model": "m", "message": {"role": "assistant", "content": long}, "done": False}) for _ in range(LARGE))
        yield _line({"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "prompt_eval_count": 7, "eval_count": 31})
    elif kind == "bad":
        yield _chat("fine. ")
        yield _chat(f"{'fine words. ' * 250_000}{BAD} {'and more. ' * 250_000}")
        yield _end_of_chat()


PATHS = {"anthropic": "/v1/messages", "responses": "/v1/responses", "ollama": "/api/chat", "gemini": GEMINI}
KINDS = ("many", "chat", "arguments", "gemini", "anthropic", "responses", "ollama")
MODELS = ("plain", "restored", "masked")
ROWS = ["VM", "used", "wasm", "Envoy", "allocated", "seconds"]


def _cut(events: Iterable[bytes]) -> Iterator[bytes]:
    """In pieces like those of a network."""
    for event in events:
        yield from (event[at : at + 65_536] for at in range(0, len(event), 65_536))


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table(f"{ROUNDS} rounds of streams with {LARGE} events of 5 MB or {MANY:,} small ones; sizes in MiB", ROWS)
    yield table
    table.show(request.config)


@pytest.fixture(scope="module")
def world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    answers = {kind: Played(NDJSON if kind == "ollama" else SSE, lambda kind=kind: _cut(_events(kind))) for kind in (*KINDS, "bad")}
    with Player(answers) as player:
        changed = settings()
        dialects = ["openai", "anthropic", "gemini", "ollama"]
        changed.upstreams["player"] = {"cluster": "player", "dialects": dialects, "forward_headers": ["x-answer"]}
        changed.add_cluster("player", player.address)
        for model in (*MODELS, "blocked"):
            changed.add_model(model, "player")
        hide = {"name": "hide", "api": "patterns", "phase": ["request"], "action": "restore", "models": ["restored", "masked"]}
        mask = {"name": "mask", "api": "patterns", "phase": ["response"], "action": "mask", "entities": ["CREDIT_CARD"], "models": ["masked"]}
        custom = [{"name": "EMPLOYEE_ID", "regex": "E-[0-9]{4}"}]
        block = {"name": "block", "api": "patterns", "phase": ["response"], "action": "block", "custom": custom, "models": ["blocked"]}
        with open_world(guarded(changed, [hide, mask, block]).text(), own=True) as world:
            yield world


def _request(kind: str, model: str) -> tuple[str, bytes]:
    path = PATHS.get(kind, "/v1/chat/completions").format(model=model)
    text = f"Write to {ADDRESS}."
    if kind == "gemini":
        return path, json.dumps({"contents": [{"role": "user", "parts": [{"text": text}]}]}).encode()
    if kind == "responses":
        return path, json.dumps({"model": model, "stream": True, "input": text}).encode()
    return path, chat_body(text, model=model, stream=True, max_tokens=99)


def _wanted(kind: str, model: str) -> str:
    """The digest of the client's stream, without the usage that the gateway requested."""
    digest = hashlib.sha256()
    asked = _sse({"id": "1", "choices": [], "usage": USAGE})
    for event in _events(kind):
        event = event.replace(asked, b"")
        if model != "plain":
            event = event.replace(PLACEHOLDER.encode(), ADDRESS.encode())
        if model == "masked":
            event = event.replace(CARD.encode(), MASK.encode())
        digest.update(event)
    return digest.hexdigest()


def _joined(kind: str, events: bytes) -> str:
    """The texts of many small events, without their positions."""
    assert kind == "many" and events.endswith(b"data: [DONE]\n\n") and b'"usage"' not in events
    data = [json.loads(event[6:]) for event in events.split(b"\n\n") if event.startswith(b"data: {")]
    return "".join(chunk["choices"][0]["delta"]["content"] for chunk in data)


def _ask(world: World, kind: str, model: str) -> tuple[str, bytes]:
    """The digest of an answer, with its bytes if they are few."""
    path, body = _request(kind, model)
    digest, kept = hashlib.sha256(), bytearray()
    headers = {**BEARER, "x-answer": kind, "content-type": "application/json", "anthropic-version": "2023-06-01"}
    url = f"http://127.0.0.1:{world.gateway.port}{path}"
    with httpx.stream("POST", url, content=body, headers=headers, timeout=120, trust_env=False) as response:
        assert response.status_code == 200, response.read()
        for piece in response.iter_bytes():
            digest.update(piece)
            if kind in ("many", "bad"):
                kept += piece
    return digest.hexdigest(), bytes(kept)


def _counted(world: World) -> tuple[int, ...]:
    """Input, output, and answers that reported both."""
    tokens = {"input": 0, "output": 0}
    for labels, value in world.series("llm_tokens_total"):
        if labels["type"] in tokens:
            tokens[labels["type"]] += value
    sources = world.series("llm_usage_source_total")
    return (*tokens.values(), sum(value for labels, value in sources if labels["source"] == "reported"))


def _warm_up(world: World) -> None:
    """Every worker has all kinds at once, and so what it needs of memory."""
    asked = [(kind, model) for _ in range(3) for kind in KINDS for model in MODELS]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda ask: _ask(world, *ask), asked))
    world.settle()


def test_large_events_and_many(world: World, table: Table) -> None:
    wanted = {(kind, model): _wanted(kind, model) for kind in KINDS for model in MODELS if kind != "many"}
    said = f"{'lorem ipsum ' * 98}{CARD} and {PLACEHOLDER}. " * (MANY // 101)
    rests: list[tuple[int, Footprint]] = []
    if SOAK:
        _warm_up(world)
    for number in range(ROUNDS):
        begun, before, counted = time.monotonic(), _counted(world), verdicts(world)
        with Watch(world.gateway) as watch:
            for kind in KINDS:
                for model in MODELS:
                    digest, events = _ask(world, kind, model)
                    if kind != "many":
                        assert digest == wanted[kind, model], (kind, model)
                        continue
                    want = said if model == "plain" else said.replace(PLACEHOLDER, ADDRESS)
                    assert _joined(kind, events) == (want.replace(CARD, MASK) if model == "masked" else want), model
        streams = len(KINDS) * len(MODELS)
        eventually(lambda: _counted(world), tuple(known + each * streams for known, each in zip(before, (7, 31, 1))), 15)
        new = since(counted, verdicts(world))
        assert not any("error" in verdict for _, _, verdict in new), new
        assert new["mask", "response", "mask"] > 0
        world.settle()
        rests.append((int(world.gateway.ask("/memory")["allocated"]), footprint(world.gateway)))
        most = watch.most()
        sizes = [rests[-1][1].size, most.used, rests[-1][1].wasm, rests[-1][1].envoy, rests[-1][0]]
        for column, value in zip(ROWS, [*(f"{size / MIB:.1f}" for size in sizes), f"{time.monotonic() - begun:.1f}"]):
            table.put(f"{number + 1}", column, value)
        assert most.size < 96 * MIB
    if not SOAK:
        return
    half = ROUNDS // 2
    for name, read in {
        "allocated by Envoy": lambda rest: rest[0],
        "a VM's memory": lambda rest: rest[1].size,
        "resident": lambda rest: rest[1].envoy + rest[1].wasm,
    }.items():
        first, last = ([read(rest) for rest in part] for part in (rests[:half], rests[half:]))
        assert statistics.median(last) <= 1.02 * statistics.median(first), (name, first, last)


def test_a_large_event_is_blocked(world: World) -> None:
    """The client's part is valid JSON without blocked text, and the answer ends like a filtered one."""
    before = verdicts(world)
    _, events = _ask(world, "bad", "blocked")
    assert events.endswith(b"data: [DONE]\n\n") and BAD.encode() not in events
    *rest, last = [json.loads(event[6:]) for event in events.split(b"\n\n") if event.startswith(b"data: {")]
    assert last["choices"][0]["finish_reason"] == "content_filter"
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in rest)
    assert text.startswith("fine. fine words.") and 2_000_000 < len(text) < 3_000_000 and "more" not in text
    assert since(before, verdicts(world))["block", "response", "block"] == 1
