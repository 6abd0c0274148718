"""A model server that repeats everything it was sent, in each dialect: as text, and as a tool's name and arguments.

It keeps every received byte.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Iterator, Mapping

from dialects import Said, dialect_of
from upstream import Upstream, send_chunk, send_end, send_head

# Separates the texts of an answer.
BETWEEN = " | "
# Fields whose words are not repeated: enumerations, and names, because a call has only one.
QUIET = frozenset("model role type id object status name voice call_id tool_call_id tool_use_id".split())
_PLAIN = re.compile(r"[A-Za-z_$]+")


class Echo(Upstream):
    """A request's `seed` chooses the pieces of a stream. Even: events of one character each. Odd: larger events that
    arrive byte by byte. A test can also set the answer for a seed."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.told: dict[int, Said] = {}
        # The streams' content type, if it is not the right one; "": none.
        self.content_type: str | None = None

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """All texts of the request, repeated."""
        self.bodies.append(body)
        request = json.loads(body)
        seed = request.get("seed", len(body))  # a translated request may have none
        dialect = dialect_of(headers[":path"])
        said = self.told.get(seed) or echoed(request)
        if dialect.streams(headers[":path"], request):
            size, bytewise = (1, False) if seed % 2 == 0 else (17, True)
            is_array = "alt=sse" not in headers[":path"] and "{verb}" in dialect.path
            events = dialect.array(said, size) if is_array else dialect.stream(said, size)
            pieces = (bytes([byte]) for event in events for byte in event) if bytewise else events
            kind = "application/json" if is_array else dialect.content_type
            kind = kind if self.content_type is None else self.content_type
        else:
            pieces, kind = iter([json.dumps(dialect.whole(said)).encode()]), "application/json"
        await send_head(writer, {"content-type": kind} if kind else {})
        for piece in pieces:
            await send_chunk(writer, piece)
        await send_end(writer)
        return True


def echoed(request: Any) -> Said:
    """The answer to a request: its texts, the name of its tool, and its texts again as arguments."""
    texts = list(leaves(request))
    deep = json.dumps({"again": json.dumps({"said": texts[1::2]})}, ensure_ascii=False)
    return Said(BETWEEN.join(texts), _tool(request), json.dumps({"said": texts[::2], "deep": deep}))


def leaves(value: Any) -> Iterator[str]:
    """All texts of a request, including those in nested JSON, unusual field names, and long numbers."""
    if isinstance(value, dict):
        for name, each in value.items():
            if not _PLAIN.fullmatch(name):
                yield name
            if name not in QUIET:
                yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, str):
        inner = opened(value)
        yield from [value] if inner is value else leaves(inner)
    elif isinstance(value, int) and value > 10**11:
        yield str(value)


def opened(text: str) -> Any:
    """A text parsed as JSON; the text itself if it is not JSON."""
    try:
        inner = json.loads(text)
    except ValueError:
        return text
    return inner if isinstance(inner, (dict, list)) else text


def _tool(request: Any) -> str:
    """The name of the request's first tool."""
    for tool in request.get("tools", []):
        for each in (tool, tool.get("function", {}), *tool.get("functionDeclarations", [])):
            if "name" in each:
                return each["name"]
    return "echo"
