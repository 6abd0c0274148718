"""Changing faults under load: no call fails, nothing is counted twice, and no key reaches the wrong server."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections import Counter
from typing import Any, Callable, Iterator, Mapping

import pytest

import clients
import demo
from conftest import OpenWorld
from resilience import UNLIMITED_RETRIES, hold
from settings import Settings
from table import Table
from world import SECRETS, World, chat_body, eventually

# A minute in `make soak`.
SECONDS = float(os.environ.get("SLUICE_STORM_SECONDS", "12"))
CALLS_PER_SECOND = 10_000 / 60
AT_ONCE = 50
BETWEEN_CHANGES = 0.3
# The response time of each server. It keeps 50 clients active at once, independent of the machine's speed.
SERVICE = {"delay_ms": 120}
# The possible faults of mock-a and mock-b; all of them happen before the client sees any of the answer.
WEATHER: list[Mapping[str, Any]] = [
    {},
    {"fault": "status", "status": 500},
    {"fault": "status", "status": 503},
    {"fault": "status", "status": 529, "body": "overloaded"},
    {"fault": "status", "status": 429, "headers": {"retry-after": "1"}},
    {"fault": "status", "status": 408},
    {"fault": "refuse"},
    {"fault": "close_early"},
    {"fault": "close"},
    {"fault": "reset"},
    {"fault": "reset_headers"},
    {"fault": "half_headers"},
    {"fault": "reset_body", "after_events": 0},
    {"fault": "truncate_body", "after_events": 0},
    {"fault": "hang"},
    {"fault": "error_event", "only": "stream"},
    {"fault": "empty_stream", "only": "stream"},
    {"fault": "stall", "only": "stream"},
    {"fault": "unstreamed"},
]
# Short ejections, so that faulty servers are tried again soon.
EJECTION = {"consecutive_failures": 10, "time": "100ms", "max_time": "200ms", "max_retry_after": "100ms"}
# Another filter between Sluice's and the servers delays this percentage of requests by this many milliseconds.
HOLDS = [(3, 50), (11, 50), (29, 30)]
METRICS = ("llm_requests_total", "llm_attempts_total", "llm_usage_source_total")


@pytest.fixture
def stormy_settings(settings: Callable[[], Settings]) -> Settings:
    changed = settings()
    changed.values("router").update(ejection=EJECTION, retry={**UNLIMITED_RETRIES, "per_try_timeout": "1s"})
    for target in changed.models[0]["targets"]:
        target["weight"] = 1
    return changed


def test_storm(stormy_settings: Settings, open_world: OpenWorld, request: pytest.FixtureRequest) -> None:
    with open_world(stormy_settings.text()) as world:
        _endure(world, SECONDS, request.config)


def test_storm_with_other_filters_between(
    stormy_settings: Settings, open_world: OpenWorld, request: pytest.FixtureRequest
) -> None:
    """Requests leave that filter in another order than they arrive; each attempt still belongs to its own request."""
    for milliseconds, percent in HOLDS:
        hold(stormy_settings, f"held-{milliseconds}", milliseconds=milliseconds, percent=percent)
    with open_world(stormy_settings.text()) as world:
        _endure(world, SECONDS / 2, request.config)


def _endure(world: World, seconds: float, config: pytest.Config) -> None:
    with _weather(world):
        calls = _call(world, seconds)
    _show(calls, world, seconds, config)
    failed = Counter((answer.status_code, answer.content[:200]) for answer, text in calls if answer.text() != text)
    assert not failed, failed
    assert len(calls) >= CALLS_PER_SECOND * seconds
    assert _attempts(calls).total() > len(calls), "no fault has struck"
    want = [len(calls), _usage(calls), _attempts(calls), Counter({("reported",): len(calls)})]
    eventually(lambda: _counted(world), want)
    for name, entries in world.journals().items():
        _assert_own_only(name, entries)


@contextlib.contextmanager
def _weather(world: World) -> Iterator[None]:
    """Changes the fault of a random server at intervals, except for the healthy ones."""
    chance = random.Random(1)
    over = threading.Event()

    def change() -> None:
        while not over.wait(BETWEEN_CHANGES):
            world.fault({**SERVICE, **chance.choice(WEATHER)}, chance.choice(("mock-a", "mock-b")))

    world.fault(SERVICE)
    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _call(world: World, seconds: float) -> list[tuple[clients.Answer, str]]:
    """Calls until the time is over; each with the text of a complete answer."""
    end = time.monotonic() + seconds
    chance = random.Random(2)

    async def visit(client: clients.Client, text: str, stream: bool) -> tuple[clients.Answer, str]:
        fields = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        answer = await client.ask(chat_body(text, **fields))
        return answer, f"Hello from {answer.headers.get('x-sluice-cluster')}. You said: {text}"

    def visits() -> Iterator[Any]:
        number = 0
        while time.monotonic() < end:
            text = f"call {number}" + " word" * chance.randrange(30) + "x" * chance.randrange(3000)
            number += 1
            yield lambda client, text=text, stream=chance.random() < 0.5: visit(client, text, stream)

    return clients.each(world.gateway.port, AT_ONCE, visits())


def _usage(calls: list[tuple[clients.Answer, str]]) -> Counter[str]:
    """The usage that the clients' answers report."""
    usage: Counter[str] = Counter()
    for answer, _ in calls:
        told = answer.usage()
        usage.update(input=told["prompt_tokens"], output=told["completion_tokens"])
    return usage


def _attempts(calls: list[tuple[clients.Answer, str]]) -> Counter[tuple[str, ...]]:
    """The attempts that the answers' headers report."""
    return Counter(attempt for answer, _ in calls for attempt in answer.attempts())


def _counted(world: World) -> list[Any]:
    """The gateway's counts of the same and of the calls. Without failed attempts that generated something: clients neither see
    nor pay for them."""
    requests, attempts, sources = map(world.counted, METRICS)
    usage: Counter[str] = Counter()
    for labels, count in world.series("llm_tokens_total"):
        if labels.get("outcome") != "failed":
            usage[labels["type"]] += count
    return [requests.total(), usage, attempts, sources]


def _assert_own_only(name: str, entries: list[dict[str, Any]]) -> None:
    """Each request has the server's own key and model, and no other key anywhere."""
    own = next(server for server in demo.SERVERS if server.name == name)
    foreign = set(SECRETS) - {own.key}
    for entry in entries:
        assert entry["headers"]["authorization"] == f"Bearer {own.key}"
        assert entry["body"] is None or entry["body"]["model"] == own.models[0]
        text = json.dumps(entry)
        assert not any(secret in text for secret in foreign)


def _show(calls: list[tuple[clients.Answer, str]], world: World, seconds: float, config: pytest.Config) -> None:
    """Prints the result."""
    attempts = world.counted("llm_attempts_total")
    table = Table(f"storm of {seconds:g} s: {len(calls)} calls, attempts by outcome", sorted({each[1] for each in attempts}))
    for (cluster, outcome), count in sorted(attempts.items()):
        table.put(cluster, outcome, count)
    table.show(config)
