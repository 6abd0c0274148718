"""The cache in Redis: two Envoys share answers, and an outage of Redis or Webdis costs nothing but hits."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import pytest

from conftest import OpenWorld
from debian import NoProgram
from redis_server import Redis, Webdis
from settings import Settings
from world import World, eventually

COLD = {"temperature": 0}


@dataclass(frozen=True)
class Stored:
    """Two Envoys with one store."""

    worlds: tuple[World, World]
    redis: Redis
    webdis: Webdis

    def keys(self) -> int:
        """The number of entries in Redis."""
        return int(self.redis.ask("DBSIZE").strip().removeprefix(b":"))

    def ask(self, text: str, world: int = 0, **fields: Any) -> tuple[int, str | None, bytes]:
        """One request: its status, what the cache did, and the answer."""
        answer = self.worlds[world].chat(text, model="stored", **COLD, **fields)
        return answer.status_code, answer.headers.get("x-sluice-cache"), answer.content


@pytest.fixture(scope="module")
def stored(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[Stored]:
    with contextlib.ExitStack() as running:
        try:
            redis = running.enter_context(Redis())
            webdis = running.enter_context(Webdis(redis))
        except NoProgram as problem:
            pytest.skip(f"skipped: {problem}")
        changed = settings()
        changed.add_cluster("webdis", webdis.address)
        targets = [{"upstream": "mock-a", "model": "gpt-4o-mock-a"}]
        store = {"redis": {"cluster": "webdis", "timeout": "500ms"}}
        changed.models.append({"name": "stored", "targets": targets, "cache": {"max_entry": "1MiB", "store": store}})
        worlds = [running.enter_context(open_world(changed.text())) for _ in range(2)]
        yield Stored((worlds[0], worlds[1]), redis, webdis)


def test_two_envoys_share_answers(stored: Stored) -> None:
    # the answer has its text: every byte must come back
    text = "déjà vu \u0000\u0001 \U0001f9ca %0A / ? # " + "long " * 20_000
    before = stored.keys()
    first = stored.ask(text)
    eventually(lambda: stored.keys() - before, 1)
    second, streamed = stored.ask(text, 1), stored.ask(text, 1, stream=True)
    assert (first[:2], second[:2], streamed[:2]) == ((200, "miss"), (200, "hit"), (200, "hit"))
    assert first[2] == second[2]
    assert streamed[2].endswith(b"data: [DONE]\n\n")


def test_each_prompt_is_asked_once_per_envoy(stored: Stored) -> None:
    """Requests wait for the same request at their own Envoy, and then read it from Redis."""
    prompts, calls = 10, 200
    stored.worlds[0].reset()
    before = stored.keys()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: stored.ask(f"storm {number % prompts}", number // prompts % 2), range(calls)))
    assert {status for status, _, _ in answers} == {200}
    misses = Counter(result for _, result, _ in answers)["miss"]
    asked = len(stored.worlds[0].entries())
    assert prompts <= misses == asked <= prompts * 2
    assert stored.keys() - before == prompts


@pytest.mark.parametrize("victim", ["redis", "webdis"])
def test_an_outage_fails_no_call(stored: Stored, victim: str) -> None:
    """Requests go on throughout: those during the outage are misses, and hits come back."""
    server = getattr(stored, victim)
    world = stored.worlds[0]

    def failures() -> int:
        return sum(world.gateway.stats("llm_cache_store_failures").values())

    def storm(name: str, calls: int = 120) -> Counter[tuple[int, str | None]]:
        with ThreadPoolExecutor(10) as pool:
            answers = pool.map(lambda number: stored.ask(f"{victim} {name} {number % 12}", number % 2), range(calls))
            return Counter(answer[:2] for answer in answers)

    before = failures()
    with ThreadPoolExecutor(1) as beside:
        during = beside.submit(storm, "during", 400)
        server.kill()
        away = storm("away")
        server.start()
        found = during.result() + away
    assert {status for status, _ in found} == {200}
    assert found[200, "miss"] > 0 and failures() > before

    stored.ask(f"{victim} back")
    eventually(lambda: stored.ask(f"{victim} back", 1)[:2], (200, "hit"))


def test_a_silent_store_delays_a_request_once(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """It accepts connections and says nothing. After the first request, others do not wait for it; a second later, one does."""
    timeout = 0.5
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        changed = settings()
        changed.add_cluster("webdis", silent.getsockname())
        store = {"redis": {"cluster": "webdis", "timeout": "500ms"}}
        targets = [{"upstream": "mock-a", "model": "gpt-4o-mock-a"}]
        changed.models.append({"name": "silent", "targets": targets, "cache": {"store": store}})
        with open_world(changed.text()) as world:

            def waited(text: str) -> int:
                """How many timeouts of the store a request has waited for."""
                begun = time.monotonic()
                answer = world.chat(text, model="silent", **COLD)
                assert (answer.status_code, answer.headers["x-sluice-cache"]) == (200, "miss")
                return int((time.monotonic() - begun) / timeout)

            # one connection, so one worker
            assert [waited(f"silent {number}") for number in range(5)] == [1, 0, 0, 0, 0]
            time.sleep(1.1)
            assert [waited(f"silent {number}") for number in range(3)] == [1, 0, 0]
