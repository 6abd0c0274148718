"""Streams as servers of many makers send them: a good one passes as it is and costs one call, a bad one is asked for elsewhere."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import pytest

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


def test_streams(field_world: World, field: Scripted) -> None:
    wrong = []
    for number, stream in enumerate(STREAMS):
        if stream["want"] == "failed":
            continue
        path = stream["path"]
        before = len(field.asked)
        body = json.dumps(_request(path, f"PLAY s{number}.")).encode()
        response = field_world.send(body, path=path, headers={**BEARER, "anthropic-version": "2023-06-01"})
        attempts = response.headers.get("x-sluice-attempts", "")
        if stream["want"] == "whole":
            right = response.content == stream["body"].encode() and not attempts
        else:
            right = attempts.startswith("field=") and attempts.endswith("mock-b=success")
        if not right or response.status_code != 200 or len(field.asked) != before + 1:
            wrong.append((stream["server"], response.status_code, attempts, response.content[-200:]))
    assert not wrong, "\n".join(map(str, wrong))
