"""A model server for attacks on memory: it reads bodies without keeping them, and answers late or without an end.

It runs in a separate process, so that it does not slow down the test's threads. It prints its port.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from child import TARGET, Child

# Answers late; never ends an event; never ends a JSON answer with short strings.
KINDS = ("slow", "event", "json")
_SLICE = 256 << 10
_LATE = b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n"


class SlowServer:
    """Such a server, running."""

    def __init__(self, kind: str, seconds: float, directory: Path = TARGET / "work"):
        self.name = kind
        output = directory / f"slow-server-{kind}.port"
        output.unlink(missing_ok=True)
        command = [sys.executable, __file__, kind, str(seconds)]
        self._child = Child(f"slow-server-{kind}", command, directory / f"slow-server-{kind}.log", stdout=output)
        self._child.wait_until(lambda: output.exists() and output.read_text().endswith("\n"))
        self.address = ("127.0.0.1", int(output.read_text()))

    def __enter__(self) -> SlowServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()


async def _serve(kind: str, seconds: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            left = next(int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:"))
            while left:
                piece = await reader.read(min(left, _SLICE))
                if not piece:
                    return
                left -= len(piece)
            if kind == "slow":
                await asyncio.sleep(seconds)
            await _answer(kind, writer)
    except (OSError, EOFError):
        pass
    finally:
        writer.close()


async def _answer(kind: str, writer: asyncio.StreamWriter) -> None:
    if kind == "slow":
        writer.write((_HEAD % "application/json").encode() + _chunk(_LATE) + b"0\r\n\r\n")
        await writer.drain()
        return
    if kind == "event":
        begin = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: {"a":"'
        writer.write((_HEAD % "text/event-stream").encode() + _chunk(begin))
        await _pour(writer, b"x" * (64 << 10), (1 << 20) - (128 << 10))
    else:
        writer.write((_HEAD % "application/json").encode() + _chunk(b'{"choices":['))
        await _pour(writer, b'"ab","cd",' * 6554, (4 << 20) + (200 << 10))
    await asyncio.sleep(3600)  # until the client leaves


async def _pour(writer: asyncio.StreamWriter, piece: bytes, size: int) -> None:
    for _ in range(size // len(piece)):
        writer.write(_chunk(piece))
        await writer.drain()


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


async def _main(kind: str, seconds: float) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: _serve(kind, seconds, reader, writer), "127.0.0.1", 0, limit=1 << 20, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2])))
