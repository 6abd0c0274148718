"""Invalid answers are retried elsewhere, and no client learns about the gateway's own key."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Iterator, NamedTuple

import httpx
import pytest

from answers import content
from conftest import OpenWorld
from resilience import NEVER_EJECTED_ALONE, add_upstream, target
from scripted import Script, Scripted
from settings import FIRST, Settings
from world import ADMIN, BEARER, CHAT, MESSAGES, World, eventually

SECRET = "sk-live-of-the-gateway"


def _error(**error: Any) -> bytes:
    return json.dumps({"error": {"message": "m", **error}}).encode()


def _status(status: str, body: bytes = b"", **headers: str) -> Script:
    return Script.json(body, status=status, headers={"content-type": "application/json", **headers})


HTML = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"
ANSWER = b'{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Yes"},"finish_reason":"stop"}]}'
EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Yes"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


class Case(NamedTuple):
    """An answer, the attempt's outcome, and the status and code for the client if no other target is left. Without a code the
    answer passes unchanged."""

    script: Script
    outcome: str
    status: int = 502
    code: str | None = "upstream_bad_response"


REFUSED = {"status": 502, "code": "upstream_credential"}
BAD: dict[str, Case] = {
    "empty": Case(Script.json(b""), "bad_response"),
    "empty in chunks": Case(Script([], headers={"content-type": "application/json"}), "bad_response"),
    "html": Case(Script.json(HTML, headers={"content-type": "text/html"}), "bad_response"),
    "html as json": Case(Script.json(HTML), "bad_response"),
    "cut with a length": Case(Script.json(ANSWER[:60]), "bad_response"),
    "cut in chunks": Case(Script([ANSWER[:60]]), "bad_response"),
    "another endpoint": Case(Script.json(b'{"object":"list","data":[]}'), "bad_response"),
    "an error": Case(Script.json(_error()), "bad_response"),
    "an error in a text": Case(Script.json(b'{"error":"no worker"}'), "bad_response"),
    "an error as a stream": Case(Script.stream(b"data: " + _error() + b"\n\n"), "bad_response"),
    "half a stream": Case(Script.stream(EVENTS[:90]), "bad_response"),
    "a server error": Case(Script.json(_error(code=500)), "server_error"),
    "too many requests": Case(Script.json(_error(code=429)), "rate_limited", 429, "rate_limit_exceeded"),
    "204": Case(Script([], status="204 No Content", length=0), "bad_response"),
    "302": Case(_status("302 Found", b"", location="https://login.example/"), "bad_response"),
    "307": Case(_status("307 Temporary Redirect", b"{}", location="https://login.example/"), "bad_response"),
    "304": Case(Script([], status="304 Not Modified", length=0), "bad_response"),
    "600": Case(_status("600 Odd", b"{}"), "bad_response"),
    "999": Case(_status("999 Odd", b"{}"), "bad_response"),
    "401": Case(
        _status("401 Unauthorized", _error(message=f"Incorrect API key provided: {SECRET}"), **{"www-authenticate": f"Bearer {SECRET}"}),
        "credential",
        **REFUSED,
    ),
    "401 without a body": Case(_status("401 Unauthorized"), "credential", **REFUSED),
    "402": Case(_status("402 Payment Required", _error(message="Insufficient Balance")), "credential", **REFUSED),
    "403 key": Case(_status("403 Forbidden", _error(type="permission_error", message=SECRET)), "credential", **REFUSED),
    "400 key": Case(_status("400 Bad Request", _error(code=400, details=[{"reason": "API_KEY_INVALID"}])), "credential", **REFUSED),
    "429 quota": Case(_status("429 Too Many Requests", _error(code="insufficient_quota")), "credential", **REFUSED),
    "200 key": Case(Script.json(_error(code="invalid_api_key", message=SECRET)), "credential", **REFUSED),
}
# Answers that pass to the client without a retry.
PASSED: dict[str, Case] = {
    "403 content": Case(_status("403 Forbidden", _error(code="content_policy_violation")), "client_error", 403, None),
    "403 unknown": Case(_status("403 Forbidden", b'{"error":{"its":"own"}}'), "client_error", 403, None),
    "400": Case(_status("400 Bad Request", _error(code="invalid_value")), "client_error", 400, None),
    "200 request": Case(Script.json(_error(type="invalid_request_error")), "client_error", 200, None),
    "an answer": Case(Script.json(ANSWER), "success", 200, None),
    "an answer and its end": Case(Script.json(ANSWER + b"\n\ndata: [DONE]\n\n"), "success", 200, None),
    "a stream": Case(Script.stream(EVENTS), "success", 200, None),
    "a null error": Case(Script.json(ANSWER.replace(b'"id"', b'"error":null,"id"')), "success", 200, None),
}
LARGE = ANSWER.replace(b"Yes", b"word " * 1_000_000)
# Answers that are too large to hold, and their attempts' outcomes.
BEYOND: dict[str, Case] = {
    "large": Case(Script.json(LARGE), "success", 200, None),
    "large in chunks": Case(Script([LARGE[:900_000], LARGE[900_000:]]), "success", 200, None),
    "large html": Case(Script.json(HTML + b" " * len(LARGE)), "bad_response", 200, None),
    "large and cut": Case(Script([LARGE[:-20]]), "bad_response", 200, None),
    "large and more": Case(Script([LARGE, b"<html>"]), "bad_response", 200, None),
    "large of another endpoint": Case(Script.json(b'{"data":["' + LARGE[200:-200] + b'"]}'), "bad_response", 200, None),
    "large error": Case(Script.json(_error(more="word " * 1_000_000)), "bad_response", 200, None),
}
# It sends `Retry-After`, which ejects.
PAUSE = {"429": Case(_status("429 Too Many Requests", _error(), **{"retry-after": "5"}), "rate_limited", 429, None)}
ALL = {**BAD, **PASSED, **BEYOND, **PAUSE}


@pytest.fixture(scope="module")
def scripted() -> Iterator[Scripted]:
    with Scripted({name: case.script for name, case in ALL.items()}) as server:
        yield server


@pytest.fixture(scope="module")
def judged_world(settings: Callable[[], Settings], open_world: OpenWorld, scripted: Scripted) -> Iterator[World]:
    changed = settings()
    add_upstream(changed, "scripted", "mock-a", scripted.address, ejection=NEVER_EJECTED_ALONE, dialects=["openai", "anthropic"])
    add_upstream(changed, "ejecting", "mock-a", scripted.address)
    add_upstream(changed, "accounts", "mock-a", scripted.address, forward_headers=["OpenAI-Organization", "x-note"])
    first = target("scripted", "mock-a", weight=FIRST)
    changed.models.append({"name": "both", "targets": [first, target("mock-b")]})
    changed.models.append({"name": "alone", "targets": [first]})
    changed.models.append({"name": "spared", "targets": [target("ejecting", "mock-a")]})
    changed.models.append({"name": "accounts", "targets": [target("accounts", "mock-a")]})
    with open_world(changed.text()) as world:
        yield world


def _ask(world: World, name: str, model: str, path: str = CHAT, headers: dict[str, str] = BEARER) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": f"PLAY {name}."}], "max_tokens": 100}
    _restore(world, "scripted")
    return world.send(json.dumps(body).encode(), path=path, headers=headers)


def _restore(world: World, cluster: str) -> None:
    world.send(path=f"/gateway/upstreams/{cluster}/restore", headers=ADMIN).raise_for_status()


def _assert_private(response: httpx.Response) -> None:
    shown = response.text + str(response.headers)
    assert SECRET not in shown and "login.example" not in shown
    assert not {"location", "www-authenticate", "x-sluice-retry"} & set(response.headers)


@pytest.mark.parametrize("name", BAD)
def test_invalid_answers_are_retried_elsewhere(judged_world: World, name: str) -> None:
    response = _ask(judged_world, name, "both")
    assert (response.status_code, content(response)) == (200, f"Hello from mock-b. You said: PLAY {name}.")
    assert response.headers["x-sluice-attempts"] == f"scripted={BAD[name].outcome}, mock-b=success"
    _assert_private(response)


@pytest.mark.parametrize("name", BAD)
def test_no_other_target_is_left(judged_world: World, name: str) -> None:
    case = BAD[name]
    response = _ask(judged_world, name, "alone")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (case.status, case.code), response.text
    assert response.headers["x-sluice-attempts"] == f"scripted={case.outcome}"
    assert response.headers["content-type"] == "application/json"
    _assert_private(response)


@pytest.mark.parametrize("name", PASSED)
def test_valid_answers_pass(judged_world: World, name: str) -> None:
    case = PASSED[name]
    response = _ask(judged_world, name, "both")
    assert (response.status_code, response.content) == (case.status, b"".join(case.script.pieces))
    tried = response.headers.get("x-sluice-attempts", "scripted=success")
    assert tried == f"scripted={case.outcome}"


@pytest.mark.parametrize("name", BEYOND)
def test_answers_too_large_to_hold(judged_world: World, name: str) -> None:
    """It passes, and is judged afterwards."""
    case = BEYOND[name]
    before = judged_world.counted("llm_attempts_total")
    response = _ask(judged_world, name, "both")
    assert (response.status_code, response.content) == (case.status, b"".join(case.script.pieces))
    eventually(lambda: judged_world.counted("llm_attempts_total") - before, Counter({("scripted", case.outcome): 1}))


def test_credential_errors_in_anthropic_shape(judged_world: World) -> None:
    response = _ask(judged_world, "401", "alone", path=MESSAGES)
    assert (response.status_code, response.json()["type"]) == (502, "error")
    assert response.json()["error"]["type"] == "api_error"


def test_clients_cannot_eject(judged_world: World) -> None:
    """Neither with the text, nor with a forwarded account."""
    for name in ("403 content", "403 unknown", "400", "200 request"):
        for _ in range(6):
            _ask(judged_world, name, "spared")
    headers = {**BEARER, "OpenAI-Organization": "org-bogus"}
    refusals = ("401", "402", "429") * 6
    answers = Counter(_ask(judged_world, name, "accounts", headers=headers).status_code for name in refusals)
    assert answers == {502: 12, 429: 6}
    assert (_state(judged_world, "ejecting"), _state(judged_world, "accounts")) == (("healthy", None), ("healthy", None))


def test_unforwarded_account_does_not_prevent_ejection(judged_world: World) -> None:
    _ask(judged_world, "401", "spared", headers={**BEARER, "OpenAI-Organization": "org-bogus"})
    assert _state(judged_world, "ejecting") == ("ejected", "credential")
    _restore(judged_world, "ejecting")


def test_header_without_an_account_does_not_prevent_ejection(judged_world: World) -> None:
    """The server sends `Retry-After`, for any caller."""
    assert _ask(judged_world, "429", "accounts", headers={**BEARER, "x-note": "bogus"}).status_code == 429
    assert _state(judged_world, "accounts") == ("ejected", "retry_after")
    _restore(judged_world, "accounts")


def test_credentials_eject(judged_world: World) -> None:
    for name in ("401", "402", "403 key", "429 quota"):
        _restore(judged_world, "ejecting")
        _ask(judged_world, name, "spared")
        assert _state(judged_world, "ejecting") == ("ejected", "credential"), name
    _restore(judged_world, "ejecting")


def _state(world: World, cluster: str) -> tuple[str, str | None]:
    listed = world.send(path="/gateway/upstreams", method="GET", headers=ADMIN).json()["data"]
    (entry,) = (entry for entry in listed if entry["cluster"] == cluster)
    return entry["state"], entry["reason"]
