"""How clients see their limits: headers, refusals, the SDKs' errors, the report."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Any, Callable, Iterator

import anthropic
import httpx
import openai
import pytest

import answers
from conftest import OpenWorld
from limited import KEYS, WIDE, bearer, issue, report, settles_at, used
from settings import Settings
from world import World, chat_body

RESET = re.compile(r"\d+ms|(\d+h)?(\d+m)?\d+s")
SAYING_HELLO: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
MESSAGE: dict[str, Any] = {**SAYING_HELLO, "max_tokens": 64}


@pytest.fixture
def client(limited_world: World) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{limited_world.url}/v1", api_key="none", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def claude(limited_world: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=limited_world.url, api_key="none", max_retries=0, timeout=10) as client:
        yield client


def _rates(response: httpx.Response, what: str) -> tuple[int, int]:
    """Limit and remaining; the reset must be in OpenAI's format, and within the minute."""
    limit, remaining, reset = (response.headers[f"x-ratelimit-{part}-{what}"] for part in ("limit", "remaining", "reset"))
    assert RESET.fullmatch(reset) and not reset.startswith(("0h", "0m"))
    assert reset == "1m0s" or re.fullmatch(r"[1-5]?\ds|\d+ms", reset)
    return int(limit), int(remaining)


def _told(response: httpx.Response) -> set[str]:
    return {name for name in response.headers if name.startswith("x-ratelimit-")}


# The request, the fault of the servers, the status, and whether it was admitted.
ANSWERS: dict[str, tuple[bytes, dict[str, Any], int]] = {
    "JSON": (chat_body(), {}, 200),
    "a stream": (chat_body(stream=True), {}, 200),
    "no such model": (chat_body(model="gpt-5"), {}, 404),
    "refused by the server": (chat_body(), {"fault": "status", "status": 400}, 400),
    "all servers failed": (chat_body(), {"fault": "status", "status": 500}, 500),
    "all servers hung up": (chat_body(), {"fault": "reset"}, 503),
    "the server's own limit": (
        chat_body(),
        {"fault": "status", "status": 429, "headers": {"x-ratelimit-remaining-requests": "77777"}},
        429,
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_on_every_answer(limited_world: World, name: str) -> None:
    body, orders, status = ANSWERS[name]
    headers = issue(limited_world, {"requests_per_minute": 3, "tokens_per_minute": 100_000})
    limited_world.fault(orders)
    for left in (2, 1, 0):
        response = limited_world.send(body, headers=headers)
        assert response.status_code == status
        limit, remaining = _rates(response, "requests")
        assert (limit, remaining) == (3, left)
        assert _rates(response, "tokens")[0] == 100_000 and 99_000 < _rates(response, "tokens")[1] < 100_000
    response = limited_world.send(body, headers=headers)
    assert (response.status_code, answers.openai_error(response)["code"]) == (429, "rate_limit_exceeded")
    assert _rates(response, "requests") == (3, 0)
    seconds, millis = int(response.headers["retry-after"]), int(response.headers["retry-after-ms"])
    assert 50 <= seconds <= 60 and (seconds - 1) * 1000 < millis <= seconds * 1000
    assert "x-should-retry" not in response.headers


def test_remaining_tokens(limited_world: World) -> None:
    headers = issue(limited_world, {"tokens_per_minute": 1000})
    body = chat_body(max_tokens=100)
    estimate = -(-len(body) // 4) + 100
    for count in range(3):
        response = limited_world.send(body, headers=headers)
        # eleven tokens for each earlier request, and this one's estimate
        assert _rates(response, "tokens") == (1000, 1000 - count * 11 - estimate)
        limited_world.settle()
    assert "x-ratelimit-limit-requests" not in response.headers
    settles_at(limited_world, headers, tokens_per_minute=33)


def test_provider_headers_are_removed(limited_world: World) -> None:
    """A mix of the gateway's and a provider's headers would mean nothing."""
    own = {"x-ratelimit-remaining-tokens": "77777", "x-ratelimit-limit-requests": "88888"}
    limited_world.fault({"fault": "status", "status": 400, "headers": own})
    response = limited_world.send(chat_body(), headers=issue(limited_world, {"requests_per_minute": 5}))
    assert _told(response) == {f"x-ratelimit-{part}-requests" for part in ("limit", "remaining", "reset")}
    assert _rates(response, "requests") == (5, 4)


def test_no_headers_without_limits(limited_world: World) -> None:
    assert not _told(limited_world.chat())
    assert not _told(limited_world.send(chat_body(), headers=issue(limited_world, {"tokens_per_day": 1000})))


# The limits, the usage before, and the refusal's message.
REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], int, tuple[str, str], bool]] = {
    "tokens per minute": ({"tokens_per_minute": 130}, {"max_tokens": 80}, 3, ("tokens", "rate_limit_exceeded"), False),
    "tokens per day": ({"tokens_per_day": 30}, {}, 2, ("insufficient_quota", "insufficient_quota"), True),
    "tokens per month": ({"tokens_per_month": 30}, {}, 2, ("insufficient_quota", "insufficient_quota"), True),
    "cost per day": ({"cost_per_day": 0.00014}, {"model": "counted", "max_tokens": 5}, 1, ("insufficient_quota", "insufficient_quota"), True),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(limited_world: World, client: openai.OpenAI, name: str) -> None:
    """If waiting cannot help, SDKs are told not to retry."""
    limits, fields, before, (kind, code), final = REFUSALS[name]
    headers = issue(limited_world, limits)
    for _ in range(before):
        assert limited_world.send(chat_body(**fields), headers=headers).status_code == 200
        limited_world.settle()
    with pytest.raises(openai.RateLimitError) as caught:
        client.with_options(max_retries=2 if final else 0).chat.completions.create(
            **{**SAYING_HELLO, **fields}, extra_headers={"Authorization": headers["authorization"]}
        )
    assert (caught.value.type, caught.value.code) == (kind, code)
    told = caught.value.response.headers
    assert told.get("x-should-retry") == ("false" if final else None)
    assert "retry-after" in told
    assert len(limited_world.entries()) == before


def test_anthropic_refusal(claude: anthropic.Anthropic, limited_world: World) -> None:
    headers = issue(limited_world, {"requests_per_minute": 1})
    key = headers["authorization"].removeprefix("Bearer ")
    claude = claude.with_options(api_key=key)
    assert claude.messages.create(**MESSAGE).content
    with pytest.raises(anthropic.RateLimitError) as caught:
        claude.messages.create(**MESSAGE)
    error = answers.anthropic_error(caught.value.response)
    assert error["type"] == "rate_limit_error" and "requests per min" in error["message"]
    assert int(caught.value.response.headers["retry-after"]) > 0


def test_streams_are_not_cut(limited_world: World) -> None:
    """A stream that exceeds the limit passes complete; the next request is refused."""
    headers = issue(limited_world, {"tokens_per_minute": 100})
    limited_world.fault({"text": "word " * 299 + "word"})
    response = limited_world.send(chat_body(stream=True), headers=headers)
    assert response.status_code == 200 and answers.content(response) == "word " * 299 + "word"
    assert answers.events(response.content)[-1] == "[DONE]"
    settles_at(limited_world, headers, tokens_per_minute=301)
    assert limited_world.send(chat_body(stream=True), headers=headers).status_code == 429


def test_headers_show_the_tightest_limit(limited_world: World) -> None:
    """Either the key's or the model's."""
    wide, tight = (issue(limited_world, {"requests_per_minute": limit}) for limit in (50, 2))
    body = chat_body(model="three")
    told = [_rates(limited_world.send(body, headers=headers), "requests") for headers in (wide, tight, wide)]
    assert told == [(3, 2), (2, 1), (3, 0)]
    refused = limited_world.send(body, headers=tight)
    assert refused.status_code == 429 and "`three`" in answers.openai_error(refused)["message"]
    assert _rates(refused, "requests") == (3, 0), "a refusal by the model's limit counts nowhere, so the key has one left"
    assert used(limited_world, tight, "requests_per_minute") == (1,)


def test_refused_requests_count_nowhere(
    limited_world: World, settings: Callable[[], Settings], open_world: OpenWorld
) -> None:
    """Refused by the model's or the gateway's limit: the other limits' reservations are undone."""
    headers, body = issue(limited_world, WIDE), chat_body(model="small", max_tokens=200)
    for _ in range(5):
        assert limited_world.send(body, headers=headers).status_code == 400
    settles_at(limited_world, headers, requests_per_minute=0, tokens_per_day=0, tokens_per_month=0, concurrency=0)
    changed = settings()
    changed.values("auth")["keys"][0]["limits"] = WIDE
    changed.values("auth")["limits"] = {"requests_per_minute": 2}
    with open_world(changed.text()) as world:
        assert [world.chat().status_code for _ in range(5)] == [200, 200, 429, 429, 429]
        tokens = 2 * 11
        world.settle()
        found = report(world, {"authorization": "Bearer sk-demo-user"})
        assert [found[name]["used"] for name in ("requests_per_minute", "tokens_per_day", "concurrency")] == [2, tokens, 0]
        assert report(world, {"authorization": "Bearer sk-demo-user"}, "gateway")["requests_per_minute"]["used"] == 2


@pytest.mark.parametrize("name", [name for name, limits in KEYS.items() if limits == {"requests_per_minute": 5}])
def test_any_id(limited_world: World, name: str) -> None:
    headers = bearer(name)
    assert _rates(limited_world.send(chat_body(), headers=headers), "requests") == (5, 4)
    assert report(limited_world, headers, "key", name)["requests_per_minute"]["used"] == 1


def test_report(limited_world: World) -> None:
    """A caller's own limits, and those of the models it may use."""
    headers = issue(limited_world, {"requests_per_minute": 7}, models=["counted", "small"])
    limited_world.send(chat_body(model="counted"), headers=headers).raise_for_status()
    limited_world.settle()
    response = limited_world.send(path="/gateway/limits", method="GET", headers=headers)
    found = [(each["subject"], each.get("id")) for each in response.json()["subjects"]]
    assert found[0][0] == "key" and found[1:] == [("model", "counted"), ("model", "small")]
    requests = report(limited_world, headers)["requests_per_minute"]
    assert requests.pop("reset_seconds") in range(50, 61)
    assert requests == {"limit": 7, "used": 1, "remaining": 6}
    assert limited_world.send(path="/gateway/limits", method="GET", headers=None).status_code == 401
    without = limited_world.send(path="/gateway/limits", method="GET", headers=issue(limited_world, {}, models=["none"]))
    assert without.json() == {"scope": "envoy", "subjects": []}
    assert not _told(response), "a report does not count as a request to a model"


def test_sdk_waits(client: openai.OpenAI) -> None:
    """It waits as long as `retry-after` says, and is served then. The minute began when the gateway started."""
    asking: dict[str, Any] = {**SAYING_HELLO, "extra_headers": {"Authorization": bearer("waiting")["authorization"]}}
    with contextlib.suppress(openai.RateLimitError):
        client.chat.completions.create(**asking)  # on a slow machine that minute may be over, and a new one begins
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(**asking)
    told, start = int(caught.value.response.headers["retry-after"]), time.monotonic()
    assert client.with_options(max_retries=1).chat.completions.create(**asking).choices
    waited = time.monotonic() - start
    assert told - 1.5 < waited < told + 5, f"told to wait {told} s, waited {waited:.1f} s"
