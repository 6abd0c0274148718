"""A model server that answers exactly as a test has written: status, headers, body, and how the connection ends.

The request's text names its answer, as `PLAY name.`, so no client header needs to reach the server.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Mapping

from upstream import Upstream

_NAME = re.compile(rb"PLAY ([\w -]+)\.")


@dataclass(frozen=True)
class Script:
    """An answer. `length` is the declared content length; without it the body is chunked. `pieces` are sent one by one, `pause`
    seconds apart. The connection may be reset at the end."""

    pieces: list[bytes]
    status: str = "200 OK"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    pause: float = 0.0
    first_pause: float = 0.0
    reset: bool = False

    @classmethod
    def json(cls, body: bytes, **fields: object) -> "Script":
        """One document with its content length."""
        fields = {"headers": {"content-type": "application/json"}, "length": len(body), **fields}
        return cls([body], **fields)  # type: ignore[arg-type]

    @classmethod
    def stream(cls, body: bytes, **fields: object) -> "Script":
        """Server-sent events, in one piece."""
        return cls([body], **{"headers": {"content-type": "text/event-stream"}, **fields})  # type: ignore[arg-type]


class Scripted(Upstream):
    """A server that plays scripts by name, and keeps the requests."""

    def __init__(self, scripts: Mapping[str, Script]):
        super().__init__()
        self._scripts = scripts
        self.asked: list[str] = []

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """The answer that the request names."""
        found = _NAME.search(body)
        name = found[1].decode() if found else ""
        self.asked.append(name)
        script = self._scripts[name]
        framing = {"transfer-encoding": "chunked"} if script.length is None else {"content-length": str(script.length)}
        lines = [f"HTTP/1.1 {script.status}"] + [f"{key}: {value}" for key, value in {**framing, **script.headers}.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()
        await asyncio.sleep(script.first_pause)
        for piece in script.pieces:
            if piece:
                writer.write(piece if script.length is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
            await asyncio.sleep(script.pause)
        if script.reset:
            await asyncio.sleep(0.05)  # let the written bytes arrive
            writer.transport.abort()
            return False
        if script.length is None:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True
