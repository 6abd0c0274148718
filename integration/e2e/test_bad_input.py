"""Mistakes and attacks of clients: the answer always has the shape that their SDK reads, and nothing reaches a server."""

from __future__ import annotations

import json
from unittest.mock import ANY

import pytest

import demo
from answers import anthropic_error, content, google_error, openai_error
from conftest import LIMITED_KEY
from world import BEARER, CHAT, MESSAGES, SECRETS, World, chat_body, pieces

pytestmark = pytest.mark.usefixtures("survivor")

GEMINI = "/v1beta/models/gpt-4o:generateContent"
DEEP = b'{"model":"gpt-4o","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
LARGEST = 8 << 20

# One body for each way to a refusal: tests/core/parsed_request.rs has every mistake. Body, then status, param and code of the answer.
BODIES: dict[str, tuple[bytes, int, str | None, str]] = {
    "empty": (b"", 400, None, "invalid_json"),
    "nested too deep": (DEEP, 400, None, "invalid_json"),
    "no model": (b'{"messages":[]}', 400, "model", "missing_required_parameter"),
    "two models": (b'{"model":"gpt-4o","model":"expensive-405b"}', 400, "model", "ambiguous_parameter"),
    "a model for Go's reader": (b'{"model":"gpt-4o","MODEL":"expensive-405b"}', 400, "model", "ambiguous_parameter"),
    "a stream for Go's reader": ('{"model":"gpt-4o","ſtream":true}'.encode(), 400, "stream", "ambiguous_parameter"),
    "an escaped limit for it": (rb'{"model":"gpt-4o","max_to\u212aens":9}', 400, "max_tokens", "ambiguous_parameter"),
    "stream a text": (b'{"model":"gpt-4o","stream":"yes"}', 400, "stream", "invalid_type"),
    "unknown model": (b'{"model":"gpt-5"}', 404, "model", "model_not_found"),
    "too large": (chat_body("x" * LARGEST), 413, None, "request_too_large"),
}
# Paths that Envoy may change as well; tests/core/endpoint.rs has the others. Method, path, then status and code of the answer.
PATHS: list[tuple[str, str, int, str]] = [
    ("GET", CHAT, 405, "method_not_allowed"),
    ("POST", "/", 404, "unknown_url"),
    ("POST", "/v1/chat%2Fcompletions", 404, "unknown_url"),
    ("POST", "/v1/../_mock", 404, "unknown_url"),
    ("OPTIONS", CHAT, 405, "method_not_allowed"),
    ("POST", "/_mock", 404, "unknown_url"),
]
# Headers that control Envoy, or the gateway's own; each tries to do harm.
STEERING = {
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-upstream-rq-per-try-timeout-ms": "1",
    "x-envoy-max-retries": "0",
    "x-envoy-retry-on": "gateway-error",
    "x-envoy-retry-grpc-on": "internal",
    "x-envoy-retriable-status-codes": "200",
    "x-envoy-retriable-header-names": "content-type",
    "x-envoy-hedge-on-per-try-timeout": "true",
    "x-envoy-expected-rq-timeout-ms": "1",
    "x-envoy-upstream-alt-stat-name": "stolen",
    "x-envoy-force-trace": "1",
    "x-envoy-decorator-operation": "stolen",
    "x-envoy-internal": "true",
    "x-envoy-original-path": "/stolen",
    "x-envoy-external-address": "1.2.3.4",
    "x-envoy-ip-tags": "stolen",
    "x-sluice-retry": "1",
    "x-sluice-cluster": "mock-c",
    "X-Sluice-Id": "1",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_body(world: World, name: str, chunked: bool) -> None:
    body, status, param, code = BODIES[name]
    response = world.send(pieces(body) if chunked else body)
    error = openai_error(response)
    assert (response.status_code, error["param"], error["code"]) == (status, param, code)
    assert world.entries() == []


@pytest.mark.parametrize("name", ["empty", "stream a text", "unknown model", "too large"])
def test_body_at_anthropic_path(world: World, name: str) -> None:
    body, status, _, _ = BODIES[name]
    response = world.send(body, path=MESSAGES)
    kinds = {400: "invalid_request_error", 404: "not_found_error", 413: "request_too_large"}
    assert (response.status_code, anthropic_error(response)["type"]) == (status, kinds[status])
    assert world.entries() == []


@pytest.mark.parametrize("name", ["empty", "stream a text", "unknown model", "too large"])
def test_body_at_gemini_and_ollama_paths(world: World, name: str) -> None:
    body, status, _, _ = BODIES[name]
    path = "/v1beta/models/gpt-5:generateContent" if name == "unknown model" else GEMINI
    response = world.send(body, path=path)
    kinds = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 413: "INVALID_ARGUMENT"}
    assert (response.status_code, google_error(response)["status"]) == (status, kinds[status])
    response = world.send(body, path="/api/chat")
    assert response.status_code == status and isinstance(response.json()["error"], str)
    assert world.entries() == []


@pytest.mark.parametrize(("method", "path", "status"), [("PUT", GEMINI, 405), ("POST", "/v1beta/models/m:countTokens", 404)])
def test_geminis_path_and_method(world: World, method: str, path: str, status: int) -> None:
    error = google_error(world.send(chat_body() if method == "POST" else None, method=method, path=path))
    assert (error["code"], error["details"][0]["domain"]) == (status, "sluice")


def test_largest_body(world: World) -> None:
    """A body just under the limit arrives complete."""
    body = chat_body("x" * (LARGEST - 1024))
    assert world.send(body).status_code == 200
    name, entry = world.entry()
    assert entry["headers"]["content-length"] == str(len(body) + len(f"-{name}"))


@pytest.mark.parametrize(("method", "path", "status", "code"), PATHS)
def test_path_and_method(world: World, method: str, path: str, status: int, code: str) -> None:
    response = world.send(chat_body() if method == "POST" else None, method=method, path=path)
    assert (response.status_code, openai_error(response)["code"]) == (status, code)
    assert response.headers.get("allow") == ("POST" if status == 405 else None)
    assert world.entries() == []


def test_unknown_model_names_those_the_key_may_use(wide_world: World) -> None:
    headers = {"authorization": f"Bearer {LIMITED_KEY}"}
    response = wide_world.send(chat_body(model="prefix"), headers=headers)
    assert (response.status_code, openai_error(response)["code"]) == (403, "model_not_allowed")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer sk-wrong"},
        {"x-api-key": f"{demo.USER_KEY}x"},
        {"cookie": demo.USER_KEY},
    ],
    ids=lambda headers: " ".join(f"{name}: {value[:20]}" for name, value in headers.items()) or "none",
)
def test_unknown_key(world: World, headers: dict[str, str]) -> None:
    response = world.send(chat_body(), headers=headers)
    assert (response.status_code, openai_error(response)["code"]) == (401, "invalid_api_key")
    assert response.headers["www-authenticate"] == "Bearer"
    response = world.send(chat_body(), path=MESSAGES, headers=headers)
    assert (response.status_code, anthropic_error(response)["type"]) == (401, "authentication_error")
    assert world.entries() == []


def test_unknown_key_with_a_large_body(world: World) -> None:
    """The answer does not wait for the body."""
    response = world.send(chat_body("x" * (9 << 20)), headers={"x-api-key": "sk-wrong"})
    assert (response.status_code, openai_error(response)["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("fault", ["refuse", "reset", "close"])
def test_no_server_answers(world: World, fault: str) -> None:
    world.fault({"fault": fault})
    response = world.send(chat_body())
    assert (response.status_code, openai_error(response)["code"]) == (503, "upstream_unavailable")
    response = world.send(chat_body(), path=MESSAGES)
    assert (response.status_code, anthropic_error(response)["type"]) == (503, "api_error")


def test_all_ports_are_closed(wide_world: World) -> None:
    response = wide_world.chat(model="closed")
    assert (response.status_code, openai_error(response)["code"]) == (503, "upstream_unavailable")


def test_all_servers_hang(wide_world: World) -> None:
    wide_world.fault({"fault": "hang"})
    response = wide_world.send(chat_body(model="hasty"))
    assert (response.status_code, openai_error(response)["code"]) == (504, "upstream_timeout")
    response = wide_world.send(chat_body(model="hasty"), path=MESSAGES)
    assert (response.status_code, anthropic_error(response)["type"]) == (504, "timeout_error")


@pytest.mark.parametrize("name", STEERING)
def test_control_headers_have_no_effect(wide_world: World, name: str) -> None:
    """A slow answer is still awaited, and a failing server is still skipped."""
    wide_world.fault({"delay_ms": 60}, "mock-b")
    wide_world.fault({"fault": "status", "status": 503, "delay_ms": 30}, "mock-a")
    response = wide_world.send(chat_body(model="a-first"), headers=BEARER | {name: STEERING[name]})
    assert (response.status_code, content(response)) == (200, "Hello from mock-b. You said: Hello")
    assert [server for server, _ in wide_world.entries()] == ["mock-a", "mock-b"]
    assert not any(_is_reserved(header) for _, entry in wide_world.entries() for header in entry["headers"])
    assert {header for header in response.headers if _is_reserved(header)} == {"x-sluice-cluster", "x-sluice-model", "x-sluice-attempts"}
    assert response.headers["x-sluice-attempts"] == "mock-a=server_error, mock-b=success"
    assert "stolen" not in wide_world.everything_shown()


def test_all_control_headers_at_once(world: World) -> None:
    world.fault({"delay_ms": 300})
    assert world.send(chat_body(), headers=BEARER | STEERING).status_code == 200


@pytest.mark.parametrize("status", [200, 400])
def test_no_header_triggers_a_retry(world: World, status: int) -> None:
    """Not even a server may set the header with which the filters request a retry."""
    world.fault({"fault": "status", "status": status, "headers": {"x-sluice-retry": "1"}})
    response = world.chat()
    assert (response.status_code, [server for server, _ in world.entries()]) == (status, [ANY])
    assert "x-sluice-retry" not in response.headers


def test_client_keys_do_not_leave_the_gateway(world: World) -> None:
    headers = {"x-api-key": demo.USER_KEY, "api-key": demo.USER_KEY, "x-goog-api-key": demo.ADMIN_KEY, **BEARER}
    for path in (CHAT, MESSAGES, "/api/chat", "/v1/responses", f"{GEMINI}?key={demo.USER_KEY}"):
        world.send(chat_body(), path=path, headers=headers)
        world.send(chat_body(model=demo.USER_KEY[:4] + "x"), path=path, headers={"x-api-key": "sk-stranger"})
    assert len(world.entries()) == 5
    assert not any(key in json.dumps(world.journals()) for key in (demo.USER_KEY, demo.ADMIN_KEY))
    assert not any(secret in world.everything_shown() for secret in (*SECRETS, "sk-stranger"))


def _is_reserved(header: str) -> bool:
    return header.startswith(("x-envoy-", "x-sluice-"))
