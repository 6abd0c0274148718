"""An upstream that answers with exactly the given bytes. (The mock generates its answers.)

The request's header `x-answer` names the answer (`NAME`, or `NAME/PIECE` for pieces of that many bytes), so many requests can be
answered at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Callable, Iterable, Mapping

from upstream import Upstream, send_chunk, send_end, send_head


@dataclass(frozen=True)
class Played:
    """An answer: its content type, its bytes (or a function that makes them), whether the connection breaks before its end,
    further headers, bytes after its end, and the delay of those in seconds."""

    content_type: str
    body: bytes | Callable[[], Iterable[bytes]]
    reset: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    trailers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0


class Player(Upstream):
    """A server that plays answers by name."""

    def __init__(self, answers: Mapping[str, Played]):
        super().__init__()
        self._answers = answers

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """The answer that the request names."""
        name, _, size = headers["x-answer"].partition("/")
        played = self._answers[name]
        await send_head(writer, {"content-type": played.content_type, **played.headers})
        for piece in _pieces(played.body, int(size or 0)):
            await send_chunk(writer, piece)
        if played.reset:
            await asyncio.sleep(0.05)  # let the written bytes arrive
            writer.transport.abort()
            return False
        await asyncio.sleep(played.pause)
        await send_end(writer, played.trailers)
        return True


def _pieces(body: bytes | Callable[[], Iterable[bytes]], size: int) -> Iterable[bytes]:
    if not isinstance(body, bytes):
        return body()
    size = size or len(body)
    return (body[start : start + size] for start in range(0, len(body), size))
