"""Requests that wait for the same request of another client: its client leaves, or its worker crashes."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Iterator, Mapping

import httpx
import pytest

from conftest import OpenWorld
from settings import Settings
from test_crash import TRAP_HEADER, TRAP_WASM, _connections
from world import BEARER, CHAT, World, chat_body, eventually

# How long a crashed worker's requests count as under way.
LEASE = 6
COLD = {"temperature": 0}
WAITING = 4


@pytest.fixture(scope="module")
def _flying(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    if not TRAP_WASM.exists():
        pytest.skip("there is no target/sluice-trap.wasm: run `make trap`")
    changed = settings()
    targets = [{"upstream": "mock-a", "model": "gpt-4o-mock-a"}]
    changed.models.append({"name": "cached", "targets": targets, "cache": {"wait": "60s"}})
    with open_world(changed.text(), wasm=TRAP_WASM) as world:
        yield world


@pytest.fixture
def flying(_flying: World) -> World:
    _flying.reset()
    return _flying


def _ask(world: World, text: str) -> tuple[int, str | None, float]:
    """One request at a connection of its own: status, what the cache did, and the seconds it took."""
    begun = time.monotonic()
    answer = httpx.post(world.url + CHAT, content=chat_body(text, model="cached", **COLD), headers=BEARER, timeout=30, trust_env=False)
    return answer.status_code, answer.headers.get("x-sluice-cache"), time.monotonic() - begun


def _lead(world: World, text: str) -> httpx.Client:
    """A client whose request is under way; closing it ends that."""
    client = httpx.Client(base_url=world.url, trust_env=False, timeout=0.5)
    with pytest.raises(httpx.ReadTimeout):
        with client:
            with client.stream("POST", CHAT, content=chat_body(text, model="cached", **COLD), headers=BEARER):
                pass
    return client


def _wait_for(world: World, text: str, pool: ThreadPoolExecutor) -> list[Future[tuple[int, str | None, float]]]:
    return [pool.submit(_ask, world, text) for _ in range(WAITING)]


def test_the_first_client_leaves(flying: World) -> None:
    """The others do not wait for what will not come."""
    flying.fault({"delay_ms": 2500}, "mock-a")
    with ThreadPoolExecutor(WAITING + 1) as pool:
        leader = pool.submit(_lead, flying, "leaves")
        eventually(lambda: len(flying.entries()), 1)
        begun = time.monotonic()
        others = _wait_for(flying, "leaves", pool)
        leader.result()
        # each goes on by itself at once
        eventually(lambda: len(flying.entries()), 1 + WAITING)
        assert time.monotonic() - begun < 2
        assert {other.result()[:2] for other in others} == {(200, "miss")}
    flying.heal()
    assert _ask(flying, "leaves")[:2] == (200, "hit")


def test_the_first_ones_answer_is_not_kept(flying: World) -> None:
    """An error serves nobody else: the others go on as soon as it is there."""
    flying.fault({"fault": "status", "status": 400, "delay_ms": 1000}, "mock-a")
    with ThreadPoolExecutor(WAITING + 1) as pool:
        leader = pool.submit(_ask, flying, "fails")
        eventually(lambda: len(flying.entries()), 1)
        others = _wait_for(flying, "fails", pool)
        assert leader.result()[0] == 400
        answers = [other.result() for other in others]
    assert {answer[:2] for answer in answers} == {(400, "miss")}
    assert max(answer[2] for answer in answers) < 4
    assert len(flying.entries()) == 1 + WAITING


def test_the_first_ones_worker_crashes(flying: World) -> None:
    """The others, at another worker, wait until its lease ends, and no longer."""
    with contextlib.ExitStack() as opened, ThreadPoolExecutor(WAITING + 1) as pool:
        first, second = _clients(flying, opened)
        flying.heal()
        flying.fault({"delay_ms": 12_000}, "mock-a")
        leader = pool.submit(_ask_by, first[0], "crashes")
        eventually(lambda: len(flying.entries()), 1)
        others = [pool.submit(_ask_by, client, "crashes") for client in second]
        time.sleep(1)
        assert len(flying.entries()) == 1, "they wait"
        flying.fault({}, "mock-a")
        begun = time.monotonic()
        _ask_by(first[1], "crash", {TRAP_HEADER: "now"})
        results = [other.result() for other in others]
        took = time.monotonic() - begun
        assert {result[:2] for result in results} == {(200, "miss")}
        assert took < LEASE + 2, f"{took:.1f} s"
        assert _ask_by(second[0], "crashes")[:2] == (200, "hit")
        assert leader.result()[0] != 200


def _ask_by(client: httpx.Client, text: str, headers: Mapping[str, str] | None = None) -> tuple[int, str | None]:
    """One request at the client's connection: status, what the cache did."""
    try:
        answer = client.post(CHAT, content=chat_body(text, model="cached", **COLD), headers={**BEARER, **(headers or {})})
    except httpx.HTTPError:
        return 0, None
    return answer.status_code, answer.headers.get("x-sluice-cache")


def _clients(world: World, opened: contextlib.ExitStack) -> tuple[list[httpx.Client], list[httpx.Client]]:
    """Two clients or more with open connections to one worker, and two to the other."""
    by_worker: dict[str, list[httpx.Client]] = {}
    for number in range(40):
        before = _connections(world)
        client = opened.enter_context(httpx.Client(base_url=world.url, trust_env=False, timeout=30))
        assert _ask_by(client, f"opens {number}")[0] == 200
        (worker,) = _connections(world) - before
        by_worker.setdefault(worker, []).append(client)
        if len(by_worker) == 2 and min(map(len, by_worker.values())) >= 2:
            one, other = by_worker.values()
            return one, other[:WAITING]
    raise AssertionError("all connections are one worker's")
