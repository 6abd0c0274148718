"""Virtual models: the kind of a prompt decides which model answers."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest

from conftest import OpenWorld
from semantic_servers import MODEL, Embeddings, Unavailable
from settings import Settings
from upstream import Upstream
from world import ADMIN, BEARER, World, eventually

FIXTURE = json.loads((Path(__file__).parent / "kinds.json").read_text())
PROMPTS = FIXTURE["prompts"]
OTHERS = FIXTURE["others"]
OTHERWISE = "gpt-4o"
TIMEOUT = 1.0


class Judge(Upstream):
    """A chat model that says what a prompt asks it to say: `SAY code`, `SLEEP`, `BREAK`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        request = json.loads(body)
        self.asked.append({"path": headers[":path"], "authorization": headers.get("authorization"), **request})
        text = request["messages"][-1]["content"]
        if "SLEEP" in text:
            await asyncio.sleep(3 * TIMEOUT)
        if "BREAK" in text:
            writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
            return True
        said = text.partition("SAY ")[2] or "What a lovely question! Let me think about it."
        answer = json.dumps({"choices": [{"message": {"role": "assistant", "content": said}}]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))
        await writer.drain()
        return True


def _kinds(changed: Settings) -> list[dict[str, Any]]:
    """The fixture's kinds, each with a model of its own."""
    kinds = []
    for kind in FIXTURE["kinds"]:
        name = f"for-{kind['name']}"
        target = {"upstream": "mock-a", "model": "gpt-4o-mock-a"}
        if name not in [model["name"] for model in changed.models]:
            changed.models.append({"name": name, "targets": [target], "defaults": {"seed": len(name)}})
        kinds.append({**kind, "model": name})
    return kinds


def _virtual(changed: Settings, name: str, **choose: Any) -> None:
    changed.models.append({"name": name, "choose": {"otherwise": OTHERWISE, "kinds": _kinds(changed), **choose}})


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as running:
        yield running  # type: ignore[misc]


@pytest.fixture(scope="module")
def _world(settings: Callable[[], Settings], open_world: OpenWorld, judge: Judge) -> Iterator[World]:
    changed = settings()
    changed.add_cluster("judge", judge.address)
    changed.upstreams["judge"] = {"cluster": "judge", "base_path": "/api/v3"}
    for upstream in ("mock-a", "mock-b"):
        changed.upstreams[upstream]["dialects"] = ["openai", "anthropic", "gemini", "ollama"]
    _virtual(changed, "auto", by="rules")
    asked = {"by": "llm", "upstream": "judge", "model": "tiny", "timeout": f"{TIMEOUT:.0f}s"}
    # without rules, so that each prompt is asked for
    _virtual(changed, "asked", **asked)
    for kind in changed.models[-1]["choose"]["kinds"]:
        kind.pop("match")
    changed.values("router")["default_model"] = "auto"
    with open_world(changed.text(), own=True) as world:
        yield world


@pytest.fixture
def world(_world: World) -> World:
    _world.reset()
    return _world


def _ask(world: World, text: str, model: str | None = "auto", path: str = "/v1/chat/completions", **fields: Any) -> Any:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": text}], **fields}
    if model:
        body["model"] = model
    return world.send(json.dumps(body).encode(), path=path)


def _kind(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["x-sluice-kind"]


def test_rules_choose_the_model(world: World) -> None:
    cases = [("Write a Python loop", "code"), ("Übersetze das ins Englische", "translation"), ("Hmm.", "otherwise")]
    for text, kind in cases:
        world.heal()
        assert _kind(_ask(world, text, model=None)) == kind
        _, entry = world.entry()
        assert entry["body"].get("seed") == (len(f"for-{kind}") if kind != "otherwise" else None)


@pytest.mark.parametrize("path", ["/v1/messages", "/api/chat", "/v1beta/models/auto:generateContent"])
def test_other_dialects(world: World, path: str) -> None:
    if "models" in path:
        body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Solve 2x = 4"}]}]}
    else:
        body = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "Solve 2x = 4"}], "stream": False}
    headers = {**BEARER, "anthropic-version": "2023-06-01"}
    assert _kind(world.send(json.dumps(body).encode(), path=path, headers=headers)) == "math"


def test_labelled_prompts_by_rules(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        kinds = list(pool.map(lambda prompt: _kind(_ask(world, prompt["text"])), PROMPTS))
    right = sum(kind == prompt["kind"] for kind, prompt in zip(kinds, PROMPTS))
    print(f"\nby rules: {right} of {len(PROMPTS)} prompts")
    assert right >= 180


def test_a_chat_model_is_asked(world: World, judge: Judge) -> None:
    judge.asked.clear()
    assert _kind(_ask(world, "First. SAY Math.", model="asked")) == "math"
    [asked] = judge.asked
    assert (asked["path"], asked["model"], asked["temperature"]) == ("/api/v3/chat/completions", "tiny", 0)
    # the worker remembers it; each of several workers asks once
    for _ in range(20):
        assert _kind(_ask(world, "First. SAY Math.", model="asked")) == "math"
    assert len(judge.asked) <= 8
    assert "First" not in world.gateway.log()


def test_what_a_chat_model_says_wrong(world: World, judge: Judge) -> None:
    before = world.counted("llm_kinds_total")
    for text in ("nonsense", "SAY none", "SAY code or math", "BREAK"):
        assert _kind(_ask(world, f"{text}", model="asked")) == "otherwise"
    start = time.monotonic()
    assert _kind(_ask(world, "SLEEP", model="asked")) == "otherwise"
    assert TIMEOUT * 0.9 <= time.monotonic() - start < 2.5 * TIMEOUT
    counts = {("asked", "otherwise", "otherwise"): 3, ("asked", "otherwise", "failed"): 2}
    eventually(lambda: {key: value for key, value in (world.counted("llm_kinds_total") - before).items() if key[0] == "asked"}, counts)


def test_a_conversation_keeps_its_kind(world: World, judge: Judge) -> None:
    assert _kind(_ask(world, "Chat. SAY code", model="asked")) == "code"
    judge.asked.clear()
    messages = [{"role": "user", "content": "Chat. SAY code"}, {"role": "assistant", "content": "Yes"}]
    for number in range(6):
        messages.append({"role": "user", "content": f"{number} SAY math"})
        answer = _ask(world, "", model="asked", messages=messages)
        assert _kind(answer) == "code"
    assert not judge.asked


def test_the_log_has_the_kind(world: World) -> None:
    assert _kind(_ask(world, "Write a poem")) == "writing"
    eventually(lambda: '"kind":"writing"' in world.gateway.output().replace(" ", ""), True)


def test_a_virtual_model_is_listed(world: World) -> None:
    answer = world.http.get("/v1/models", headers=ADMIN)
    assert {"auto", "asked"} <= {model["id"] for model in answer.json()["data"]}


@pytest.fixture(scope="module")
def embeddings() -> Iterator[Embeddings]:
    try:
        with Embeddings() as running:
            yield running
    except Unavailable as why:
        pytest.skip(str(why))


def test_labelled_prompts_by_embedding(
    settings: Callable[[], Settings], open_world: OpenWorld, embeddings: Embeddings
) -> None:
    changed = settings()
    changed.add_cluster("embeddings", embeddings.address)
    changed.upstreams["embeddings"] = {"cluster": "embeddings"}
    _virtual(changed, "near", by="embedding", upstream="embeddings", model=MODEL, timeout="30s")
    for kind in changed.models[-1]["choose"]["kinds"]:
        kind.pop("match")
    with open_world(changed.text(), own=True) as world:
        world.http.timeout = 60
        # each worker fetches the examples' vectors first
        eventually(lambda: {_kind(_ask(world, "Write a poem", model="near")) for _ in range(8)}, {"writing"}, 120)
        with ThreadPoolExecutor(2) as pool:
            kinds = list(pool.map(lambda prompt: _kind(_ask(world, prompt["text"], model="near")), PROMPTS + OTHERS))
    for language in ("en", "de"):
        asked = [(kind, prompt.get("kind", "otherwise")) for kind, prompt in zip(kinds, PROMPTS + OTHERS) if prompt["language"] == language]
        ours = [pair for pair in asked if pair[1] != "otherwise"]
        right = sum(kind == wanted for kind, wanted in ours)
        left = sum(kind == wanted for kind, wanted in asked) - right
        print(f"\nby embedding, {language}: {right} of {len(ours)} prompts; of {len(asked) - len(ours)} others, {left} go to otherwise")
        # the model was made for English
        assert right >= (85 if language == "en" else 60)
