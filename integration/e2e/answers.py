"""Reads the gateway's answers, and the usage that a server has reported."""

from __future__ import annotations

import json
from typing import Any, Mapping

import httpx

# Each dialect's names of input and output.
_USAGE_NAMES = (
    ("prompt_tokens", "completion_tokens"),
    ("input_tokens", "output_tokens"),
    ("prompt_eval_count", "eval_count"),
    ("promptTokenCount", "candidatesTokenCount"),
)


def events(stream: bytes) -> list[Any]:
    """The events of an SSE stream, parsed except for `[DONE]`."""
    data = [event.rpartition(b"data: ")[2] for event in stream.split(b"\n\n") if event]
    return [json.loads(text) if text != b"[DONE]" else "[DONE]" for text in data]


def content(response: httpx.Response) -> str:
    """The text of a chat answer, streamed or not."""
    if response.headers["content-type"] == "application/json":
        return response.json()["choices"][0]["message"]["content"]
    chunks = [chunk for chunk in events(response.content) if chunk != "[DONE]"]
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


def tokens(usage: Mapping[str, Any] | None) -> tuple[int, int]:
    """Input and output tokens of a journal entry, in any dialect."""
    names = next((names for names in _USAGE_NAMES if usage and names[0] in usage), None)
    return (usage[names[0]], usage.get(names[1], 0)) if names else (0, 0)


def openai_error(response: httpx.Response) -> dict[str, Any]:
    """The error, which must be the whole answer."""
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error"}
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"] and error["type"]
    return error


def google_error(response: httpx.Response) -> dict[str, Any]:
    """The error in Google's shape."""
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error"}
    error = response.json()["error"]
    assert error.keys() >= {"code", "message", "status"} and error["code"] == response.status_code
    return error


def anthropic_error(response: httpx.Response) -> dict[str, Any]:
    """The error in Anthropic's shape."""
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"type", "error"}
    assert response.json()["type"] == "error"
    error = response.json()["error"]
    assert error.keys() == {"type", "message"} and error["message"]
    return error
