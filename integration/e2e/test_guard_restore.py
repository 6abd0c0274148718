"""One placeholder for each value: the rest of a request is unchanged, byte for byte."""

from __future__ import annotations

import asyncio
import json
from typing import Callable, Iterator, Mapping

import pytest

import answers
from conftest import OpenWorld
from echo import Echo
from guarded import guarded
from personal import CHECK
from settings import Settings
from upstream import Upstream, send_chunk, send_end, send_head
from world import BEARER, World


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    with Echo() as echo:
        yield echo  # type: ignore[misc]


@pytest.fixture(scope="module")
def _world(settings: Callable[[], Settings], open_world: OpenWorld, echo: Echo) -> Iterator[World]:
    changed = settings()
    changed.add_cluster("echo", echo.address)
    changed.upstreams["echo"] = {"dialects": ["openai"]}
    changed.add_model("echo", "echo")
    guarded(changed, [{**CHECK, "phase": ["request"], "action": "restore"}])
    with open_world(changed.text()) as world:
        yield world


class Ranker(Upstream):
    """Ranks documents, and repeats them, as Cohere's and Jina's servers do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = b""

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """The documents in their order."""
        self.body = body
        texts = [each if isinstance(each, str) else each["text"] for each in json.loads(body)["documents"]]
        results = [{"index": index, "relevance_score": 0.5, "document": {"text": text}} for index, text in enumerate(texts)]
        await send_head(writer, {"content-type": "application/json"})
        await send_chunk(writer, json.dumps({"results": results, "usage": {"total_tokens": 9}}).encode())
        await send_end(writer)
        return True


@pytest.mark.parametrize("action", ["restore", "mask"])
@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_documents_come_back(settings: Callable[[], Settings], open_world: OpenWorld, action: str, path: str) -> None:
    """What was ranked comes back with its values; what only the server knows is masked."""
    with Ranker() as ranker:
        changed = settings()
        changed.add_cluster("ranker", ranker.address)
        changed.upstreams["ranker"] = {"dialects": ["openai"]}
        changed.models.append({"name": "ranker", "targets": [{"upstream": "ranker"}]})
        guarded(changed, [{**CHECK, "phase": ["request"] if action == "restore" else ["response"], "action": action}])
        with open_world(changed.text()) as world:
            documents = ["Write to ann@example.com", {"text": '{"ssn": "123-45-6789"}'}]
            answer = world.send(json.dumps({"model": "ranker", "query": "bob@example.com", "documents": documents}).encode(), path=path)
            shown = [result["document"]["text"] for result in answer.json()["results"]]
            if action == "restore":
                assert not [value for value in (b"ann@", b"bob@", b"6789") if value in ranker.body]
                assert shown == ["Write to ann@example.com", '{"ssn": "123-45-6789"}']
            else:
                assert shown == ["Write to <EMAIL_ADDRESS>", '{"ssn": "<US_SSN>"}']


def test_placeholders_stay_the_same(_world: World, echo: Echo) -> None:
    """One number for each value in the whole conversation; the rest of the request is unchanged, byte for byte."""
    echo.bodies.clear()
    template = (
        b'{ "model" :"echo","seed":0,"messages": [ {"role":"system","content":"\\u00e9 \\/"},'
        b'{"role":"system","content":"%b"},{"role":"user",'
        b'"content":"%b and %b, \\"%b\\""} ],  "temperature": 0.10 }'
    )
    ann, bob = b"ann@example.com", b"bob@example.com"
    answer = _world.send(template % (ann, bob, ann, bob), headers=BEARER)
    one, two = b"<EMAIL_ADDRESS_1>", b"<EMAIL_ADDRESS_2>"
    assert echo.bodies == [(template % (one, two, one, two)).replace(b'"echo"', b'"gpt-4o-echo"')]
    assert answers.content(answer) == 'é / | ann@example.com | bob@example.com and ann@example.com, "bob@example.com"'
