"""What is counted for days, months and money is what the model servers have reported, to the token."""

from __future__ import annotations

import json
from collections import Counter
from typing import Awaitable, Callable

import pytest

import crowd
from answers import anthropic_error, openai_error
from generated import generated_tokens
from limited import WIDE, issue, microusd, report, settles_at, tokens_of
from table import Table
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
    """What fits what is left is served; what it has cost in the end counts, not what it might have."""
    headers, body = issue(limited_world, {"cost_per_day": 0.0006}), chat_body(TEXT, model="counted", max_tokens=40)
    statuses = []
    while 429 not in statuses and len(statuses) < 20:
        statuses.append((answer := limited_world.send(body, headers=headers)).status_code)
        limited_world.settle()
    usages = tokens_of(limited_world.entries())
    assert statuses == [200] * len(usages) + [429] and len(usages) > 1
    spent, might_cost = microusd(usages), microusd([(-(-len(body) // 4), 40)])
    assert spent <= 600 < spent + might_cost
    settles_at(limited_world, headers, cost_per_day=spent / 1e6)
    error = openai_error(answer)
    assert error["code"] == "insufficient_quota"
    assert f"cost per day: Limit $0.0006, Used ${spent / 1e6:f}".rstrip("0") in error["message"]
    assert f"Requested ${might_cost / 1e6:f}".rstrip("0") in error["message"], error


def test_a_request_that_alone_exceeds_the_budget(limited_world: World) -> None:
    """In the client's shape; who says nothing of the output is thought to want as much as the model is to answer."""
    headers = {"anthropic-version": "2023-06-01", **issue(limited_world, {"cost_per_day": 0.01})}
    response = limited_world.send(MESSAGE.replace(b"64", b"2000"), path=MESSAGES, headers=headers)
    assert response.status_code == 429
    assert "Request too large for this key on cost per day: Limit $0.01" in anthropic_error(response)["message"]
    response = limited_world.send(chat_body(TEXT, model="counted"), headers=headers)
    assert response.status_code == 429 and "Requested $0.04" in openai_error(response)["message"]  # 4096 tokens
    assert limited_world.send(MESSAGE, path=MESSAGES, headers=headers).status_code == 200
    assert len(limited_world.entries()) == 1


def test_a_crowd_does_not_overdraw(limited_world: World, request: pytest.FixtureRequest) -> None:
    """200 calls at once, over both workers: what is spent passes the budget by nothing, since no call costs more than
    it might."""
    budget, most = 0.02, 40
    headers = issue(limited_world, {"cost_per_day": budget})
    limited_world.fault({"delay_ms": 300, "text": "word " * (most - 1)})
    body = chat_body(TEXT, model="counted", max_tokens=most)
    found = crowd.ask(limited_world.gateway.port, [body] * 200, 200, headers=headers)
    statuses = Counter(answer.status_code for answer in found)
    usages = tokens_of(limited_world.entries())
    spent, might_cost = microusd(usages), microusd([(-(-len(body) // 4), most)])
    assert statuses == {200: len(usages), 429: 200 - len(usages)}
    assert len(usages) == 20_000 // might_cost, "as many as might be paid"
    assert spent <= 20_000 + max(0, max(microusd([usage]) for usage in usages) - might_cost)
    settles_at(limited_world, headers, cost_per_day=spent / 1e6)
    table = Table("200 calls at once against a budget", ["served", "refused", "budget", "spent"])
    table.put("calls", "served", len(usages))
    table.put("calls", "refused", 200 - len(usages))
    table.put("dollars", "budget", budget)
    table.put("dollars", "spent", spent / 1e6)
    table.show(request.config)


def test_leaving_early_saves_no_money(limited_world: World) -> None:
    """A stream that is cut tells of no usage: the prompt is paid for, and what was generated; not what was not."""
    headers = issue(limited_world, WIDE)
    body = chat_body(TEXT, model="counted", stream=True, max_tokens=40)
    limited_world.fault({"fault": "reset_body", "after_events": 3, "text": "one two three four five"})
    crowd.ask(limited_world.gateway.port, [body] * 4, 2, headers=headers)
    prompt, output = -(-len(TEXT) // 4), generated_tokens("one two")  # the first event has no text
    want = 4 * microusd([(prompt, output)]) / 1e6
    settles_at(limited_world, headers, tokens_per_day=4 * (prompt + output), cost_per_day=want)
