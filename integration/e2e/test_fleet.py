"""Two Envoys with two workers each share limits, counted by the ledger and by a service on Redis, also while that service is killed.

`SLUICE_FLEET_OUTAGE=5` is the long form.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Iterator

import pytest

import answers
import clients
import fleet
from conftest import OpenWorld
from debian import NoProgram
from ledger import Ledger
from rate_limits import RateLimits
from redis_server import Redis
from settings import Settings
from table import Table
from world import chat_body, eventually

# Requests in a minute.
ADMITTED, CALLS = 100, 800
# Tokens in a minute, and how they are used up.
TOKENS, PER_ANSWER, TOKEN_CALLS, TOKENS_AT_ONCE = 10_000, 100, 400, 40
# A charge is sent within 50 ms; the test machine may be busy.
CHARGED_WITHIN = 0.5
# How long the service is away, in seconds.
OUTAGE = float(os.environ.get("SLUICE_FLEET_OUTAGE", "1.5"))
LONG = OUTAGE >= 5
# The calls to each Envoy before the service is killed, while it is away, and after that; and the seconds over which they are spread.
PHASES = ((40, 0.4), (150, OUTAGE), (210, 2.5))
# The service is killed when so many calls have ended, so that some of the first phase are under way.
KILLED_AFTER = 60
OUTAGES = [("ledger", "local"), ("redis", "deny")] + [("ledger", "deny"), ("redis", "local")] * LONG
TIMED, ROUNDS = 100, 5


@dataclass
class Counted:
    """Two Envoys, a service that counts for them, and the ledger that has their records."""

    name: str
    both: fleet.Fleet
    service: Ledger | RateLimits
    ledger: Ledger
    keys: dict[str, dict[str, str]]


@contextlib.contextmanager
def counted(name: str, open_world: OpenWorld, settings: Settings, **fields: Any) -> Iterator[Counted]:
    """Starts the ledger, a service on Redis if the name says so, and the Envoys."""
    with contextlib.ExitStack() as running:
        ledger = running.enter_context(Ledger())
        service: Ledger | RateLimits = ledger
        if name == "redis":
            try:
                service = running.enter_context(RateLimits(running.enter_context(Redis())))
            except NoProgram as problem:
                pytest.skip(f"skipped: {problem}")
            fleet.add_service(settings, ledger.address)
            fleet.share(settings, service.address, name="counter", **fields)
        else:
            fleet.share(settings, ledger.address, **fields)
        fleet.log_to_file(fleet.log_to(settings))
        keys = {
            "hundred": fleet.add_key(settings, "hundred", {"requests_per_minute": ADMITTED}),
            "tokens": fleet.add_key(settings, "tokens", {"tokens_per_minute": TOKENS}),
            "day": fleet.add_key(settings, "day", {"tokens_per_day": 1000}),
            "wide": fleet.add_key(settings, "wide", {"requests_per_minute": 1_000_000}),
            "free": fleet.add_key(settings, "free", {}, labels={"team": "b"}),
        }
        both = running.enter_context(fleet.opened(open_world, settings))
        yield Counted(name, both, service, ledger, keys)


@pytest.fixture(scope="module", params=["ledger", "redis"])
def shared(open_world: OpenWorld, settings: Callable[[], Settings], request: pytest.FixtureRequest) -> Iterator[Counted]:
    with counted(request.param, open_world, settings()) as service:
        yield service


def test_exact_request_limit(shared: Counted) -> None:
    """800 requests at once: 100 pass."""
    fleet.in_one_minute(20)
    found = shared.both.ask(CALLS, shared.keys["hundred"], chat_body())
    assert Counter(answer.status_code for answer in found) == {200: ADMITTED, 429: CALLS - ADMITTED}
    assert shared.both.stats("ok") == ADMITTED and shared.both.stats("failed") == 0


def test_token_limit(shared: Counted, pytestconfig: pytest.Config) -> None:
    """No request passes after the limit is used up and charged: it is exceeded by what is under way, no more."""
    for world in shared.both.worlds:
        world.reset()
    shared.both.worlds[0].fault({"text": "word " * (PER_ANSWER - 1) + "word", "delay_ms": 200})
    fleet.in_one_minute(25)
    visits = [partial(_timed, shared.keys["tokens"])] * TOKEN_CALLS
    passed = sorted((call for call in shared.both.each(TOKENS_AT_ONCE, visits) if call.answer.status_code == 200), key=lambda call: call.ended)
    used, reached = 0, None
    for call in passed:
        used += sum(answers.tokens(call.answer.usage()))
        reached = call.ended if reached is None and used >= TOKENS else reached
    assert reached, "the limit is used up"
    under_way = sum(call.began < reached < call.ended for call in passed)
    assert max(call.began for call in passed) < reached + CHARGED_WITHIN
    table = Table(f"A limit of {TOKENS} tokens a minute over two Envoys, {TOKENS_AT_ONCE} calls at once ({shared.name})", ["tokens", "calls"])
    table.put("above the limit", "tokens", used - TOKENS)
    table.put("above the limit", "calls", sum(call.ended > reached for call in passed))
    table.put("under way when it was used up", "calls", under_way)
    table.show(pytestconfig)


def test_tokens_are_charged(shared: Counted) -> None:
    """Tokens used at one Envoy count at the other."""
    one, other = shared.both.worlds
    one.reset()
    one.fault({"text": "word " * 999 + "word"})
    assert one.send(chat_body(), headers=shared.keys["day"]).status_code == 200
    eventually(lambda: other.send(chat_body(), headers=shared.keys["day"]).status_code, 429)
    refused = other.send(chat_body(), headers=shared.keys["day"])
    assert refused.json()["error"]["code"] == "insufficient_quota"


def test_records_reach_the_ledger(shared: Counted) -> None:
    for world in shared.both.worlds:
        world.reset()
        assert world.send(chat_body(), headers=shared.keys["free"]).status_code == 200

    def used() -> Any:
        return shared.ledger.usage(by="key,label:team", key="free")["rows"]

    eventually(lambda: [row["requests"] for row in used()], [2])
    (row,) = used()
    assert row["label:team"] == "b" and row["input_tokens"] > 0


def test_added_time(shared: Counted, open_world: OpenWorld, settings: Callable[[], Settings], pytestconfig: pytest.Config) -> None:
    """What the question to the service adds to a request; a key without limits asks nothing."""
    changed = settings()
    wide = fleet.add_key(changed, "wide", {"requests_per_minute": 1_000_000})
    with open_world(changed.text()) as alone:
        world = shared.both.worlds[0]
        world.reset()
        ways = {
            "without `shared`": (alone, wide),
            "`shared`, a key without limits": (world, shared.keys["free"]),
            "`shared`, a key with a limit": (world, shared.keys["wide"]),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, (where, headers) in ways.items():
                found = clients.ask(where.gateway.port, [chat_body()] * TIMED, 1, headers=headers)
                assert {answer.status_code for answer in found} == {200}
                times[way].append(statistics.median(answer.seconds for answer in found) * 1000)
    table = Table(f"p50 of {TIMED} requests, one after another, {ROUNDS} rounds ({shared.name})", ["ms", "lowest", "highest"])
    for way, medians in times.items():
        for column, value in zip(table.columns, (statistics.median(medians), min(medians), max(medians))):
            table.put(way, column, f"{value:.2f}")
    table.show(pytestconfig)


@dataclass
class Called:
    """A finished call."""

    began: float
    ended: float
    answer: clients.Answer


async def _timed(headers: dict[str, str], client: clients.Client, due: Callable[[], float] = lambda: 0) -> Called:
    """A call, at this time or at once."""
    while time.monotonic() < due():
        await asyncio.sleep(0.005)
    began = time.monotonic()
    answer = await client.ask(chat_body(), headers=headers)
    return Called(began, time.monotonic(), answer)


@pytest.mark.parametrize(("service", "on_failure"), OUTAGES)
def test_outage(service: str, on_failure: str, open_world: OpenWorld, settings: Callable[[], Settings], pytestconfig: pytest.Config) -> None:
    """The service is killed in the middle of 800 calls, and started again."""
    with counted(service, open_world, settings(), on_failure=on_failure) as one:
        for world in one.both.worlds:
            world.reset()
        fleet.in_one_minute(OUTAGE + 20)
        killed, back, calls = _interrupted(one)
        statuses = Counter(call.answer.status_code for call in calls)
        during = Counter(call.answer.status_code for call in calls if killed < call.began and call.ended < back)
        assert statuses.keys() <= {200, 429, 503} and during, statuses
        if on_failure == "local":
            # each Envoy has counted by itself meanwhile
            assert statuses[503] == 0 and during[200] > 0
            half = len(calls) // 2
            for own in (calls[:half], calls[half:]):
                assert sum(call.answer.status_code == 200 for call in own) <= ADMITTED
            assert ADMITTED < statuses[200] <= 2 * ADMITTED
            eventually(lambda: one.both.stats("charged") > 0, True, 10)
        else:
            assert during.keys() == {503}
            assert {call.answer.json()["error"]["code"] for call in calls if call.answer.status_code == 503} == {"limits_unavailable"}
            # a request may be counted and then refused, or counted in the ledger's last 50 ms
            unsure = sum(call.began < killed + 0.1 and call.ended > killed - 0.2 for call in calls)
            assert abs(statuses[200] - ADMITTED) <= unsure, (statuses, unsure)
        assert one.both.stats("failed") > 0
        # once a minute, by each worker: questions, charges, and calls that Envoy did not make
        assert all(world.gateway.log().count("sluice: shared limits") <= 6 for world in one.both.worlds)
        _assert_usage(one, calls)
        table = Table(f"{len(calls)} calls, and {service} killed for {OUTAGE:g} s, on_failure: {on_failure}", ["200", "429", "503"])
        for name, counts in (("all", statuses), ("meanwhile", during)):
            for status in table.columns:
                table.put(name, status, counts[int(status)])
        table.show(pytestconfig)


def _interrupted(one: Counted) -> tuple[float, float, list[Called]]:
    """When the service was killed and when it was started again, and the calls."""
    begins = [math.inf] * len(PHASES)
    made: list[Called] = []

    async def visit(due: Callable[[], float], client: clients.Client) -> Called:
        called = await _timed(one.keys["hundred"], client, due)
        made.append(called)
        return called

    def due(phase: int, offset: float) -> float:
        return begins[phase] + offset

    dues = [partial(due, phase, seconds * number / count) for phase, (count, seconds) in enumerate(PHASES) for number in range(count)]
    asked: list[Called] = []
    asking = threading.Thread(target=lambda: asked.extend(one.both.each(60, [partial(visit, each) for each in dues] * 2)))
    asking.start()
    begins[0] = time.monotonic()
    while len(made) < KILLED_AFTER:
        time.sleep(0.002)
    one.service.kill()
    begins[1] = killed = time.monotonic()
    time.sleep(OUTAGE)
    back = time.monotonic()
    one.service.start()  # not by another thread, because a child ends with the thread that has started it
    begins[2] = time.monotonic()
    asking.join()
    return killed, back, asked


def _assert_usage(one: Counted, calls: list[Called]) -> None:
    """The ledger's sums are right after the access logs are imported, although it may have been away."""
    served = [call.answer.usage() for call in calls if call.answer.status_code == 200]
    time.sleep(0.5)  # Envoy writes the file
    imported = one.ledger.run("import", *one.both.logs)
    assert imported.returncode == 0, imported.stderr
    total = one.ledger.usage(key="hundred")["total"]
    assert (total["requests"], total["requests"] - total["errors"]) == (len(calls), len(served))
    for field, index in (("input_tokens", 0), ("output_tokens", 1)):
        assert total[field] == sum(answers.tokens(usage)[index] for usage in served), field
