"""What is counted for days, months and money is what the model servers have reported, to the token."""

from __future__ import annotations

import json
from typing import Awaitable, Callable

import crowd
from limited import WIDE, issue, microusd, report, settles_at, tokens_of
from world import CHAT, MESSAGES, World, chat_body

CALLS = 60
TEXT = "one two three four"
MESSAGE = json.dumps({"model": "counted", "max_tokens": 64, "messages": [{"role": "user", "content": TEXT}]}).encode()
# What is asked, and where.
REQUESTS = [
    (CHAT, chat_body(TEXT, model="counted")),
    (CHAT, chat_body(TEXT, model="counted", stream=True)),
    (CHAT, chat_body(TEXT, model="counted", stream=True, stream_options={"include_usage": True}, max_tokens=5)),
    (MESSAGES, MESSAGE),
    (MESSAGES, MESSAGE.replace(b"{", b'{"stream":true,', 1)),
    ("/v1/responses", json.dumps({"model": "counted", "input": TEXT}).encode()),
]


def test_what_is_reported_is_counted(limited_world: World) -> None:
    """JSON and streams in several dialects, over both workers: for the key and for the model."""
    world, headers = limited_world, issue(limited_world, WIDE)

    def visit(number: int) -> Callable[[crowd.Client], Awaitable[crowd.Answer]]:
        path, body = REQUESTS[number % len(REQUESTS)]
        return lambda client: client.ask(body, path=path, headers={"anthropic-version": "2023-06-01", **headers})

    found = crowd.each(world.gateway.port, 12, [visit(number) for number in range(CALLS)])
    assert {(answer.status_code, answer.complete) for answer in found} == {(200, True)}
    usages = tokens_of(world.entries())
    tokens, cost = sum(map(sum, usages)), microusd(usages)
    assert len(usages) == CALLS and tokens > CALLS and cost > 0
    want = dict.fromkeys(("tokens_per_minute", "tokens_per_day", "tokens_per_month"), tokens)
    settles_at(world, headers, **want, requests_per_minute=CALLS, cost_per_day=cost / 1e6, concurrency=0)
    mine, models = report(world, headers), report(world, headers, "model", "counted")
    assert {name: limit["used"] for name, limit in mine.items()} == {name: limit["used"] for name, limit in models.items()}
    assert all(0 < mine[name]["reset_seconds"] <= seconds for name, seconds in _WINDOWS.items())


_WINDOWS = {"requests_per_minute": 60, "tokens_per_day": 86_400, "tokens_per_month": 30 * 86_400, "cost_per_day": 86_400}


def test_an_image_is_no_text(limited_world: World) -> None:
    """A megabyte of base64 is not held for a quarter of a million tokens."""
    headers = issue(limited_world, {"tokens_per_minute": 2000})
    url = f"data:image/png;base64,{'iVBORw0KGgo' * 100_000}"
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]}).encode()
    response = limited_world.send(body, headers=headers)
    assert response.status_code != 429, response.text
    assert int(response.headers["x-ratelimit-remaining-tokens"]) > 1000


def test_a_budget_that_is_used_up(limited_world: World) -> None:
    """Money is counted when it is known: what begins while some is left, is served."""
    headers, body = issue(limited_world, {"cost_per_day": 0.0003}), chat_body(TEXT, model="counted")
    statuses = []
    while 429 not in statuses and len(statuses) < 10:
        statuses.append(limited_world.send(body, headers=headers).status_code)
        limited_world.settle()
    usages = tokens_of(limited_world.entries())
    assert statuses == [200] * len(usages) + [429]
    assert microusd(usages[:-1]) < 300 <= microusd(usages)
    settles_at(limited_world, headers, cost_per_day=microusd(usages) / 1e6)


def test_leaving_early_saves_no_money(limited_world: World) -> None:
    """A stream that is cut tells of no usage: the prompt is paid for, and what was generated; not what was not."""
    headers = issue(limited_world, WIDE)
    body = chat_body(TEXT, model="counted", stream=True, max_tokens=40)
    limited_world.fault({"fault": "reset_body", "after_events": 3, "text": "one two three four five"})
    crowd.ask(limited_world.gateway.port, [body] * 4, 2, headers=headers)
    prompt, output = -(-len(TEXT) // 4), -(-len("one two") // 4)  # the first event has no text
    want = 4 * microusd([(prompt, output)]) / 1e6
    settles_at(limited_world, headers, tokens_per_day=4 * (prompt + output), cost_per_day=want)
