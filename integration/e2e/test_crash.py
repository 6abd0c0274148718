"""One worker's filters crash during many calls. Other workers' calls do not notice, and the shared state recovers soon.

The filters are built with the feature `trap` (`make trap`), which lets a request crash them. A release does not have it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import time
from collections import Counter
from typing import Any, Callable, Iterator, Mapping

import httpx
import pytest

import clients
import limited
from answers import anthropic_error, openai_error
from child import TARGET
from conftest import OpenWorld
from gateway import WASM, MockModels
from guarded import guarded
from resilience import add_upstream, target
from settings import Settings
from table import Table
from world import ADMIN, BEARER, CHAT, MESSAGES, World, chat_body, eventually

TRAP_WASM = TARGET / "sluice-trap.wasm"
TRAP_HEADER = "x-sluice-trap"
CALLS = int(os.environ.get("SLUICE_CRASH_CALLS", "600"))
# All calls run for this long; other workers notice a crash after five to six seconds.
CALLS_TAKE = 14.0
HEALED_WITHIN = 10.0
# The models: one with a strategy that depends on running attempts, with a concurrency slot for each call; one with running counts
# only; one with neither.
MODELS = ("places", "least", "gpt-4o")
PLACES = CALLS // len(MODELS)
SECRET = "Reach me at jane.doe@example.com"


def test_release_has_no_trap() -> None:
    assert TRAP_HEADER.encode() not in WASM.read_bytes()


@pytest.fixture(scope="module")
def crash_world(settings: Callable[[], Settings], models: Mapping[str, MockModels], open_world: OpenWorld) -> Iterator[World]:
    if not TRAP_WASM.exists():
        pytest.skip("there is no target/sluice-trap.wasm: run `make trap`")
    changed = limited.limited(settings())
    guarded(changed, [{"name": "pii", "api": "patterns", "phase": ["request"], "action": "block", "entities": ["EMAIL_ADDRESS"]}])
    a, b, c = models.values()
    _add(changed, "places", "first_available", {"places-a": (a, {"slots": PLACES})})
    _add(changed, "least", "least_used", {f"least-{server.name[-1]}": (server, {}) for server in (a, b, c)})
    _add(changed, "out", "weighted", {"out-a": (a, {}), "out-b": (b, {})})
    with open_world(changed.text(), wasm=TRAP_WASM, env=limited.ENV) as world:
        assert TRAP_HEADER.encode() in TRAP_WASM.read_bytes()
        yield world


def _add(changed: Settings, name: str, strategy: str, servers: Mapping[str, tuple[MockModels, dict[str, Any]]]) -> None:
    targets = []
    for upstream, (server, fields) in servers.items():
        add_upstream(changed, upstream, server.name, server.address)
        targets.append(target(upstream, server.name, **fields))
    changed.models.append({"name": name, "strategy": strategy, "targets": targets})


def test_crash_during_calls(crash_world: World, request: pytest.FixtureRequest) -> None:
    world = crash_world
    headers = limited.issue(world, {"concurrency": CALLS})
    assert world.send(path="/gateway/upstreams/out-a/eject", headers=ADMIN).status_code == 200
    world.fault({"delay_ms": int(CALLS_TAKE * 1000)})
    bodies = [chat_body(model=MODELS[number % len(MODELS)]) for number in range(PLACES * len(MODELS))]
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        idle = _connections(world)
        asking = thread.submit(clients.ask, world.gateway.port, bodies, len(bodies), headers=headers)
        eventually(lambda: _under_way(world).total(), len(bodies), CALLS_TAKE)
        asked = _connections(world) - idle
        before, began = _connections(world), time.monotonic()
        assert _crash(world) in (0, 503)
        (crashed,) = _connections(world) - before  # the one that had the fatal request
        lost = asked[crashed]
        left = len(bodies) - lost
        assert 0 < lost < len(bodies), asked
        eventually(lambda: _under_way(world).total(), left, HEALED_WITHIN)
        counted = time.monotonic() - began
        eventually(lambda: limited.used(world, headers, "concurrency"), (left,), HEALED_WITHIN - counted)
        limits = time.monotonic() - began
        # the slots of the lost calls are free, and no others
        world.fault({})
        assert [_status(world, headers=headers, model="places") for _ in range(4)] == [200] * 4
        for _ in range(6):
            assert _status(world, SECRET) == 400
            assert _cluster(world, model="out") == "out-b"
        healed = time.monotonic() - began
        answers = asking.result()
    statuses = Counter(answer.status_code if answer.complete else 0 for answer in answers)
    _show(request.config, asked, crashed, statuses, counted, limits, healed)
    assert healed <= HEALED_WITHIN
    assert sum(answer.text() is not None for answer in answers) == left
    assert statuses.keys() <= {200, 503, 0}
    world.settle()
    eventually(lambda: _under_way(world).total(), 0)
    assert {*world.counted("llm_in_flight").values(), *world.counted("llm_in_flight_recounted").values()} == {0}
    limited.settles_at(world, headers, concurrency=0)
    for model in MODELS:
        assert [_status(world, model=model) for _ in range(4)] == [200] * 4


def test_a_count_below_zero(crash_world: World) -> None:
    """Whatever caused it, the count is corrected."""
    world = crash_world
    world.reset()
    world.send(chat_body(model="places"), headers={**BEARER, TRAP_HEADER: "below-zero:places-a"})
    assert f"one below zero is {(1 << 64) - 1}" in world.gateway.log()
    assert _status(world, model="places") == 200
    eventually(lambda: world.counted("llm_in_flight")[("places-a",)], 0)


@pytest.mark.parametrize(("path", "error"), [(CHAT, openai_error), (MESSAGES, anthropic_error)])
def test_body_without_free_memory(crash_world: World, path: str, error: Callable[[httpx.Response], dict]) -> None:
    """The request is refused with an error. Other requests and the next one are not affected."""
    world = crash_world
    world.reset()
    refused, counted = world.counted("llm_memory_refused_total"), world.counted("llm_requests_total")
    large = chat_body("word " * 30_000, max_tokens=9)

    def ask(body: bytes, demand: str) -> httpx.Response:
        return client.post(world.url + path, content=body, headers={**BEARER, "anthropic-version": "2023-06-01", TRAP_HEADER: demand})

    with httpx.Client(trust_env=False, timeout=20) as client:  # one connection, so one worker
        answer = ask(large, "no-memory:100000")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "memory limit" in error(answer)["message"]
        assert ask(chat_body(max_tokens=9), "no-memory:100000").status_code == 200
        assert ask(large, "no-memory:none").status_code == 200
    assert world.counted("llm_memory_refused_total") - refused == {("body",): 1}
    assert "sluice: memory: no room (body)" in world.gateway.log()

    def statuses() -> Counter[str]:
        found = world.counted("llm_requests_total") - counted
        return Counter(itertools.chain.from_iterable([labels[3]] * value for labels, value in found.items()))

    eventually(statuses, {"503": 1, "200": 2})


def _under_way(world: World) -> Counter[tuple[str, ...]]:
    """Running attempts by cluster, the sum of both gauges."""
    return world.counted("llm_in_flight") + world.counted("llm_in_flight_recounted")


def _connections(world: World) -> Counter[str]:
    """The number of connections that each worker has accepted so far."""
    stats = world.gateway.stats(r"^listener\..*\.worker_\d+\.downstream_cx_total$")
    return Counter({name.split(".")[-2]: value for name, value in stats.items()})


def _crash(world: World) -> int:
    """Crashes the filters of one worker over a new connection; returns the status, 0 for none."""
    with contextlib.suppress(httpx.HTTPError):
        headers = {**BEARER, TRAP_HEADER: "now"}
        return httpx.post(world.url + CHAT, content=chat_body(), headers=headers, trust_env=False).status_code
    return 0


def _ask(world: World, text: str = "Hello", headers: Mapping[str, str] = BEARER, **fields: Any) -> httpx.Response:
    """One call on a connection that is not reused, so that the next one may go to another worker."""
    return world.send(chat_body(text, **fields), headers={**headers, "connection": "close"})


def _status(world: World, text: str = "Hello", headers: Mapping[str, str] = BEARER, **fields: Any) -> int:
    return _ask(world, text, headers, **fields).status_code


def _cluster(world: World, **fields: Any) -> str:
    return _ask(world, **fields).headers["x-sluice-cluster"]


def _show(
    config: pytest.Config, asked: Counter[str], crashed: str, statuses: Counter[int], counted: float, limits: float, healed: float
) -> None:
    table = Table(f"{asked.total()} calls in flight, one of {len(asked)} workers' filters crash", ["figure"])
    table.put("calls at the worker that crashed", "figure", asked[crashed])
    table.put("calls at the other", "figure", asked.total() - asked[crashed])
    table.put("answers by status", "figure", dict(statuses))
    table.put("llm_in_flight right after", "figure", f"{counted:.1f} s")
    table.put("concurrency limit right after", "figure", f"{limits:.1f} s")
    table.put("ejections, guard and slots right after", "figure", f"{healed:.1f} s")
    table.show(config)
