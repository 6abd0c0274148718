"""An upstream that answers with exactly the bytes it is told to: the mock makes up its answers.

A request names its answer in the header `x-answer` (`NAME`, or `NAME/PIECE` for pieces of so many bytes), so that any
number of requests can be answered at once.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import dataclass, field
from typing import Callable, Iterable, Mapping


@dataclass(frozen=True)
class Played:
    """An answer: its type, its bytes (or what makes them), whether the connection breaks in place of its end, and what
    else its head says."""

    content_type: str
    body: bytes | Callable[[], Iterable[bytes]]
    reset: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


class Player:
    """A server that plays answers by their names."""

    def __init__(self, answers: Mapping[str, Played]):
        self._answers = answers
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)

    @property
    def address(self) -> tuple[str, int]:
        """For a cluster."""
        return self._socket.getsockname()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when there is to be none after it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        await reader.readexactly(int(headers.get("content-length", 0)))
        name, _, size = headers["x-answer"].partition("/")
        played = self._answers[name]
        headers = {"content-type": played.content_type, "transfer-encoding": "chunked", **played.headers}
        lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        for piece in _pieces(played.body, int(size or 0)):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0)
        if played.reset:
            await asyncio.sleep(0.05)  # what was written is to arrive
            writer.transport.abort()
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def __enter__(self) -> Player:
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


def _pieces(body: bytes | Callable[[], Iterable[bytes]], size: int) -> Iterable[bytes]:
    if not isinstance(body, bytes):
        return body()
    size = size or len(body)
    return (body[start : start + size] for start in range(0, len(body), size))
