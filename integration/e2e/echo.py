"""A model server that says again all that it was told, as text and as a tool's arguments, in the smallest pieces.

It keeps every byte it was sent.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from typing import Any, Iterator

# The texts of an answer stand apart by it.
BETWEEN = " | "


class Echo:
    """A request's `seed` chooses the pieces: even ones get events of one character each, odd ones larger events
    that come byte by byte."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)

    @property
    def address(self) -> tuple[str, int]:
        """For a cluster."""
        return self._socket.getsockname()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                await self._answer(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        body = await reader.readexactly(int(headers["content-length"]))
        self.bodies.append(body)
        request = json.loads(body)
        text = said(request["messages"])
        kind = "text/event-stream" if request.get("stream") else "application/json"
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        for piece in _stream(text, request["seed"]) if request.get("stream") else [_whole(text)]:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def __enter__(self) -> Echo:
        ready = threading.Event()

        async def run() -> None:
            await asyncio.start_server(self._serve, sock=self._socket)
            ready.set()

        def work() -> None:
            self._loop.run_until_complete(run())
            self._loop.run_forever()

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._socket.close()


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
