"""The cache under load: every prompt is asked once, every answer is right, every counter is exact; a hit is cheaper than a miss, and
the memory does not grow.

`SLUICE_CACHE_CALLS=10000` is the full form of the storm, `SLUICE_CACHE_PROMPTS=100000` that of the memory.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import clients
from conftest import OpenWorld
from footprint import MIB, footprint
from settings import Settings
from table import Table
from world import ADMIN, BEARER, World, chat_body, eventually

CALLS = int(os.environ.get("SLUICE_CACHE_CALLS", "600"))
PROMPTS = int(os.environ.get("SLUICE_CACHE_PROMPTS", "3000"))
AT_ONCE = 50
DISTINCT = 200 if CALLS >= 2000 else 40
# Of so many calls, one is not repeatable.
HOT = 20
COLD = {"temperature": 0}
# The last half of a run may add this much memory.
GROWTH = 0.02


@pytest.fixture(scope="module")
def _stormed(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    targets = [{"upstream": "mock-a", "model": "gpt-4o-mock-a"}]
    for name, cache in (("own", {}), ("all", {"scope": "all"}), ("plain", None)):
        changed.models.append({"name": name, "targets": targets, **({} if cache is None else {"cache": cache})})
    changed.values("router")["cache_memory"] = "4MiB"
    with open_world(changed.text(), own=True) as world:
        yield world


@pytest.fixture
def stormed(_stormed: World) -> World:
    _stormed.reset()
    return _stormed


def _calls() -> list[dict[str, Any]]:
    """All calls of the storm: half are streams; some are not repeatable; two keys and two scopes."""
    calls = []
    for number in range(CALLS):
        prompt, turn = number % DISTINCT, number // DISTINCT
        call = {"text": f"prompt {prompt}", "model": ("own", "all")[prompt % 2], "headers": (BEARER, ADMIN)[turn // 2 % 2]}
        call["stream"] = turn % 2 == 1
        call["temperature"] = 0.5 if number % HOT == HOT - 1 else 0
        calls.append(call)
    return calls


def _entry(call: dict[str, Any]) -> tuple[Any, ...]:
    """What is asked once."""
    return (call["model"], call["text"], call["headers"]["authorization"] if call["model"] == "own" else "")


def test_storm(stormed: World, request: pytest.FixtureRequest) -> None:
    world, calls = stormed, _calls()
    plain = {number: world.chat(f"prompt {number}", model="plain", **COLD) for number in range(DISTINCT)}
    right = {f"prompt {number}": answer.json()["choices"][0]["message"]["content"] for number, answer in plain.items()}
    world.reset()
    metrics = ("llm_cache_total", "llm_cache_saved_tokens_total", "llm_requests_total", "llm_tokens_total")
    before, logged = {metric: world.counted(metric) for metric in metrics}, len(world.logged())

    def visit(call: dict[str, Any]) -> Callable[[clients.Client], Any]:
        body = chat_body(call["text"], model=call["model"], stream=call["stream"], temperature=call["temperature"])
        return lambda client: client.ask(body, headers=call["headers"])

    begun = time.monotonic()
    answers = clients.each(world.gateway.port, AT_ONCE, map(visit, calls))
    took = time.monotonic() - begun
    wrong = [(call, answer) for call, answer in zip(calls, answers) if answer.text() != right[call["text"]]]
    assert not wrong, f"{len(wrong)} answers are wrong, such as {wrong[0]}"

    cold = [call for call in calls if call["temperature"] == 0]
    entries = {_entry(call) for call in cold}
    want = Counter(hit=len(cold) - len(entries), miss=len(entries), skip=len(calls) - len(cold))
    assert Counter(answer.headers["x-sluice-cache"] for answer in answers) == want
    assert len(world.entries()) == len(entries) + want["skip"], "each prompt is asked once"
    by_model = Counter((call["model"], answer.headers["x-sluice-cache"]) for call, answer in zip(calls, answers))
    eventually(lambda: world.counted("llm_cache_total") - before["llm_cache_total"], by_model)
    asked = world.counted("llm_requests_total") - before["llm_requests_total"]
    assert asked.total() == len(calls), "a hit is a request"
    eventually(lambda: len(world.logged()) - logged, len(calls), 20)
    records = [line["sluice"] for line in world.logged(logged)]
    assert Counter(record["cache"] for record in records) == want
    for kind in ("input", "output"):
        saved = sum(record.get(f"saved_{kind}_tokens", 0) for record in records)
        counted = world.counted("llm_cache_saved_tokens_total") - before["llm_cache_saved_tokens_total"]
        assert sum(count for labels, count in counted.items() if kind in labels) == saved > 0
        used = sum(record.get(f"{kind}_tokens", 0) for record in records)
        counted = world.counted("llm_tokens_total") - before["llm_tokens_total"]
        assert sum(count for labels, count in counted.items() if kind in labels) == used > 0
    table = Table(f"cache: {len(calls)} calls, {AT_ONCE} at once, {took:.1f} s", ["calls", "p50 ms", "p99 ms"])
    for result in want:
        times = sorted(answer.seconds * 1000 for answer in answers if answer.headers["x-sluice-cache"] == result)
        table.put(result, "calls", len(times))
        table.put(result, "p50 ms", f"{statistics.median(times):.1f}")
        table.put(result, "p99 ms", f"{times[int(len(times) * 0.99)]:.1f}")
    table.show(request.config)


def _cpu(world: World) -> float:
    """The CPU time that the gateway has used, in seconds."""
    fields = Path(f"/proc/{world.gateway.child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_hit_costs_less_than_a_miss(stormed: World, request: pytest.FixtureRequest) -> None:
    """CPU time of the whole Envoy, through a mock that answers at once; rounds alternate."""
    calls, rounds, numbers = 400, 3, itertools.count()
    kinds: dict[str, Callable[[], bytes]] = {
        "no cache": lambda: chat_body("cost", model="plain", **COLD),
        "miss": lambda: chat_body(f"cost {next(numbers)}", model="own", **COLD),
        "hit": lambda: chat_body("cost", model="own", **COLD),
        "hit, stream": lambda: chat_body("cost", model="own", stream=True, **COLD),
    }
    spent: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _, (kind, body) in itertools.product(range(rounds), kinds.items()):
        bodies = [body() for _ in range(calls)]
        stormed.chat("cost", model="own", **COLD)  # misses have taken its place
        begun = _cpu(stormed)
        answers = clients.ask(stormed.gateway.port, bodies, 4)
        spent[kind].append((_cpu(stormed) - begun) / calls)
        assert {answer.headers.get("x-sluice-cache") for answer in answers} == {None if kind == "no cache" else kind.split(",")[0]}
    medians = {kind: statistics.median(times) for kind, times in spent.items()}
    table = Table("cache: CPU time of Envoy", ["us", "of a miss"])
    for kind, median in medians.items():
        table.put(kind, "us", f"{median * 1e6:.0f}")
        table.put(kind, "of a miss", f"{median / medians['miss']:.2f}")
    table.show(request.config)
    assert medians["hit"] < medians["miss"]


def test_memory_is_flat(stormed: World, request: pytest.FixtureRequest) -> None:
    """New prompts take the place of old ones, so many prompts take no more memory than a few thousand."""
    world, parts = stormed, 20
    seen = []
    for part in range(parts):
        numbers = range(part * PROMPTS // parts, (part + 1) * PROMPTS // parts)
        bodies = (chat_body(f"flat {number}", model="own", **COLD) for number in numbers)
        answers = clients.ask(world.gateway.port, bodies, 20)
        assert {(answer.status_code, answer.headers["x-sluice-cache"]) for answer in answers} == {(200, "miss")}
        for model in world.models.values():
            model.clear()
        seen.append(footprint(world.gateway))
    table = Table(f"cache: memory after {PROMPTS} distinct prompts", ["Envoy MiB", "VMs MiB"])
    for part in (0, parts // 4, parts // 2, parts - 1):
        table.put(f"{(part + 1) * PROMPTS // parts}", "Envoy MiB", f"{seen[part].envoy / MIB:.1f}")
        table.put(f"{(part + 1) * PROMPTS // parts}", "VMs MiB", f"{seen[part].wasm / MIB:.1f}")
    table.show(request.config)
    middle, last = seen[parts // 2 - 1], seen[-1]
    # the small form is about as long as it takes until the memory is full
    allowed = GROWTH if PROMPTS >= 20_000 else 0.1
    assert last.envoy + last.wasm <= (middle.envoy + middle.wasm) * (1 + allowed)
    newest = chat_body(f"flat {PROMPTS - 1}", model="own", **COLD)
    assert clients.ask(world.gateway.port, [newest], 1)[0].headers["x-sluice-cache"] == "hit"
    oldest = chat_body("flat 0", model="own", **COLD)
    assert clients.ask(world.gateway.port, [oldest], 1)[0].headers["x-sluice-cache"] == "miss"
