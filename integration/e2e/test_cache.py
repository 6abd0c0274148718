"""The cache: the same request is answered once by a model server, and then from what has been kept."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator

import pytest

from conftest import OpenWorld
from echo import Echo
from guarded import guarded
from settings import Settings
from world import ADMIN, BEARER, MESSAGES, World, chat_body, eventually

COLD = {"temperature": 0}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Cached"}]}], "generationConfig": {"temperature": 0}}
GEMINI = "/v1beta/models/cached:"


@pytest.fixture(scope="module")
def _cached(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    for upstream in changed.upstreams.values():
        upstream["dialects"] = ["openai", "anthropic", "ollama", "gemini"]
    targets = [{"upstream": "mock-a", "model": "gpt-4o-mock-a"}]
    changed.models.append({"name": "cached", "targets": targets, "cache": {"time": "10m"}})
    changed.models.append({"name": "shared", "targets": targets, "cache": {"scope": "all", "always": True, "wait": "1s"}})
    with open_world(changed.text()) as world:
        yield world


@pytest.fixture
def cached(_cached: World) -> World:
    _cached.reset()
    return _cached


def _asked(world: World) -> int:
    return len(world.entries())


def _cache(answer: Any) -> str | None:
    return answer.headers.get("x-sluice-cache")


def _words(text: str) -> str:
    """The text of an OpenAI answer, streamed or not."""
    if not text.startswith("data:"):
        return json.loads(text)["choices"][0]["message"]["content"]
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    parts = [choice["delta"].get("content") or "" for line in lines for choice in json.loads(line)["choices"]]
    assert text.rstrip().endswith("data: [DONE]")
    return "".join(parts)


def test_the_second_answer_is_the_first(cached: World) -> None:
    first, second = (cached.chat("twice", model="cached", **COLD) for _ in range(2))
    assert (_cache(first), _cache(second)) == ("miss", "hit")
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert int(second.headers["age"]) <= 2
    assert _asked(cached) == 1


@pytest.mark.parametrize("streams", [(False, True), (True, False), (True, True)])
def test_streams_and_json_have_one_entry(cached: World, streams: tuple[bool, bool]) -> None:
    text = f"one entry {streams}"
    answers = [cached.chat(text, model="cached", stream=stream, **COLD) for stream in streams]
    assert [_cache(answer) for answer in answers] == ["miss", "hit"]
    assert _words(answers[0].text) == _words(answers[1].text) != ""
    kinds = ["text/event-stream" if stream else "application/json" for stream in streams]
    assert [answer.headers["content-type"].split(";")[0] for answer in answers] == kinds
    assert _asked(cached) == 1


MESSAGE = {"model": "cached", "max_tokens": 50, "messages": [{"role": "user", "content": "Cached"}], **COLD}
DIALECTS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "messages": (MESSAGES, MESSAGES, MESSAGE, {**MESSAGE, "stream": True}),
    "responses": (
        "/v1/responses",
        "/v1/responses",
        {"model": "cached", "input": "Cached", **COLD},
        {"model": "cached", "input": "Cached", "stream": True, **COLD},
    ),
    "completions": (
        "/v1/completions",
        "/v1/completions",
        {"model": "cached", "prompt": "Cached", **COLD},
        {"model": "cached", "prompt": "Cached", "stream": True, **COLD},
    ),
    "ollama": (
        "/api/chat",
        "/api/chat",
        {"model": "cached", "messages": MESSAGE["messages"], "options": COLD, "stream": False},
        {"model": "cached", "messages": MESSAGE["messages"], "options": COLD},
    ),
    "gemini": (GEMINI + "generateContent", GEMINI + "streamGenerateContent?alt=sse", CONTENTS, CONTENTS),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("first", ["json", "stream"])
def test_dialects(cached: World, dialect: str, first: str) -> None:
    path, stream_path, body, stream = DIALECTS[dialect]
    calls = [(path, body), (stream_path, stream)]
    if first == "stream":
        calls.reverse()
    # a text of its own, so that no other case has kept it
    bodies = [(path, json.dumps(body).replace('"Cached"', f'"Cached {dialect} {first}"')) for path, body in calls]
    answers = [cached.send(text.encode(), path=path, headers={**BEARER, "anthropic-version": "2023-06-01"}) for path, text in bodies]
    assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
    assert [_cache(answer) for answer in answers] == ["miss", "hit"]
    assert _asked(cached) == 1


def test_what_is_not_kept(cached: World) -> None:
    cases: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
        "not repeatable": ({"temperature": 0.5}, {}),
        "no temperature": ({}, {}),
        "tools": ({**COLD, "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, {}),
        "no-store": (COLD, {"cache-control": "no-store"}),
    }
    for name, (fields, headers) in cases.items():
        body = chat_body(name, model="cached", **fields)
        results = [_cache(cached.send(body, headers={**BEARER, **headers})) for _ in range(2)]
        assert results == ["skip", "skip"], name
    assert _cache(cached.chat("no cache at all", **COLD)) is None


def test_cache_control(cached: World) -> None:
    body = chat_body("controlled", model="cached", **COLD)
    results = [
        _cache(cached.send(body, headers={**BEARER, "cache-control": control}))
        for control in ("", "", "no-cache", "max-age=60", "max-age=0, no-cache")
    ]
    assert results == ["miss", "hit", "miss", "hit", "miss"]


def test_a_failed_answer_is_not_kept(cached: World) -> None:
    cached.fault({"fault": "status", "status": 400}, "mock-a")
    assert cached.chat("fails", model="cached", **COLD).status_code == 400
    cached.heal()
    assert _cache(cached.chat("fails", model="cached", **COLD)) == "miss"
    assert _cache(cached.chat("fails", model="cached", **COLD)) == "hit"


def test_hits_are_summed_up(cached: World) -> None:
    """A hit is a request without tokens; what it has saved stands beside them."""

    def row() -> dict[str, Any]:
        rows = cached.send(path="/gateway/usage?by=model", method="GET", headers=ADMIN).json()["data"]
        return next((row for row in rows if row["model"] == "cached"), {})

    names = ("requests", "input_tokens", "output_tokens", "cost_microusd", "cache_hits", "saved_input_tokens", "saved_output_tokens")
    cached.chat("one two three", model="cached", **COLD)
    eventually(lambda: row().get("requests", 0) > 0, True)
    logged, before = len(cached.logged()), row()
    for _ in range(2):
        assert _cache(cached.chat("one two three", model="cached", **COLD)) == "hit"
    eventually(lambda: row()["cache_hits"] - before["cache_hits"], 2)
    more = {name: row()[name] - before[name] for name in names}
    hits = lambda: [line["sluice"] for line in cached.logged(logged) if line["sluice"].get("cache") == "hit"]
    eventually(lambda: len(hits()), 2)
    record = hits()[-1]
    saved = (record["saved_input_tokens"], record["saved_output_tokens"])
    assert saved > (0, 0) and record["cache"] == "hit" and "input_tokens" not in record
    assert list(more.values()) == [2, 0, 0, 0, 2, 2 * saved[0], 2 * saved[1]]
    csv = cached.send(path="/gateway/usage?by=model&format=csv", method="GET", headers=ADMIN).text
    assert csv.splitlines()[0].endswith(",cache_hits,saved_input_tokens,saved_output_tokens")


def test_each_key_has_its_own(cached: World) -> None:
    own = [cached.chat("mine", model="cached", **COLD) for _ in range(2)]
    theirs = cached.send(chat_body("mine", model="cached", **COLD), headers=ADMIN)
    assert [_cache(answer) for answer in (*own, theirs)] == ["miss", "hit", "miss"]
    shared = [cached.chat("ours", model="shared"), cached.send(chat_body("ours", model="shared"), headers=ADMIN)]
    assert [_cache(answer) for answer in shared] == ["miss", "hit"]


def test_many_at_once(cached: World) -> None:
    """Model servers see each prompt once, and every answer belongs to its prompt."""
    prompts, calls, at_once = 20, 400, 20
    before = cached.counted("llm_cache_total")

    def ask(number: int) -> tuple[int, str | None, str]:
        answer = cached.chat(f"storm {number % prompts}", model="cached", stream=number % 2 == 0, **COLD)
        assert answer.status_code == 200, answer.text
        return number % prompts, _cache(answer), _words(answer.text)

    with ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(ask, range(calls)))
    assert _asked(cached) == prompts
    assert Counter(result for _, result, _ in answers) == {"hit": calls - prompts, "miss": prompts}
    texts = {number: {text for of, _, text in answers if of == number} for number in range(prompts)}
    assert all(len(found) == 1 for found in texts.values())

    want = Counter({("cached", "hit"): calls - prompts, ("cached", "miss"): prompts})
    eventually(lambda: cached.counted("llm_cache_total") - before, want)


@pytest.fixture(scope="module")
def _guarded(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    with Echo() as echo:
        changed = settings()
        changed.add_cluster("echo", echo.address)
        changed.upstreams["echo"] = {"dialects": ["openai"]}
        changed.add_model("echo", "echo")
        changed.models[-1]["cache"] = {"scope": "all", "tools": True}
        restore = {"name": "restore", "api": "patterns", "phase": ["request"], "action": "restore"}
        guarded(changed, [restore])
        with open_world(changed.text()) as world:
            yield world


@pytest.mark.parametrize("streams", [(False, False), (False, True), (True, False), (True, True)])
def test_each_caller_gets_its_own_values(_guarded: World, streams: tuple[bool, bool]) -> None:
    """The entry has a placeholder; the value of one caller never reaches another."""
    own, other = ("alice@example.com", "bob@example.org")
    text = f"{streams} write to "
    first = _guarded.chat(text + own, model="echo", stream=streams[0], **COLD)
    body = chat_body(text + other, model="echo", stream=streams[1], **COLD)
    second = _guarded.send(body, headers=ADMIN)
    assert [_cache(answer) for answer in (first, second)] == ["miss", "hit"]
    assert own in first.text and other not in first.text
    assert other in second.text and own not in second.text
