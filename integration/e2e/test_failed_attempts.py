"""An attempt that failed after it generated tokens costs money: the gateway's counters include it, the client's bill does not."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Iterator

import pytest

from answers import content, tokens
from conftest import OpenWorld
from generated import generated_tokens
from limited import PRICE, microusd
from resilience import NEVER_EJECTED_ALONE, add_upstream, target
from scripted import Script, Scripted
from settings import FIRST, Settings
from world import ADMIN, World, eventually

SAID = "one two three four five six seven eight nine ten"
USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}
CHAT_ANSWER = json.dumps({"id": "x", "object": "chat.completion", "usage": USAGE, "choices": [{"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}]}).encode()
MESSAGE = json.dumps({"type": "message", "role": "assistant", "content": [{"type": "text", "text": SAID}], "usage": {"input_tokens": 7, "output_tokens": 9}}).encode()
CHAT_CUT, MESSAGE_CUT = CHAT_ANSWER[: CHAT_ANSWER.index(b" ten")], MESSAGE[: MESSAGE.index(b" ten")]
SEEN = generated_tokens(SAID.removesuffix(" ten"))
ASKED = "PLAY {}. What is it?"


def _prompt(name: str) -> int:
    return -(-len(ASKED.format(name)) // 4)


def _failed(**fields: Any) -> bytes:
    return json.dumps({"error": {"message": "m"}, **fields}).encode()


# The server's answer, whether it is a stream, whether it has the client's dialect, and the tokens that it shows. None: the
# prompt's estimate.
CASES: dict[str, tuple[Script, bool, str, tuple[int | None, int] | None]] = {
    "an error beside usage": (Script.json(_failed(usage=USAGE)), False, "same", (7, 9)),
    "cut with a length": (Script.json(CHAT_CUT), False, "same", (None, SEEN)),
    "cut in chunks": (Script([CHAT_CUT]), False, "same", (None, SEEN)),
    "reset": (Script([CHAT_CUT], length=len(CHAT_ANSWER), reset=True), False, "same", (None, SEEN)),
    "no stream": (Script.json(CHAT_ANSWER), True, "same", (7, 9)),
    "translated and cut": (Script.json(MESSAGE_CUT), False, "other", (None, SEEN)),
    "an error": (Script.json(_failed()), False, "same", None),
    "an error in a stream": (Script.stream(b"data: " + _failed() + b"\n\n"), True, "same", None),
    "another page": (Script.json(b"<html><p>content: none</p></html>"), False, "same", None),
    "a server error": (Script.json(CHAT_ANSWER, status="500 Internal Server Error"), False, "same", None),
}


@pytest.fixture(scope="module")
def costly_world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    """Models whose first target plays the script, and whose second one succeeds."""
    changed = settings()
    with Scripted({name: case[0] for name, case in CASES.items()}) as server:
        for dialect, name in (("openai", "same"), ("anthropic", "other")):
            add_upstream(changed, name, "mock-a", server.address, ejection=NEVER_EJECTED_ALONE, dialects=[dialect])
            own = {"input": 20, "output": 80}
            first = {**target(name, "mock-a", weight=FIRST), "price": own}
            # a target of another dialect comes last, but before a fallback
            others = {"same": {"targets": [first, target("mock-b")]}, "other": {"targets": [first], "fallbacks": ["same-only"]}}
            changed.models.append({"name": name, "price": PRICE, **others[name]})
        changed.models.append({"name": "same-only", "targets": [target("mock-b")], "price": PRICE})
        with open_world(changed.text()) as world:
            yield world


def _counted(world: World, metric: str, cluster: str) -> Counter[tuple[str, str]]:
    """By type and outcome."""
    series = world.series(metric)
    return Counter({(labels.get("type", "cost"), labels.get("outcome", "")): value for labels, value in series if labels["cluster"] == cluster})


@pytest.mark.parametrize("name", CASES)
def test_failed_attempts_are_counted_separately(costly_world: World, name: str) -> None:
    world = costly_world
    world.heal()
    _, stream, model, want = CASES[name]
    metrics = ("llm_tokens_total", "llm_cost_microusd_total")
    before = [_counted(world, metric, model) for metric in metrics]
    bill = _bill(world)
    response = world.chat(ASKED.format(name), model=model, stream=stream)
    assert (response.status_code, response.headers["x-sluice-cluster"]) == (200, "mock-b")
    assert response.headers["x-sluice-attempts"].startswith(f"{model}=") and content(response)
    expected = [Counter(), Counter()]
    if want:
        used, output = want
        used = _prompt(name) if used is None else used
        expected = [Counter({("input", "failed"): used, ("output", "failed"): output}), Counter({("cost", "failed"): 20 * used + 80 * output})]
    world.settle()
    eventually(lambda: [_counted(world, metric, model) - old for metric, old in zip(metrics, before)], expected)
    (usage,) = [entry["usage"] for server, entry in world.entries() if server == "mock-b"]
    billed = tokens(usage)
    eventually(lambda: tuple(now - then for now, then in zip(_bill(world), bill)), (*billed, microusd([billed])))


def _bill(world: World) -> tuple[int, int, int]:
    """The usage of the client's key, as the gateway reports it."""
    rows = world.send(method="GET", path="/gateway/usage?by=key", headers=ADMIN).json()["data"]
    row = next((row for row in rows if row["key"] == "demo-user"), {})
    return tuple(row.get(name, 0) for name in ("input_tokens", "output_tokens", "cost_microusd"))  # type: ignore[return-value]
