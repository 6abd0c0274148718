"""Limits per day, month and money count exactly the tokens that the model servers report."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Awaitable, Callable

import pytest

import clients
from answers import anthropic_error, openai_error
from generated import generated_tokens
from limited import WIDE, issue, microusd, report, settles_at, tokens_of, used
from table import Table
from world import CHAT, MESSAGES, World, chat_body, eventually

CALLS = 60
GENERATE = "/v1beta/models/counted:generateContent"
TEXT = "one two three four"
MESSAGE = json.dumps({"model": "counted", "max_tokens": 64, "messages": [{"role": "user", "content": TEXT}]}).encode()
# The requests and their paths.
REQUESTS = [
    (CHAT, chat_body(TEXT, model="counted")),
    (CHAT, chat_body(TEXT, model="counted", stream=True)),
    (CHAT, chat_body(TEXT, model="counted", stream=True, stream_options={"include_usage": True}, max_tokens=5)),
    (MESSAGES, MESSAGE),
    (MESSAGES, MESSAGE.replace(b"{", b'{"stream":true,', 1)),
    ("/v1/responses", json.dumps({"model": "counted", "input": TEXT}).encode()),
]


def test_reported_usage_is_counted(limited_world: World) -> None:
    """JSON and streams in several dialects, over both workers: for the key and for the model."""
    world, headers = limited_world, issue(limited_world, WIDE)

    def visit(number: int) -> Callable[[clients.Client], Awaitable[clients.Answer]]:
        path, body = REQUESTS[number % len(REQUESTS)]
        return lambda client: client.ask(body, path=path, headers={"anthropic-version": "2023-06-01", **headers})

    found = clients.each(world.gateway.port, 12, [visit(number) for number in range(CALLS)])
    assert {(answer.status_code, answer.complete) for answer in found} == {(200, True)}
    usages = tokens_of(world.entries())
    tokens, cost = sum(map(sum, usages)), microusd(usages)
    assert len(usages) == CALLS and tokens > CALLS and cost > 0
    want = dict.fromkeys(("tokens_per_minute", "tokens_per_day", "tokens_per_month"), tokens)
    settles_at(world, headers, **want, requests_per_minute=CALLS, cost_per_day=cost / 1e6, concurrency=0)
    mine, models = report(world, headers), report(world, headers, "model", "counted")
    assert {name: limit["used"] for name, limit in mine.items()} == {name: limit["used"] for name, limit in models.items()}
    assert all(0 < mine[name]["reset_seconds"] <= seconds for name, seconds in _WINDOWS.items())


_WINDOWS = {"requests_per_minute": 60, "tokens_per_day": 86_400, "tokens_per_month": 31 * 86_400, "cost_per_day": 86_400}


def test_images_do_not_count_as_text(limited_world: World) -> None:
    """A megabyte of base64 does not count as a quarter of a million tokens."""
    headers = issue(limited_world, {"tokens_per_minute": 2000})
    url = f"data:image/png;base64,{'iVBORw0KGgo' * 100_000}"
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]}).encode()
    response = limited_world.send(body, headers=headers)
    assert response.status_code != 429, response.text
    assert int(response.headers["x-ratelimit-remaining-tokens"]) > 1000


def test_used_up_budget(limited_world: World) -> None:
    """A request that fits the rest is served; then its actual cost counts, not the estimate."""
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


def test_a_label_limits_its_keys_together(limited_world: World) -> None:
    """Two keys of a team, over both workers: the team's requests of the month are counted, and the third is warned."""
    team, warning = {"team": "four calls"}, "x-sluice-limit-warning"
    keys = [issue(limited_world, {}, labels=team), issue(limited_world, {"requests_per_day": 3}, labels=team)]
    other = issue(limited_world, {}, labels={"team": "of nobody"})
    answers = [limited_world.send(chat_body(model="counted"), headers=keys[number % 2]) for number in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    told = "label:team requests_per_month {}%".format
    assert [answer.headers.get(warning) for answer in answers] == [None, None, told(75), told(100), told(100)]
    error = openai_error(answers[4])
    assert error["code"] == "insufficient_quota" and "the label `team=four calls` on requests per month: Limit 4, Used 4" in error["message"]
    assert 0 < int(answers[4].headers["retry-after"]) <= 31 * 86_400
    assert limited_world.send(chat_body(model="counted"), headers=other).status_code == 200
    mine = report(limited_world, keys[1], "label:team", "four calls")
    assert (mine["requests_per_month"]["used"], mine["requests_per_month"]["remaining"]) == (4, 0)
    warned = [labels for labels, count in limited_world.series("llm_limit_warnings_total") if count == 1]
    assert any({"label": "team/four_calls", "type": "requests_per_month"}.items() <= labels.items() for labels in warned), warned


def test_a_labels_budget_of_a_month(limited_world: World) -> None:
    """Two keys spend a team's budget; what the calls cost counts, and the next one is refused."""
    keys = [issue(limited_world, {}, labels={"team": "a budget"}) for _ in range(2)]
    statuses, warned = [], []
    while 429 not in statuses and len(statuses) < 20:
        answer = limited_world.send(chat_body(TEXT, model="counted", max_tokens=40), headers=keys[len(statuses) % 2])
        statuses.append(answer.status_code)
        warned.append("x-sluice-limit-warning" in answer.headers)
        limited_world.settle()
    spent = microusd(tokens_of(limited_world.entries()))
    assert statuses[-1] == 429 and len(statuses) > 2 and spent <= 600
    assert warned == [False] + [True] * (len(statuses) - 1), "from the first cent on"
    error = openai_error(answer)["message"]
    assert f"the label `team=a budget` on cost per month: Limit $0.0006, Used ${spent / 1e6:f}".rstrip("0") in error, error


def test_request_above_the_whole_budget(limited_world: World) -> None:
    """Waiting does not help, and the client's error says so. A request without a limit is assumed to use the model's
    `max_output_tokens`."""
    headers = {"anthropic-version": "2023-06-01", **issue(limited_world, {"cost_per_day": 0.01})}
    response = limited_world.send(MESSAGE.replace(b"64", b"2000"), path=MESSAGES, headers=headers)
    assert response.status_code == 400 and "retry-after" not in response.headers
    message = anthropic_error(response)["message"]
    assert message.startswith("Request too large for this key on cost per day: Limit $0.01") and "`max_tokens`" in message
    response = limited_world.send(chat_body(TEXT, model="counted"), headers=headers)
    assert response.status_code == 400 and "Requested $0.04" in openai_error(response)["message"]  # 4096 tokens
    assert limited_world.send(MESSAGE, path=MESSAGES, headers=headers).status_code == 200
    assert len(limited_world.entries()) == 1


# Requests for 1000 output tokens in each dialect: path, body, and the field that an error names.
ABOVE = [
    (CHAT, {"messages": [], "max_tokens": 1000}, "max_tokens"),
    (CHAT, {"messages": [], "max_completion_tokens": 500, "n": 2}, "max_completion_tokens"),
    ("/v1/completions", {"prompt": "Hi", "max_tokens": 1000}, "max_tokens"),
    ("/v1/responses", {"input": "Hi", "max_output_tokens": 1000}, "max_output_tokens"),
    (MESSAGES, {"messages": [], "max_tokens": 1000}, "max_tokens"),
    ("/api/chat", {"messages": [], "options": {"num_predict": 1000}}, "options.num_predict"),
    (GENERATE, {"contents": [], "generationConfig": {"maxOutputTokens": 1000}}, "generationConfig.maxOutputTokens"),
    (GENERATE, {"contents": [], "generation_config": {"max_output_tokens": 500, "candidate_count": 2}}, "generationConfig.maxOutputTokens"),
]


@pytest.mark.parametrize("path, body, field", ABOVE, ids=lambda value: value if isinstance(value, str) else "")
def test_output_above_the_whole_limit(limited_world: World, path: str, body: dict[str, Any], field: str) -> None:
    """Of the key or of the model: 400 at once that names the field, whatever else is used up."""
    content = json.dumps(body if path == GENERATE else {"model": "counted", **body}).encode()
    for limits in ({"tokens_per_minute": 999}, {"tokens_per_day": 999, "requests_per_minute": 1}, {"tokens_per_month": 999}):
        headers = issue(limited_world, limits)
        for _ in range(2):
            answer = limited_world.send(content, path=path, headers={"anthropic-version": "2023-06-01", **headers})
            assert answer.status_code == 400 and f"`{field}`" in answer.text, answer.text
            assert "Limit 999" in answer.text and "retry-after" not in answer.headers
            if path.startswith("/v1/") and path != MESSAGES:
                assert openai_error(answer)["param"] == field and openai_error(answer)["code"] == "request_above_limit"
        assert used(limited_world, headers, *limits) == (0,) * len(limits)
    if path != GENERATE:
        small = json.dumps({**body, "model": "small"}).encode()
        answer = limited_world.send(small, path=path, headers={"anthropic-version": "2023-06-01", **issue(limited_world, {})})
        assert answer.status_code == 400 and "the model `small` on tokens per min (TPM): Limit 100" in answer.text
    assert limited_world.entries() == []


def test_reserve_output(limited_world: World) -> None:
    """Clients that always request the maximum can run in parallel; in the end their actual usage counts."""
    limits = {"tokens_per_minute": 1000, "tokens_per_day": 1000, "reserve_output": 50, "cost_per_day": 1}
    headers = issue(limited_world, limits)
    body = chat_body(TEXT, model="counted", max_tokens=32_000)
    limited_world.fault({"delay_ms": 500})
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(limited_world.send, body, headers=headers)
        reserved = -(-len(body) // 4) + 50
        might_cost = microusd([(-(-len(body) // 4), 32_000)]) / 1e6
        eventually(lambda: used(limited_world, headers, "tokens_per_minute", "tokens_per_day", "cost_per_day"), (reserved, reserved, might_cost))
        assert answer.result().status_code == 200
    usages = tokens_of(limited_world.entries())
    total = sum(map(sum, usages))
    settles_at(limited_world, headers, tokens_per_minute=total, tokens_per_day=total, cost_per_day=microusd(usages) / 1e6)


def test_budget_under_load(limited_world: World, request: pytest.FixtureRequest) -> None:
    """200 calls at once, over both workers: spending never exceeds the budget, since no call costs more than its estimate."""
    budget, most = 0.02, 40
    headers = issue(limited_world, {"cost_per_day": budget})
    limited_world.fault({"delay_ms": 300, "text": "word " * (most - 1)})
    body = chat_body(TEXT, model="counted", max_tokens=most)
    found = clients.ask(limited_world.gateway.port, [body] * 200, 200, headers=headers)
    statuses = Counter(answer.status_code for answer in found)
    usages = tokens_of(limited_world.entries())
    spent, might_cost = microusd(usages), microusd([(-(-len(body) // 4), most)])
    assert statuses == {200: len(usages), 429: 200 - len(usages)}
    assert len(usages) == 20_000 // might_cost, "as many calls as the budget covers"
    assert spent <= 20_000 + max(0, max(microusd([usage]) for usage in usages) - might_cost)
    settles_at(limited_world, headers, cost_per_day=spent / 1e6)
    table = Table("200 calls at once against a budget", ["served", "refused", "budget", "spent"])
    table.put("calls", "served", len(usages))
    table.put("calls", "refused", 200 - len(usages))
    table.put("dollars", "budget", budget)
    table.put("dollars", "spent", spent / 1e6)
    table.show(request.config)


def test_cut_streams_are_charged(limited_world: World) -> None:
    """A cut stream reports no usage: the prompt and the generated text are charged, but no more."""
    headers = issue(limited_world, WIDE)
    body = chat_body(TEXT, model="counted", stream=True, max_tokens=40)
    limited_world.fault({"fault": "reset_body", "after_events": 3, "text": "one two three four five"})
    clients.ask(limited_world.gateway.port, [body] * 4, 2, headers=headers)
    prompt, output = -(-len(TEXT) // 4), generated_tokens("one two")  # the first event has no text
    want = 4 * microusd([(prompt, output)]) / 1e6
    settles_at(limited_world, headers, tokens_per_day=4 * (prompt + output), cost_per_day=want)
