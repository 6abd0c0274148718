"""A large body under the guard's patterns does not delay other requests: its texts are extracted, searched and rewritten in slices."""

from __future__ import annotations

import json
import re
import time
from typing import Callable

import httpx
import pytest

import clients
from conftest import OpenWorld
from guarded import guarded, since, verdicts
from settings import Settings
from world import chat_body

MASK = {"name": "request-check", "api": "patterns", "phase": ["request"], "action": "mask", "models": ["up"]}
ANSWERS = {**MASK, "name": "response-check", "phase": ["response"], "models": ["down"]}
MIB = 1 << 20
# The text that is slowest to search.
SLOW = "1-1-"
# The text with the most findings, so the most to rewrite.
FOUND = "a@b.co 4111 1111 1111 1111 "
# Contents whose texts take longest to extract.
CONTENTS = {
    "escapes": '"%s"' % (r"\u0061" * MIB),
    "JSON in a string": json.dumps(json.dumps([{"a": "some words\n", "n": 12}] * (MIB // 8))),
    "nested blocks": '[{"content":' * 5 + "[%s]" % ",".join(["1"] * (3 * MIB)) + "}]" * 5,
    "many values": "[%s]" % ",".join(['{"type":"a"}'] * (MIB // 2)),
}
CARD, ANOTHER = "4111 1111 1111 1111", "5555 5555 5555 4444"


def _longest(admin: str) -> float:
    """The longest iteration of a worker's event loop, in milliseconds. Envoy reports it at its next flush of stats."""
    for _ in range(100):
        stats = httpx.get(f"{admin}/stats", params={"filter": "worker_.*loop_duration_us"}, trust_env=False).text
        if found := re.findall(r"P100\([^,]+,([0-9.]+)\)", stats):
            return max(map(float, found)) / 1e3
        time.sleep(0.1)
    raise AssertionError(stats)


def test_large_texts_are_searched_in_slices(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Megabytes of text that almost matches, in requests and in answers, beside small requests."""
    changed = guarded(settings(), [MASK, ANSWERS])
    changed.add_model("up", "mock-a")
    changed.add_model("down", "mock-a")
    changed.tree["enable_dispatcher_stats"] = True
    with open_world(changed.text(), own=True) as world:
        before = verdicts(world)
        sizes = [("up", 7, CARD), ("down", 3, ANOTHER)]
        large = [chat_body(f"{SLOW * (size * MIB // 4)} {card}", model=model) for model, size, card in sizes * 2]
        small = [chat_body(f"small {CARD}", model="up") for _ in range(200)]
        begun = time.monotonic()
        answers = clients.ask(world.gateway.port, large + small, 10)
        print(f"{time.monotonic() - begun:.1f} s in all; large ones took {[round(answer.seconds, 2) for answer in answers[:4]]}")
        print(f"small ones took {max(answer.seconds for answer in answers[4:]):.3f} s at most")
        print(f"a worker was held for {_longest(world.gateway.admin):.0f} ms at most")
        assert {answer.status_code for answer in answers} == {200}
        counted = since(before, verdicts(world))
        assert counted[("request-check", "request", "mask")] == 202
        assert sum(counted.values()) == 204 and ("response-check", "response", "error_too_large") not in counted
        assert not any(CARD in json.dumps(entry) for _, entry in world.entries())
        assert not any(ANOTHER in answer.content.decode() for answer in answers)


@pytest.mark.parametrize("action", ["mask", "restore"])
def test_large_texts_are_rewritten_in_slices(
    settings: Callable[[], Settings], open_world: OpenWorld, action: str
) -> None:
    """Almost as many findings as a check allows: small requests beside them wait little longer than beside a search.

    Of several tries the best counts: what else runs on the machine only adds to the time.
    """
    changed = guarded(settings(), [{**MASK, "action": action}])
    changed.add_model("up", "mock-a")
    changed.tree["enable_dispatcher_stats"] = True
    with open_world(changed.text(), own=True) as world:

        def waited(text: str) -> float:
            """The longest time of a small request beside a large one with this text, in seconds."""
            small = [chat_body(f"small {CARD}", model="up") for _ in range(100)]
            answers = clients.ask(world.gateway.port, [chat_body(text * (3 * MIB // len(text)), model="up"), *small], 10)
            assert {answer.status_code for answer in answers} == {200}
            return max(answer.seconds for answer in answers[1:])

        tries = [(waited(SLOW), waited(FOUND)) for _ in range(3)]
        searched, rewritten = (min(column) for column in zip(*tries))
        print(f"{action}: small ones took {rewritten:.3f} s, and {searched:.3f} s beside a search alone")
        print(f"a worker was held for {_longest(world.gateway.admin):.0f} ms at most")
        assert rewritten < 4 * searched
        shown = json.dumps([entry["body"] for _, entry in world.entries()])
        assert CARD not in shown and "a@b.co" not in shown


def test_texts_are_extracted_in_slices(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Small requests beside bodies that are slow to read wait little longer than beside a search, and beside the same bodies unguarded."""
    changed = guarded(settings(), [MASK])
    changed.add_model("up", "mock-a")
    changed.add_model("unguarded", "mock-a")
    changed.tree["enable_dispatcher_stats"] = True
    with open_world(changed.text(), own=True) as world:

        def waited(content: str, model: str = "up") -> float:
            """The longest time of a small request beside a large one with this content, in seconds."""
            card = CARD if model == "up" else ""
            message = f'{{"role":"user","content":{content}}},{{"role":"user","content":"{card}"}}'
            large = f'{{"model":"{model}","messages":[{message}]}}'.encode()
            small = [chat_body("small", model="up") for _ in range(100)]
            answers = clients.ask(world.gateway.port, [large, *small], 10)
            assert {answer.status_code for answer in answers} == {200}
            return max(answer.seconds for answer in answers[1:])

        before = verdicts(world)
        searched = min(waited(f'"{SLOW * (MIB // 2)}"') for _ in range(3))
        for name, content in CONTENTS.items():
            read = min(waited(content) for _ in range(3))
            parsed = min(waited(content, "unguarded") for _ in range(3))
            print(f"{name}: small ones took {read:.3f} s, {parsed:.3f} s unguarded, and {searched:.3f} s beside a search")
            assert read < 4 * (parsed + searched)
        print(f"a worker was held for {_longest(world.gateway.admin):.0f} ms at most")
        assert since(before, verdicts(world))[("request-check", "request", "mask")] == 3 + 3 * len(CONTENTS)
