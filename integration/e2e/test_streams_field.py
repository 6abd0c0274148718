"""Streams of many kinds of servers: a good one passes unchanged with one attempt, a bad one is retried elsewhere."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import httpx
import pytest

import demo
from child import ROOT
from conftest import OpenWorld
from resilience import NEVER_EJECTED_ALONE, add_upstream, target
from scripted import Script, Scripted
from settings import FIRST, Settings
from world import BEARER, World

STREAMS: list[dict[str, Any]] = json.loads((ROOT / "tests" / "corpus" / "streams.json").read_text())


def _script(stream: dict[str, Any]) -> Script:
    kind = stream["content_type"]
    body = stream["body"].encode()
    middle = len(body) // 2
    return Script([body[:middle], body[middle:]], headers={"content-type": kind} if kind else {})


@pytest.fixture(scope="module")
def field() -> Iterator[Scripted]:
    with Scripted({f"s{number}": _script(stream) for number, stream in enumerate(STREAMS)}) as server:
        yield server


@pytest.fixture(scope="module")
def field_world(settings: Callable[[], Settings], open_world: OpenWorld, field: Scripted) -> Iterator[World]:
    changed = settings()
    add_upstream(changed, "field", "mock-a", field.address, ejection=NEVER_EJECTED_ALONE)
    changed.models.append({"name": "gemini-2.5-flash", "targets": [target("field", "mock-a", weight=FIRST), target("mock-b")]})
    with open_world(changed.text()) as world:
        yield world


def _request(path: str, text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    common: dict[str, Any] = {"model": "gemini-2.5-flash", "stream": True}
    if "streamGenerateContent" in path:
        return {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    if path in ("/v1/completions", "/api/generate"):
        options = {"stream_options": {"include_usage": True}} if path == "/v1/completions" else {}
        return {**common, "prompt": text, **options}
    if path == "/v1/responses":
        return {**common, "input": text}
    if path == "/v1/messages":
        return {**common, "messages": messages, "max_tokens": 100}
    return {**common, "messages": messages, **({} if path == "/api/chat" else {"stream_options": {"include_usage": True}})}


def _ask(world: World, number: int, path: str) -> httpx.Response:
    body = json.dumps(_request(path, f"PLAY s{number}.")).encode()
    return world.send(body, path=path, headers={**BEARER, "anthropic-version": "2023-06-01"})


def _is_error(event: str) -> bool:
    """Whether a stream's last event is an error, in any dialect."""
    lines = [line.removeprefix("data:") for line in event.splitlines() if line.startswith(("data:", "{"))]
    try:
        document = json.loads("".join(lines) or "null")
    except ValueError:
        return False
    kinds = ("error", "response.failed")
    failed = isinstance(document, dict) and (document.get("error") or document.get("type") in kinds)
    return bool(failed or isinstance(document, dict) and document.get("object") == "error")


def test_broken_streams(settings: Callable[[], Settings], open_world: OpenWorld, field: Scripted) -> None:
    """No retry after the first event: the stream ends with an error event, or the connection breaks."""
    changed = settings()
    add_upstream(changed, "field", "mock-a", field.address, ejection=NEVER_EJECTED_ALONE, strict_end=True)
    changed.models.append({"name": "gemini-2.5-flash", "targets": [target("field", "mock-a", weight=FIRST), target("mock-b")]})
    wrong, tried = [], 0
    with open_world(changed.text()) as world:
        for number, stream in enumerate(STREAMS):
            if stream["want"] != "failed":
                continue
            before, tried = len(field.asked), tried + 1
            try:
                response = _ask(world, number, stream["path"])
            except httpx.RemoteProtocolError:
                continue
            text = response.text.strip()
            separator = "\n" if stream["path"].startswith("/api/") else "\n\n"
            last = [event for event in text.replace("\r", "").split(separator) if event != "data: [DONE]"][-1]
            if not _is_error(last) or response.status_code != 200 or len(field.asked) != before + 1:
                wrong.append((stream["server"], response.status_code, last[-200:]))
    assert tried >= 15 and not wrong, "\n".join(map(str, wrong))


def test_streams(field_world: World, field: Scripted) -> None:
    wrong = []
    assert sum(stream["want"] == "whole" for stream in STREAMS) >= 60
    for number, stream in enumerate(STREAMS):
        if stream["want"] == "failed":
            continue
        path = stream["path"]
        before = len(field.asked)
        response = _ask(field_world, number, path)
        attempts = response.headers.get("x-sluice-attempts", "")
        if stream["want"] == "whole":
            right = response.content == stream["body"].encode() and not attempts
        else:
            right = attempts.startswith("field=") and attempts.endswith("mock-b=success")
        if not right or response.status_code != 200 or len(field.asked) != before + 1:
            wrong.append((stream["server"], response.status_code, attempts, response.content[-200:]))
    assert not wrong, "\n".join(map(str, wrong))
    upstreams = field_world.http.get("/gateway/upstreams", headers={"authorization": f"Bearer {demo.ADMIN_KEY}"}).json()["data"]
    [state] = [each for each in upstreams if each["cluster"] == "field"]
    assert {each["state"] for each in [state, *state["models"]]} == {"healthy"}
