"""Many concurrent clients on asyncio, because httpx needs more CPU time for a call than the gateway.

Each client keeps one connection, sends one request at a time, and records how much of the answer arrived.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, Awaitable, Callable, Iterable, Mapping

import answers
from world import BEARER, CHAT

PATIENCE = 180.0
# The size of asyncio's buffer, so that a body of 1 MiB is read in few pieces.
_LIMIT = 1 << 20


@dataclass
class Answer:
    """An answer, with httpx's names; status 0: no response headers arrived."""

    status_code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    # Whether the body is complete, by its framing.
    complete: bool = False
    seconds: float = 0.0

    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.content)

    @property
    def is_stream(self) -> bool:
        """Whether it is an SSE stream."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    def text(self) -> str | None:
        """The text of a complete chat answer; otherwise None."""
        if self.status_code != 200 or not self.complete:
            return None
        if self.is_stream and (not self.content.endswith(b"data: [DONE]\n\n") or b'data: {"error"' in self.content):
            return None
        try:
            return answers.content(self)
        except (LookupError, ValueError):
            return None

    def usage(self) -> dict[str, int]:
        """The reported usage."""
        if not self.is_stream:
            return self.json()["usage"]
        return next(event["usage"] for event in reversed(answers.events(self.content)[:-1]) if event.get("usage"))

    def attempts(self) -> list[tuple[str, str]]:
        """The clusters that were tried, and the outcomes."""
        listed = self.headers.get("x-sluice-attempts")
        if listed is None:  # at most one, which succeeded
            return [(self.headers["x-sluice-cluster"], "success")] if "x-sluice-cluster" in self.headers else []
        return [(cluster, outcome) for cluster, _, outcome in (each.partition("=") for each in listed.split(", "))]


class Client:
    """One client and its connection, which is opened again if it has ended."""

    def __init__(self, port: int):
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, body: bytes, **how: Any) -> Answer:
        """Sends one request, and returns everything that comes back within the client's timeout."""
        answer = Answer()
        start = time.monotonic()
        try:
            await asyncio.wait_for(self._converse(answer, body, **how), PATIENCE)
        except (OSError, EOFError, asyncio.TimeoutError):
            self.leave()
        answer.seconds = time.monotonic() - start
        return answer

    async def _converse(self, answer: Answer, body: bytes, **how: Any) -> None:
        await self.send(body, **how)
        await self._take(answer)

    async def _take(self, answer: Answer) -> None:
        """Reads the answer to its end."""
        async for piece in self.receive(answer):
            answer.content += piece
        answer.complete = True
        if answer.headers.get("connection") == "close":
            self.leave()

    async def send(
        self, body: bytes, *, path: str = CHAT, headers: Mapping[str, str] = BEARER, share: float = 1.0
    ) -> None:
        """Sends a request, or the first `share` of its body."""
        if self._writer is None or self._writer.is_closing() or self._reader.at_eof():
            self.leave()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_LIMIT)
        lines = [f"POST {path} HTTP/1.1", "host: gateway", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in {"content-type": "application/json", **headers}.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body[: int(share * len(body))])
        await self._writer.drain()

    async def ask_rest(self, body: bytes, *, share: float) -> Answer:
        """Sends the rest of the body after its first `share`, and reads the answer."""
        self._writer.write(body[int(share * len(body)) :])
        await self._writer.drain()
        answer = Answer()
        await self._take(answer)
        return answer

    async def receive(self, answer: Answer) -> AsyncIterator[bytes]:
        """Reads the headers, then yields the body in pieces; raises EOFError or OSError if it is cut."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        answer.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        answer.status_code = int(head[0].split(" ")[1])
        if answer.headers.get("transfer-encoding") == "chunked":
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                yield (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readexactly(2)
        elif length := int(answer.headers.get("content-length", 0)):
            yield await self._reader.readexactly(length)

    def leave(self) -> None:
        """Closes the connection without reading the rest."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


def each(port: int, at_once: int, visits: Iterable[Callable[[Client], Awaitable[Any]]]) -> list[Any]:
    """The results of the visits, in order; `at_once` clients make them."""

    async def visit_all() -> list[Any]:
        waiting = enumerate(visits)
        results: dict[int, Any] = {}

        async def one() -> None:
            client = Client(port)
            for number, visit in waiting:
                results[number] = await visit(client)
            client.leave()

        await asyncio.gather(*(one() for _ in range(at_once)))
        return [results[number] for number in sorted(results)]

    return asyncio.run(visit_all())


def ask(port: int, bodies: Iterable[bytes], at_once: int, **how: Any) -> list[Answer]:
    """The answers to these requests, in their order."""
    return each(port, at_once, (lambda client, body=body: client.ask(body, **how) for body in bodies))
