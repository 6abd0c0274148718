"""A limit of one model ejects only that model at the cluster. A limit of the account ejects the cluster."""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Iterator

import httpx
import pytest

import demo
from conftest import OpenWorld
from resilience import add_upstream, target
from scripted import Script, Scripted
from settings import FIRST, Settings
from world import BEARER, World, chat_body, eventually

ADMIN = {"authorization": f"Bearer {demo.ADMIN_KEY}"}
ANSWER = json.dumps({"choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}).encode()


def _error(status: str, message: str, pause: int | None = None, **fields: Any) -> Script:
    body = json.dumps({"error": {"message": message, **fields}}).encode()
    wait = {} if pause is None else {"retry-after": str(pause)}
    return Script.json(body, status=status, headers={"content-type": "application/json", **wait})


DELAY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "60s"}
SCRIPTS = {
    "ok": Script.json(ANSWER),
    "model": _error("429 Too Many Requests", "Rate limit reached for large in organization o on tokens per min", 2),
    "google": _error("429 Too Many Requests", "Quota exceeded with base model: large", details=[DELAY]),
    "account": _error("429 Too Many Requests", "Too many requests", 60),
    "quota": _error("429 Too Many Requests", "You exceeded your current quota", code="insufficient_quota"),
    "unpaid": _error("402 Payment Required", "Insufficient credits"),
    "moderated": _error("403 Forbidden", "Input was flagged", metadata={"flagged_input": "x"}),
    "too large": _error("429 Too Many Requests", "Request too large for large in organization o", 60),
}


@pytest.fixture
def provider() -> Iterator[Scripted]:
    with Scripted(SCRIPTS) as server:
        yield server


@pytest.fixture
def limited(settings: Callable[[], Settings], open_world: OpenWorld, provider: Scripted) -> Iterator[World]:
    changed = settings()
    add_upstream(changed, "provider", "mock-a", provider.address)
    for name in ("large", "small"):
        targets = [{"upstream": "provider", "model": name, "weight": FIRST}, target("mock-b")]
        changed.models.append({"name": name, "targets": targets})
    with open_world(changed.text()) as world:
        yield world


def _ask(world: World, model: str, play: str) -> httpx.Response:
    return world.send(chat_body(f"PLAY {play}.", model=model), headers=BEARER)


def _cluster(world: World, model: str) -> str:
    return _ask(world, model, "ok").headers["x-sluice-cluster"]


def _state(world: World) -> dict[str, Any]:
    listed = world.http.get("/gateway/upstreams", headers=ADMIN).json()["data"]
    return next(each for each in listed if each["cluster"] == "provider")


def test_limit_of_one_model(limited: World) -> None:
    answer = _ask(limited, "large", "model")
    assert (answer.status_code, answer.headers["x-sluice-attempts"]) == (200, "provider=rate_limited, mock-b=success")
    assert [_cluster(limited, "large") for _ in range(3)] == ["mock-b"] * 3
    assert [_cluster(limited, "small") for _ in range(3)] == ["provider"] * 3
    state = _state(limited)
    [model] = state["models"]
    assert (state["state"], model["model"], model["state"], model["reason"]) == ("healthy", "large", "ejected", "retry_after")
    eventually(lambda: limited.counted("llm_ejected_models").get(("provider",)), 1)
    eventually(lambda: limited.counted("llm_model_ejections_total").get(("provider", "retry_after")), 1)
    time.sleep(max(0, model["until"] - time.time()) + 0.1)
    assert _cluster(limited, "large") == "provider", "it is probed"
    assert _state(limited)["models"] == []


def test_retry_delay_in_the_body_and_manual_restore(limited: World) -> None:
    _ask(limited, "large", "google")
    [model] = _state(limited)["models"]
    assert 50 < model["until"] - time.time() <= 60
    assert _cluster(limited, "large") == "mock-b"
    restored = limited.send(b"", path="/gateway/upstreams/provider/restore", headers=ADMIN).json()
    assert (restored["state"], restored["models"]) == ("healthy", [])
    assert _cluster(limited, "large") == "provider"


@pytest.mark.parametrize(("play", "reason"), [("account", "retry_after"), ("quota", "credential"), ("unpaid", "credential")])
def test_limits_that_eject_the_cluster(limited: World, play: str, reason: str) -> None:
    assert _ask(limited, "large", play).status_code == 200
    assert (_state(limited)["state"], _state(limited)["reason"], _state(limited)["models"]) == ("ejected", reason, [])
    assert [_cluster(limited, "large"), _cluster(limited, "small")] == ["mock-b", "mock-b"]


def test_limits_that_eject_nothing(limited: World, provider: Scripted) -> None:
    for _ in range(6):
        answer = _ask(limited, "large", "moderated")
        assert answer.status_code == 403 and "flagged" in answer.text, "the client's own error, and not retried"
    for _ in range(6):
        assert _ask(limited, "large", "too large").headers["x-sluice-cluster"] == "mock-b"
    assert len(provider.asked) == 12
    assert (_state(limited)["state"], _state(limited)["models"]) == ("healthy", [])
