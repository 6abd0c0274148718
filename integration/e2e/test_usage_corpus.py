"""The corpus of answers through Envoy: the counts, and the client's bytes, wherever the bytes are cut."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Callable, Iterable, Iterator

import pytest

import child
import clients
from conftest import OpenWorld
from player import Played, Player
from resilience import NEVER_EJECTED_ALONE
from settings import Settings
from table import Table
from world import World, eventually

CORPUS = child.ROOT / "tests" / "corpus"
# Bytes per piece; 0: all of them.
PIECES = [1, 7, 0]
RESET = "reset"
# A key for each size and one for resets: key and model identify a call in the stats.
KEYS = {each: f"key-{each}" for each in (*PIECES, RESET)}
AT_ONCE = 16
INTERRUPTED = (b"upstream_stream_interrupted", b"ended before it was complete")
# Files without a path in the gateway.
UNROUTED = ("/v1/images/", "/v1/audio/")
# The result of these depends on how they end. The first lacks the end of its last line. For the next two, only the end shows that
# no further choice or message_delta follows. The others are cut after the last usage, so a reset changes nothing.
IF_RESET = {
    "ollama-chat-stream-no-last-line-end.ndjson": {"source": "partial", "usage": {}},
    "openai-chat-stream-two-choices.sse": {"source": "partial"},
    "anthropic-stream-cut-before-stop.sse": {"source": "partial"},
    "openai-chat-stream-cut-before-done-stripped.sse": {"source": "reported"},
    "openai-chat-stream-cut-before-done.sse": {"source": "reported"},
}
SAID = "How do you do?"
# The estimate.
SAID_TOKENS = 4
# Complete, but not valid answers.
ERRORS = {"openai-error.json", "vllm-error-flat.json"}
CHAT = {"messages": [{"role": "user", "content": SAID}]}
# The text of a request, by its path.
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"prompt": SAID},
    "/v1/embeddings": {"input": SAID},
    "/v1/responses": {"input": SAID},
    "/v1/messages": {**CHAT, "max_tokens": 100},
    "/api/chat": CHAT,
    "/api/generate": {"prompt": SAID},
    "/api/embed": {"input": SAID},
    "/v1beta/models/": {"contents": [{"parts": [{"text": SAID}]}]},
}


@dataclass(frozen=True)
class Entry:
    """An answer of the corpus, and its expected results."""

    file: str
    path: str
    dialect: str
    framing: str
    content_type: str
    stream: bool
    strip: bool
    source: str
    interrupted: bool
    usage: dict[str, int]
    removed: list[tuple[int, int]]

    @property
    def bytes(self) -> bytes:
        """The whole text."""
        return (CORPUS / self.file).read_bytes()

    @property
    def passes(self) -> bytes:
        """The client's part of it."""
        kept, rest, at = b"", self.bytes, 0
        for start, end in self.removed:
            kept, at = kept + rest[at:start], end
        return kept + rest[at:]

    @property
    def model(self) -> str:
        """A configured model name, because the stats only keep a limited number of names from clients."""
        return self.file

    def request(self) -> tuple[str, bytes]:
        """Path and body of a request for it."""
        path = self.path.replace("gemini-2.5-flash", self.model)
        fields = next(fields for prefix, fields in REQUESTS.items() if path.startswith(prefix))
        request: dict[str, Any] = {**fields}
        if self.dialect != "gemini":
            request |= {"model": self.model, "stream": self.stream}
        if self.stream and not self.strip and path in ("/v1/chat/completions", "/v1/completions"):
            request["stream_options"] = {"include_usage": True}
        return path, json.dumps(request).encode()


# A request: the entry, the answer's name at the player, the key.
Asked = list[tuple[Entry, str, str]]
# Key and model identify a call in the stats.
Call = tuple[str, str]


def entries() -> list[Entry]:
    """The entries with a path in the gateway."""
    listed = [Entry(**entry) for entry in json.loads((CORPUS / "index.json").read_text())]
    return [entry for entry in listed if not entry.path.startswith(UNROUTED)]


@pytest.fixture(scope="module")
def corpus_world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    """A model for each answer, all at the player. JSON answers are not held, so that they pass in pieces as well."""
    played = {entry.file: Played(entry.content_type, entry.bytes) for entry in entries()}
    played |= {f"{entry.file}+reset": Played(entry.content_type, entry.bytes, reset=True) for entry in entries()}
    changed = settings()
    changed.values("router")["hold_json"] = 0
    dialects = ["openai", "anthropic", "ollama", "gemini"]
    with Player(played) as player:
        changed.add_cluster("player", player.address)
        changed.upstreams["player"] = {"dialects": dialects, "ejection": NEVER_EJECTED_ALONE, "forward_headers": ["x-answer"], "strict_end": True}
        changed.models.extend({"name": entry.model, "targets": [{"upstream": "player"}]} for entry in entries())
        for key in KEYS.values():
            digest = hashlib.sha256(f"sk-{key}".encode()).hexdigest()
            changed.values("auth")["keys"].append({"id": key, "hash": f"sha256:{digest}"})
        with open_world(changed.text()) as world:
            yield world


def test_sample_is_large_enough() -> None:
    """At least one of each shape, complete and cut."""
    shapes = Counter((entry.dialect, entry.framing, entry.source == "partial") for entry in entries())
    assert len(entries()) >= 60
    framings = {("openai", "sse"), ("anthropic", "sse"), ("gemini", "sse"), ("ollama", "ndjson")}
    framings |= {(dialect, "json") for dialect in ("openai", "anthropic", "ollama", "gemini")}
    assert {shape for shape in shapes} == {(*framing, cut) for framing in framings for cut in (False, True)}


def test_answers_in_pieces(corpus_world: World, request: pytest.FixtureRequest) -> None:
    """Each in pieces of 1, 7 and all bytes: checks the counters and the client's bytes."""
    asked = [(entry, f"{entry.file}/{size}", KEYS[size]) for entry in entries() for size in PIECES]
    before = corpus_world.counted("llm_usage_source_total")
    answers = _ask(corpus_world, asked)
    wrong = [(name, answer) for (entry, name, _), answer in zip(asked, answers) if not _is_as_due(entry, answer)]
    assert not wrong, wrong[:3]
    tokens, sources = _due(asked)
    _assert_tokens(corpus_world, asked, tokens)
    eventually(lambda: corpus_world.counted("llm_usage_source_total") - before, sources)
    _show(asked, sources, request.config)


def test_reset_answers(corpus_world: World) -> None:
    """The same bytes, then a broken connection: a complete answer stays complete."""
    cut = [replace(entry, **IF_RESET.get(entry.file, {})) for entry in entries() if entry.framing != "json"]
    asked = [(entry, f"{entry.file}+reset/7", KEYS[RESET]) for entry in cut]
    before = corpus_world.counted("llm_usage_source_total")
    answers = _ask(corpus_world, asked)
    assert not any(answer.complete for answer in answers)
    tokens, sources = _due(asked)
    _assert_tokens(corpus_world, asked, tokens)
    eventually(lambda: corpus_world.counted("llm_usage_source_total") - before, sources)


def _ask(world: World, asked: Asked) -> list[clients.Answer]:
    """Sends one request for each."""

    def visit(entry: Entry, name: str, key: str) -> Any:
        path, body = entry.request()
        headers = {"authorization": f"Bearer sk-{key}", "x-answer": name}
        return lambda client: client.ask(body, path=path, headers=headers)

    return clients.each(world.gateway.port, AT_ONCE, (visit(*each) for each in asked))


def _is_as_due(entry: Entry, answer: clients.Answer) -> bool:
    """Whether the client got the right bytes, and the error event if the rest is missing."""
    passes = entry.passes
    if answer.status_code != 200 or not answer.complete or not answer.content.startswith(passes):
        return False
    rest = answer.content[len(passes) :]
    return any(mark in rest for mark in INTERRUPTED) if entry.interrupted else not rest


def _due(asked: Asked) -> tuple[dict[Call, dict[str, int]], Counter[tuple[str, ...]]]:
    """The expected counts: tokens by call, and sources."""
    tokens, sources = {}, Counter()
    for entry, _, key in asked:
        estimated = entry.source == "missing" and entry.file not in ERRORS
        usage = {"input": SAID_TOKENS} if estimated else entry.usage
        usage = {kind: count for kind, count in usage.items() if kind != "cache_write_1h_input"}  # it has no counter
        tokens[key, entry.model] = {kind: count for kind, count in usage.items() if count}
        sources[("estimated" if estimated else entry.source,)] += 1
    assert len(tokens) == len(asked), "each call has its own labels"
    return tokens, sources


def _tokens(world: World, calls: Iterable[Call]) -> dict[Call, dict[str, int]]:
    """The counts."""
    tokens: dict[Call, dict[str, int]] = {call: {} for call in calls}
    for labels, count in world.series("llm_tokens_total"):
        call = labels["key"], labels["model"]
        if call in tokens:
            assert labels["cluster"] == "player" and "outcome" not in labels
            tokens[call][labels["type"]] = count
    return tokens


def _assert_tokens(world: World, asked: Asked, due: dict[Call, dict[str, int]]) -> None:
    """Counts are as expected, except for estimates, which the core's tests check. For a cut answer, the count is at least what
    was reported."""
    cut = {(key, entry.model) for entry, _, key in asked if entry.source == "partial"}
    guessed = {call for call, usage in due.items() if usage == {"input": SAID_TOKENS}}

    def reported(tokens: dict[Call, dict[str, int]]) -> dict[Call, dict[str, int]]:
        kinds = {call: {"input"} if call in guessed else {*due[call]} - {"output"} for call in cut | guessed}
        return {call: {kind: count for kind, count in usage.items() if kind in kinds.get(call, {kind})} for call, usage in tokens.items()}

    eventually(lambda: reported(_tokens(world, due)), reported(due))
    tokens = _tokens(world, due)
    less = {call for call in cut if tokens[call].get("output", 0) < due[call].get("output", 0)}
    assert not less and {tokens[call].get("input", 0) for call in cut if "input" not in due[call]} <= {0, SAID_TOKENS}


def _show(asked: Asked, sources: Counter[tuple[str, ...]], config: pytest.Config) -> None:
    table = Table(f"corpus through Envoy: {len(asked)} answers", [source for (source,) in sorted(sources)])
    for size in PIECES:
        _, by_source = _due([each for each in asked if each[2] == KEYS[size]])
        for (source,), count in by_source.items():
            table.put(f"pieces of {size or 'all'}", source, count)
    table.show(config)
