"""Leaving early is not free: a client that leaves a stream pays for the text sent until then.

`SLUICE_EARLY_CALLS=1000` is the full form.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest

import clients
from conftest import OpenWorld
from limited import PRICE, WIDE, microusd, report
from settings import Settings
from table import Table
from upstream import Upstream, send_chunk, send_head
from world import World, eventually

CALLS = int(os.environ.get("SLUICE_EARLY_CALLS", "120"))
SIZES = (1, 4, 20)
KEY = {"authorization": "Bearer sk-early"}
TEXT = """It was quite late when both of them came back to their house beside the lake. The rain had not stopped since morning, so the
path was deep in mud, and the tall grass along it was bent right to the ground. She placed the lamp upon the table, shook out her
coat, and said that she would make some tea before they spoke of it again. He did not answer her at once. There was a letter on
the floor by the door, and he had seen at first glance from whom it came. For years there had been no word from the
north, not a single line, and now here it was, in the same thin blue hand that he would have known among a thousand others.""".replace("\n", " ")
# Prose as the mock counts it: a word with the space before it is a token, and so is each mark. Code, data and other languages as
# OpenAI's `o200k_base` splits them.
TEXTS: dict[str, list[str]] = {
    "prose": re.findall(r"\s?[^\W_]+|[^\w\s]|\s", TEXT),
    **json.loads((Path(__file__).parents[2] / "tests/core/usage/tokenized.json").read_text()),
}
# A single bill may be this many tokens above 150 %: that matters for the first few tokens alone.
FEW = 2
MARK = b": sent\n\n"


def _chat(text: str) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def _message(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def _response(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": text}


def _content(text: str) -> dict[str, Any]:
    return {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}]}


# The path, the request besides the model, and an event with text.
DIALECTS: dict[str, tuple[str, dict[str, Any], Callable[[str], dict[str, Any]]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Tell me."}], "stream": True}, _chat),
    "messages": ("/v1/messages", {"messages": [{"role": "user", "content": "Tell me."}], "stream": True, "max_tokens": 999}, _message),
    "responses": ("/v1/responses", {"input": "Tell me.", "stream": True}, _response),
    "gemini": ("/v1beta/models/{}:streamGenerateContent?alt=sse", {"contents": [{"role": "user", "parts": [{"text": "Tell me."}]}]}, _content),
}


@dataclass(frozen=True)
class Point:
    """Where a client leaves: the text, the tokens in each chunk, and the number of chunks read."""

    kind: str
    dialect: str
    size: int
    chunks: int

    @property
    def model(self) -> str:
        """The request's text, which tells the server how much to send."""
        return f"early-{self.kind}-{self.dialect}-{self.size}-{self.chunks}"

    @property
    def sent(self) -> int:
        """The tokens that the client was sent."""
        return self.size * self.chunks


def _points() -> list[Point]:
    """All points of a stream are equally likely, for each chunk size."""
    points = []
    for number in range(CALLS):
        dialect, size, kind = list(DIALECTS)[number % 4], SIZES[number % 3], list(TEXTS)[number // 12 % len(TEXTS)]
        most = len(TEXTS[kind]) // size
        points.append(Point(kind, dialect, size, 1 + number * 7919 % most))
    return points


class Talker(Upstream):
    """Sends this many chunks with this many tokens, and then nothing."""

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """The model's name chooses the text."""
        name = headers["x-model"]
        _, kind, dialect, size, chunks = name.split("-")
        await send_head(writer, {"content-type": "text/event-stream"})
        for number in range(int(chunks)):
            text = "".join(TEXTS[kind][number * int(size) : (number + 1) * int(size)])
            event = json.dumps(DIALECTS[dialect][2](text), ensure_ascii=number % 2 == 0)
            await send_chunk(writer, b"data: %b\n\n" % event.encode())
        await send_chunk(writer, MARK)
        while True:  # until the client has left
            await asyncio.sleep(0.1)
            await send_chunk(writer, b": and no more\n\n")


@pytest.fixture(scope="module")
def early_world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    """A server for all dialects, and a key whose usage is counted."""
    changed = settings()
    digest = hashlib.sha256(b"sk-early").hexdigest()
    changed.values("auth")["keys"].append({"id": "early", "hash": f"sha256:{digest}", "limits": WIDE})
    with Talker() as talker:
        changed.add_cluster("talker", talker.address)
        changed.upstreams["talker"] = {"dialects": ["openai", "anthropic", "gemini"], "forward_headers": ["x-model"]}
        changed.models.append({"name": "early-*", "price": PRICE, "targets": [{"upstream": "talker"}]})
        with open_world(changed.text()) as world:
            yield world


async def _visit(client: clients.Client, point: Point) -> None:
    path, fields, _ = DIALECTS[point.dialect]
    body = json.dumps({"model": point.model, **fields} if point.dialect != "gemini" else fields).encode()
    await client.send(body, path=path.format(point.model), headers={**KEY, "x-model": point.model, "anthropic-version": "2023-06-01"})
    seen = b""
    async for piece in client.receive(clients.Answer()):
        seen += piece
        if MARK in seen:
            break
    assert MARK in seen, (point, seen)
    client.leave()


def test_clients_pay_for_sent_text(early_world: World, request: pytest.FixtureRequest) -> None:
    """The bill is 100 % to 150 % of the sent tokens for each kind of text and chunk size. No client pays less than it was sent,
    and none more than 150 % and two tokens. Record, limits, totals and stats agree."""
    world, points = early_world, _points()
    clients.each(world.gateway.port, 20, (lambda client, point=point: _visit(client, point) for point in points))
    world.settle()

    def records() -> list[dict[str, Any]]:
        return [record for line in world.logged() if (record := line.get("sluice", {})).get("key") == "early" and "source" in record]

    eventually(lambda: len(records()), len(points), seconds=10)
    found = records()
    by_model: dict[str, list[int]] = {}
    for record in found:
        assert record["source"] == "partial", record
        by_model.setdefault(record.get("requested_model", record["model"]), []).append(record["output_tokens"])
    table = Table(f"{len(points)} clients that leave a stream", ["calls", "sent", "billed", "share", "least", "most"])
    off = []
    for kind, size in itertools.product(TEXTS, SIZES):
        own = {point.model: point for point in points if (point.kind, point.size) == (kind, size)}
        bills = [(own[name], billed) for name, bills in by_model.items() if name in own for billed in bills]
        if not bills:
            continue
        sent, billed = sum(point.sent for point, _ in bills), sum(billed for _, billed in bills)
        shares = [billed / point.sent for point, billed in bills]
        cells = [len(bills), sent, billed, f"{billed / sent:.0%}", f"{min(shares):.0%}", f"{max(shares):.0%}"]
        for column, cell in zip(table.columns, cells, strict=True):
            table.put(f"{kind}, {size} a chunk", column, cell)
        off += [(kind, size, sent, billed)] if not sent <= billed <= 1.5 * sent else []
        off += [(point, billed) for point, billed in bills if not point.sent <= billed <= 1.5 * point.sent + FEW]
    table.show(request.config)
    assert not off

    tokens = [(record["input_tokens"], record["output_tokens"]) for record in found]
    assert sum(record["cost_microusd"] for record in found) == microusd(tokens)
    mine = report(world, KEY)
    assert mine["tokens_per_day"]["used"] == sum(map(sum, tokens))
    assert round(mine["cost_per_day"]["used"] * 1e6) == microusd(tokens)
    counted = sum(value for labels, value in world.series("llm_tokens_total") if (labels["key"], labels["type"]) == ("early", "output"))
    assert counted == sum(output for _, output in tokens)
