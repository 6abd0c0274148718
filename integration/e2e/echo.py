"""A model server that says again all that it was told, as text and as a tool's arguments, in the smallest pieces.

It keeps every byte it was sent.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Iterator, Mapping

from upstream import Upstream, send_chunk, send_end, send_head

# The texts of an answer stand apart by it.
BETWEEN = " | "


class Echo(Upstream):
    """A request's `seed` chooses the pieces: even ones get events of one character each, odd ones larger events
    that come byte by byte."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """All that was said, again."""
        self.bodies.append(body)
        request = json.loads(body)
        text, stream = said(request["messages"]), request.get("stream")
        await send_head(writer, {"content-type": "text/event-stream" if stream else "application/json"})
        for piece in _stream(text, request["seed"]) if stream else [_whole(text)]:
            await send_chunk(writer, piece)
        await send_end(writer)
        return True


def said(messages: list[dict[str, Any]]) -> str:
    """All texts of a conversation."""
    texts = []
    for message in messages:
        content = message["content"]
        texts += [content] if isinstance(content, str) else [part["text"] for part in content]
    return BETWEEN.join(texts)


def _whole(text: str) -> bytes:
    call = {"id": "call_1", "type": "function", "function": {"name": "echo", "arguments": json.dumps({"text": text})}}
    message = {"role": "assistant", "content": text, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()


def _stream(text: str, seed: int) -> Iterator[bytes]:
    size, bytewise = (1, False) if seed % 2 == 0 else (17, True)
    for event in _events(text, size):
        yield from (bytes([byte]) for byte in event) if bytewise else [event]


def _events(text: str, size: int) -> Iterator[bytes]:
    arguments = json.dumps({"text": text})
    yield from (_event({"content": piece}) for piece in _pieces(text, size))
    for piece in _pieces(arguments, size):
        yield _event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield _event({}, "tool_calls")
    yield b"data: " + json.dumps({"choices": [], "usage": _USAGE}).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def _pieces(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}, separators=(",", ":")).encode() + b"\n\n"


_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
