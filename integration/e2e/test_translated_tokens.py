"""Tokens of translated answers, in every pair of dialects: the counters and the client's usage are what the provider has reported,
in JSON, in whole streams, and in streams that break off."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator

import pytest

from conftest import OpenWorld
from player import Played, Player
from providers import Said, answers, draw
from resilience import NEVER_EJECTED_ALONE
from settings import Settings
from world import BEARER, CHAT, MESSAGES, World, eventually

RESPONSES = "/v1/responses"
# Paths, and the servers' dialects that a request to them is translated to.
PAIRS = [
    *((CHAT, dialect) for dialect in ("anthropic", "gemini", "converse")),
    (MESSAGES, "openai"),
    *((RESPONSES, dialect) for dialect in ("openai", "anthropic", "gemini", "converse")),
]
DIALECTS = ("openai", "anthropic", "gemini", "converse")
TYPES = {
    ("openai", False): "application/json",
    ("openai", True): "text/event-stream",
    ("converse", True): "application/vnd.amazon.eventstream",
}
# With several events, so that a stream can break off after the first one.
SAID = [said for said in (draw(f"tokens {number}") for number in range(12)) if len(said.thought + said.text + said.calls) > 1][:6]
# Anthropic also reports what it has written to its cache.
WRITTEN = 3
HELLO = [{"role": "user", "content": "Hello"}]


def _played(dialect: str, said: Said) -> Iterator[tuple[str, Played]]:
    """An answer as JSON, as a stream, and as a stream that the server breaks off within its last event (the one with the usage, if
    there is one)."""
    whole, stream = answers(dialect, said)
    written = b'"cache_creation_input_tokens": %d'
    whole, stream = (body.replace(written % 0, written % WRITTEN) for body in (whole, stream))
    kind = lambda streamed: TYPES.get((dialect, streamed), TYPES[("openai", streamed)])  # noqa: E731
    yield "json", Played(kind(False), whole)
    yield "stream", Played(kind(True), stream)
    yield "cut", Played(kind(True), stream[:-20], reset=True)


@pytest.fixture(scope="module")
def served(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    played = {
        f"{dialect} {number} {form}": each
        for dialect in DIALECTS
        for number, said in enumerate(SAID)
        for form, each in _played(dialect, said)
    }
    with Player(played) as player:
        for dialect in DIALECTS:
            changed.add_cluster(dialect, player.address)
            upstream = {"dialects": [dialect], "ejection": NEVER_EJECTED_ALONE, "forward_headers": ["x-answer"]}
            changed.upstreams[dialect] = {**upstream, **({"responses_api": False} if dialect == "openai" else {})}
            # a model for each call, since the counters have its name
            names = [f"{path[4:6]}-{dialect}-{form}" for path, other in PAIRS if other == dialect for form in ("json", "stream", "cut")]
            changed.models.extend({"name": name, "targets": [{"upstream": dialect, "model": "m"}]} for name in names)
        with open_world(changed.text()) as world:
            yield world


def _ask(world: World, path: str, dialect: str, number: int, form: str) -> str:
    body: dict[str, Any] = {"model": f"{path[4:6]}-{dialect}-{form}", "stream": form != "json"}
    body |= {"input": "Hello"} if path == RESPONSES else {"messages": HELLO, "max_tokens": 100}
    if path == CHAT and form != "json":
        body["stream_options"] = {"include_usage": True}
    try:
        return world.send(json.dumps(body).encode(), path=path, headers={**BEARER, "x-answer": f"{dialect} {number} {form}"}).text
    except Exception:  # a stream that is reset
        return ""


def _usage(path: str, form: str, text: str) -> Any:
    """The usage in the client's answer, as uncached input, output, cached input."""
    if form == "json":
        found = json.loads(text)["usage"]
    else:
        events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        found = {}
        for event in events:
            message = event.get("message") or event.get("response") or {}
            found |= {**(message.get("usage") or {}), **(event.get("usage") or {})}
    if path == MESSAGES:
        return found["input_tokens"], found["output_tokens"], found.get("cache_read_input_tokens", 0)
    names = ("prompt_tokens", "completion_tokens") if path == CHAT else ("input_tokens", "output_tokens")
    cached = (found.get(f"{names[0]}_details") or {}).get("cached_tokens", 0)
    return found[names[0]] - cached, found[names[1]], cached


@pytest.mark.parametrize(("path", "dialect"), PAIRS)
def test_whole_answers(served: World, path: str, dialect: str) -> None:
    written = WRITTEN if dialect == "anthropic" else 0
    for form in ("json", "stream"):
        model = f"{path[4:6]}-{dialect}-{form}"
        before = served.counted("llm_tokens_total")
        want: Counter[tuple[str, ...]] = Counter()
        for number, said in enumerate(SAID):
            plain, output, cached = said.usage
            text = _ask(served, path, dialect, number, form)
            assert _usage(path, form, text) == (plain + written, output, cached), (form, text)
            of_type = {"input": plain + cached + written, "output": output, "cached_input": cached, "cache_write_input": written}
            want.update({("demo-user", model, dialect, kind): count for kind, count in of_type.items() if count})
        eventually(lambda: served.counted("llm_tokens_total") - before, want)


@pytest.mark.parametrize(("path", "dialect"), PAIRS)
def test_streams_that_break_off(served: World, path: str, dialect: str) -> None:
    """What the provider has reported by then is counted; for the rest there is an estimate."""
    model = f"{path[4:6]}-{dialect}-cut"
    before = served.counted("llm_tokens_total")
    with ThreadPoolExecutor(len(SAID)) as pool:  # Envoy closes each connection after a second
        list(pool.map(lambda number: _ask(served, path, dialect, number, "cut"), range(len(SAID))))
    written = WRITTEN if dialect == "anthropic" else 0
    reported = [(plain + cached + written, output) for plain, output, cached in (said.usage for said in SAID)]

    def counted() -> tuple[int, int]:
        found = served.counted("llm_tokens_total") - before
        of_type = {kind: count for (_, name, _, kind), count in found.items() if name == model}
        return of_type.get("input", 0), of_type.get("output", 0)

    inputs, outputs = (sum(counts) for counts in zip(*reported))
    if dialect == "anthropic":
        eventually(counted, (inputs, outputs))
    elif dialect == "gemini":  # each event has the counts so far; an estimate of the whole text may be more
        eventually(lambda: (counted()[0], counted()[1] >= outputs), (inputs, True))
    else:
        eventually(lambda: all(count >= len(SAID) for count in counted()), True)
    sources = served.counted("llm_usage_source_total")
    assert not [labels for labels in sources if model in labels and "reported" in labels], sources
