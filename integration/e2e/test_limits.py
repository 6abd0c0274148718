"""Limits: exactly the allowed requests, concurrent requests and tokens pass, in all workers, however a request ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Awaitable, Callable, Iterator

import pytest

import clients
from conftest import OpenWorld
from generated import generated_tokens
from limited import WIDE, bearer, estimate, issue, report, settles_at, tokens_of
from settings import Settings
from table import Table
from world import BEARER, World, chat_body

CALLS, ADMITTED = 400, 100
TOKENS, CLIENTS = 10_000, 40
PLACES = 5
EVENTS = 3


@pytest.mark.parametrize("subject", ["key", "model", "gateway"])
def test_exact_request_limit(
    limited_world: World, settings: Callable[[], Settings], open_world: OpenWorld, subject: str
) -> None:
    """400 requests at once over two workers: 100 pass, 300 are refused."""
    headers = bearer("hundred") if subject == "key" else BEARER
    body = chat_body(model="hundred" if subject == "model" else "gpt-4o")
    if subject == "gateway":
        changed = settings()
        changed.values("auth")["limits"] = {"requests_per_minute": ADMITTED}
        with open_world(changed.text()) as world:
            _ask_at_once(world, body, headers)
    else:
        _ask_at_once(limited_world, body, headers)


def _ask_at_once(world: World, body: bytes, headers: dict[str, str]) -> None:
    found = clients.ask(world.gateway.port, [body] * CALLS, CALLS, headers=headers)
    assert Counter(answer.status_code for answer in found) == {200: ADMITTED, 429: CALLS - ADMITTED}
    assert len(world.entries()) == ADMITTED, "a refused request reached a model server"
    left = sorted(int(answer.headers["x-ratelimit-remaining-requests"]) for answer in found if answer.status_code == 200)
    assert left == list(range(ADMITTED)), "two requests were told the same remainder"
    workers = world.gateway.stats(r"^listener\..*worker_\d\.downstream_cx_total$")
    assert len(workers) == 2 and all(workers.values()), "only one worker has admitted requests"


# The clients' settings for the answer's length; the answer has 200 tokens.
TOKEN_CASES: dict[str, dict[str, Any]] = {"unannounced": {}, "announced": {"max_tokens": 300}}
_MEASURED = Table("10,000 tokens per minute, 40 clients at once", ["estimate", "used", "overshoot", "at most"])


@pytest.fixture(scope="module", autouse=True)
def _measured(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    _MEASURED.show(request.config)


@pytest.mark.parametrize("name", TOKEN_CASES)
def test_token_overshoot_is_the_estimation_error(limited_world: World, name: str) -> None:
    """All clients send until they are refused."""
    world, body = limited_world, chat_body(**TOKEN_CASES[name])
    world.fault({"text": "word " * 199 + "word", "delay_ms": 20})
    port, headers = world.gateway.port, issue(world, {"tokens_per_minute": TOKENS})

    async def until_refused(client: clients.Client) -> int:
        answer = await client.ask(body, headers=headers)
        while answer.status_code == 200:
            answer = await client.ask(body, headers=headers)
        return answer.status_code

    assert set(clients.each(port, CLIENTS, [until_refused] * CLIENTS)) == {429}
    usages = [sum(usage) for usage in tokens_of(world.entries())]
    most = CLIENTS * max(0, max(usages) - estimate(body))
    overshoot = sum(usages) - TOKENS
    for column, value in zip(_MEASURED.columns, [estimate(body), sum(usages), overshoot, most]):
        _MEASURED.put(name, column, value)
    assert overshoot <= most
    assert sum(usages) > TOKENS - max(usages) - estimate(body), "a request was refused too early"
    settles_at(world, headers, tokens_per_minute=sum(usages))


def test_concurrency_limit(limited_world: World) -> None:
    world, headers, delay = limited_world, issue(limited_world, {"concurrency": PLACES}), 100
    world.fault({"delay_ms": delay})
    found = clients.ask(world.gateway.port, [chat_body()] * 200, 40, headers=headers)
    statuses = Counter(answer.status_code for answer in found)
    assert statuses.keys() == {200, 429} and statuses[200] >= PLACES
    refused = next(answer for answer in found if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "rate_limit_exceeded" and "retry-after" not in refused.headers
    begun = sorted(entry["at_ms"] for _, entry in world.entries())
    assert len(begun) == statuses[200]
    # each runs at least as long as the server waits
    assert all(later - earlier >= delay for earlier, later in zip(begun, begun[PLACES:]))
    settles_at(world, headers, concurrency=0)
    assert report(world, headers)["concurrency"] == {"limit": PLACES, "used": 0, "remaining": PLACES, "reset_seconds": None}


async def _ask(client: clients.Client, body: bytes, headers: dict[str, str]) -> None:
    await client.ask(body, headers=headers)


async def _leave_before(client: clients.Client, body: bytes, headers: dict[str, str]) -> None:
    await client.send(body, headers=headers, share=0.5)
    await asyncio.sleep(0.02)
    client.leave()


async def _leave_during(client: clients.Client, body: bytes, headers: dict[str, str]) -> None:
    await client.send(body, headers=headers)
    await asyncio.sleep(0.15)
    client.leave()


async def _leave_in_midstream(client: clients.Client, body: bytes, headers: dict[str, str]) -> None:
    await client.send(body, headers=headers)
    pieces = client.receive(clients.Answer())
    for _ in range(EVENTS):
        await pieces.__anext__()
    client.leave()


Visit = Callable[[clients.Client, bytes, dict[str, str]], Awaitable[None]]
# Four bytes of the prompt are a token.
PROMPT = -(-len("one two three") // 4)
GUESS = PROMPT + generated_tokens("Hello from mock-a. You said: one two three")
# The same for the text of EVENTS events, the first of which has no text.
CUT = PROMPT + generated_tokens("Hello from")
_REFUSAL = {"fault": "status", "status": 400}
_STREAM = {"stream": True, "max_tokens": 50}
# What the clients do, what they request, the servers' fault, and the final count. `e` is the estimate at admission, `g` the
# estimate from request and answer, `c` the same for the text that passed. Every admitted request counts.
ENDINGS: dict[str, tuple[Visit, dict[str, Any], dict[str, Any], tuple[int, str]]] = {
    "left before the body was there": (_leave_before, {}, {}, (0, "0")),
    "left during the attempt": (_leave_during, {"max_tokens": 50}, {"delay_ms": 1000}, (1, "e")),
    "left in midstream": (_leave_in_midstream, _STREAM, {"chunk_delay_ms": 300}, (1, "c")),
    "a stream that was reset": (_ask, _STREAM, {"fault": "reset_body", "after_events": EVENTS}, (1, "c")),
    "a stream without its end": (_ask, _STREAM, {"fault": "truncate_stream", "after_events": EVENTS}, (1, "c")),
    "an error in the stream": (_ask, _STREAM, {"fault": "error_event", "after_events": EVENTS}, (1, "c")),
    "no usage": (_ask, {"max_tokens": 50}, {"no_usage": True}, (1, "g")),
    "refused by the server": (_ask, {"max_tokens": 50}, _REFUSAL, (1, "0")),
    "all servers failed": (_ask, {"max_tokens": 50}, {"fault": "status", "status": 500}, (1, "0")),
    "all servers refused": (_ask, {"max_tokens": 50}, {"fault": "refuse"}, (1, "0")),
    "all servers hung up": (_ask, {"max_tokens": 50}, {"fault": "reset"}, (1, "0")),
    "no such model": (_ask, {"model": "gpt-5", "max_tokens": 50}, {}, (1, "0")),
    "no JSON": (_ask, {}, {}, (0, "0")),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_slots_are_released_at_every_end(limited_world: World, ending: str) -> None:
    """And the final count is the possible usage."""
    visit, fields, orders, (requests, counted) = ENDINGS[ending]
    body = b"no JSON" if ending == "no JSON" else chat_body("one two three", **fields)
    world, headers, many = limited_world, issue(limited_world, WIDE), 20
    world.fault(orders)
    clients.each(world.gateway.port, 10, [lambda client: visit(client, body, headers)] * many)
    tokens = {"0": 0, "g": GUESS, "c": CUT, "e": lambda: estimate(body)}[counted]
    tokens = many * (tokens() if callable(tokens) else tokens)
    want = {"concurrency": 0, "requests_per_minute": many * requests}
    want |= dict.fromkeys(("tokens_per_minute", "tokens_per_day", "tokens_per_month"), tokens)
    settles_at(world, headers, **want)


def test_failed_attempts_count_once(limited_world: World) -> None:
    """Two servers fail, the third serves: one request and one answer's tokens are counted."""
    world, headers = limited_world, issue(limited_world, WIDE)
    world.fault({"fault": "status", "status": 500}, "mock-a", "mock-b")
    found = clients.ask(world.gateway.port, [chat_body()] * 10, 5, headers=headers)
    assert {answer.status_code for answer in found} == {200}
    served = [(name, entry) for name, entry in world.entries() if entry["status"] == 200]
    tokens = sum(map(sum, tokens_of(served)))
    settles_at(world, headers, requests_per_minute=10, tokens_per_minute=tokens, concurrency=0)
