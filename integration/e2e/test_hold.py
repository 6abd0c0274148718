"""`hold: {max: ...}`: an answer that starts and then stalls is released, and can no longer be retried."""

from __future__ import annotations

import json
import time
from typing import Callable, Iterator

import httpx
import pytest

from conftest import OpenWorld
from resilience import NEVER_EJECTED_ALONE, add_upstream, target
from scripted import Script, Scripted
from settings import FIRST, Settings
from world import BEARER, CHAT, World, chat_body, eventually

HOLD, SLOW = 0.5, 2.5
CHUNK = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
END = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
COMMENT = b": keep-alive\n\n"
ERROR = b'data: {"error":{"message":"Overloaded","code":503}}\n\n'
ANSWER = json.dumps({"choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}).encode()
SSE = {"content-type": "text/event-stream"}
SCRIPTS = {
    "comments": Script([COMMENT, COMMENT, COMMENT, COMMENT, CHUNK, END], headers=SSE, pause=0.6),
    "headers": Script([CHUNK, END], headers=SSE, first_pause=SLOW),
    "quick": Script([ERROR], headers=SSE),
    "error late": Script([COMMENT, COMMENT, COMMENT, COMMENT, ERROR], headers=SSE, pause=0.6),
    "ends early": Script([COMMENT, COMMENT, COMMENT, COMMENT, CHUNK], headers=SSE, pause=0.6),
    "ends in silence": Script([COMMENT, COMMENT, COMMENT, COMMENT], headers=SSE, pause=0.6),
    "reset": Script([COMMENT, COMMENT, COMMENT, COMMENT, CHUNK], headers=SSE, pause=0.6, reset=True),
    "json": Script.json(ANSWER, first_pause=SLOW),
    "half json": Script([ANSWER[:20], ANSWER[20:]], headers={"content-type": "application/json"}, length=len(ANSWER), pause=SLOW),
    "no json": Script.json(b"<html>", first_pause=SLOW),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with Scripted(SCRIPTS) as server:
        yield server


@pytest.fixture(scope="module")
def holding(settings: Callable[[], Settings], open_world: OpenWorld, server: Scripted) -> Iterator[World]:
    changed = settings()
    changed.values("router")["hold"] = {"max": f"{HOLD}s"}
    ejection = {**NEVER_EJECTED_ALONE}
    add_upstream(changed, "slow", "mock-a", server.address, ejection=ejection, strict_end=True)
    changed.models.append({"name": "slow", "targets": [target("slow", "mock-a", weight=FIRST), target("mock-b")]})
    silent = [target("mock-a", weight=FIRST), target("mock-b")]
    changed.models.append({"name": "silent", "targets": silent, "retry": {"per_try_timeout": f"{SLOW / 2}s"}})
    with open_world(changed.text()) as world:
        yield world


def _begin(world: World, play: str, stream: bool) -> tuple[float, httpx.Response, bytes, bool]:
    """When the headers arrived, the answer, its bytes, and whether it ended properly."""
    body = chat_body(f"PLAY {play}.", model="slow", stream=stream)
    received, whole = b"", True
    with httpx.Client(base_url=world.url, timeout=20) as client:
        began = time.monotonic()
        with client.stream("POST", CHAT, content=body, headers={**BEARER, "content-type": "application/json"}) as answer:
            headers = time.monotonic() - began
            try:
                for piece in answer.iter_raw():
                    received += piece
            except httpx.RemoteProtocolError:
                whole = False
    return headers, answer, received, whole


@pytest.mark.parametrize("play", ["comments", "headers"])
def test_stream_is_released(holding: World, play: str) -> None:
    headers, answer, received, whole = _begin(holding, play, True)
    assert HOLD - 0.1 < headers < SLOW - 0.3, "before its first event"
    assert (answer.status_code, whole) == (200, True)
    assert answer.headers["x-sluice-cluster"] == "slow"
    want = COMMENT * 4 if play == "comments" else b""
    # the gateway requests usage, and none came
    assert received == want + CHUNK + END


def test_error_before_release_is_retried(holding: World) -> None:
    _, answer, _, _ = _begin(holding, "quick", True)
    assert answer.headers["x-sluice-attempts"] == "slow=bad_stream, mock-b=success"


def test_error_after_release_reaches_the_client(holding: World, server: Scripted) -> None:
    asked = len(server.asked)
    _, answer, received, _ = _begin(holding, "error late", True)
    assert (answer.status_code, len(server.asked)) == (200, asked + 1)
    assert received.startswith(COMMENT * 4 + ERROR)


@pytest.mark.parametrize("play", ["ends early", "ends in silence"])
def test_stream_ends_early(holding: World, play: str) -> None:
    _, answer, received, whole = _begin(holding, play, True)
    assert whole and b"upstream_stream_interrupted" in received.rpartition(b"data: ")[2], received
    assert answer.headers["x-sluice-cluster"] == "slow"
    eventually(lambda: holding.counted("llm_attempts_total").get(("slow", "interrupted"), 0) > 0, True)


def test_stream_breaks(holding: World) -> None:
    _, answer, received, whole = _begin(holding, "reset", True)
    assert not whole and received == COMMENT * 4 + CHUNK


@pytest.mark.parametrize("play", ["json", "half json"])
def test_slow_json(holding: World, play: str) -> None:
    headers, answer, received, whole = _begin(holding, play, False)
    assert HOLD - 0.1 < headers < SLOW - 0.3
    assert whole and received == ANSWER and answer.headers["content-length"] == str(len(ANSWER))


def test_slow_invalid_json(holding: World) -> None:
    """It reaches the client, and counts as the upstream's failure."""
    _, answer, received, _ = _begin(holding, "no json", False)
    assert (answer.status_code, received) == (200, b"<html>")
    eventually(lambda: holding.counted("llm_attempts_total").get(("slow", "bad_response")), 1)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_silent_upstream(holding: World, stream: bool) -> None:
    """It sends no headers, so there is nothing to release: the timeout of each attempt ends it, and another target answers."""
    holding.fault({"fault": "hang"}, "mock-a")
    began = time.monotonic()
    answer = holding.chat(model="silent", stream=stream)
    assert (answer.status_code, answer.headers["x-sluice-attempts"]) == (200, "mock-a=timeout, mock-b=success")
    assert SLOW / 2 - 0.1 < time.monotonic() - began < SLOW
    holding.heal()


def test_off_by_default(settings: Callable[[], Settings], open_world: OpenWorld, server: Scripted) -> None:
    changed = settings()
    add_upstream(changed, "slow", "mock-a", server.address)
    changed.models.append({"name": "slow", "targets": [target("slow", "mock-a", weight=FIRST), target("mock-b")]})
    with open_world(changed.text()) as world:
        headers, _, received, _ = _begin(world, "headers", True)
        assert headers > SLOW - 0.1 and received == CHUNK + END
