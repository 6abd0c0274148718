"""A model server for one test: HTTP/1.1 in a thread; the test controls every byte of its answers."""

from __future__ import annotations

import asyncio
import socket
import threading
from abc import ABC, abstractmethod
from typing import Mapping


class Upstream(ABC):
    """A server whose subclass writes the answers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)

    @property
    def address(self) -> tuple[str, int]:
        """As an address for a cluster."""
        return self._socket.getsockname()

    @abstractmethod
    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answers one request. The names in `headers` are in lower case, and `:method` and `:path` are among them. Returns
        False to close the connection."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        headers[":method"], headers[":path"] = head[0].split(" ")[:2]
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return await self.answer(headers, body, writer)

    def __enter__(self) -> "Upstream":
        ready = threading.Event()

        async def run() -> None:
            await asyncio.start_server(self._serve, sock=self._socket)
            ready.set()

        def work() -> None:
            self._loop.run_until_complete(run())
            self._loop.run_forever()
            for task in asyncio.all_tasks(self._loop):  # open connections
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._socket.close()


async def send_head(writer: asyncio.StreamWriter, headers: Mapping[str, str], status: str = "200 OK") -> None:
    """The response headers of a chunked answer."""
    headers = {"transfer-encoding": "chunked", **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode())


async def send_chunk(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """A piece of the body, sent separately if the system allows it."""
    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    await writer.drain()
    await asyncio.sleep(0)


async def send_end(writer: asyncio.StreamWriter, trailers: Mapping[str, str] = {}) -> None:
    """The end of the body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
    writer.write(f"0\r\n{lines}\r\n".encode())
    await writer.drain()
