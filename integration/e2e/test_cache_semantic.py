"""The semantic cache: an answer also serves a request that says the same in other words.

A fake service gives a text's vector the angle that the text asks for. The tests with real embeddings and a real Chroma are skipped
where their packages are missing; `SLUICE_SEMANTIC_PAIRS=200` is their full form.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Iterator

import pytest

from conftest import OpenWorld
from semantic_servers import MODEL, SEMANTIC, Chroma, Embeddings, Unavailable
from settings import Settings
from table import Table
from world import ADMIN, BEARER, World, chat_body, eventually

COLD = {"temperature": 0}
THRESHOLD = 0.95
TIMEOUT = 0.5
# The angle that each letter z adds to a text's vector.
ANGLE = 0.1
PAIRS = int(os.environ.get("SLUICE_SEMANTIC_PAIRS", "30"))
THRESHOLDS = (0.80, 0.85, 0.90, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98)


class Vectors:
    """A service with OpenAI's embeddings API. A test sets how it fails."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.delay = 0.0
        self.answer: tuple[int, bytes] | None = None
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                (text,) = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
                service.asked.append(text)
                time.sleep(service.delay)
                angle = text.count("z") * ANGLE
                data = [{"index": 0, "embedding": [3 * math.cos(angle), 3 * math.sin(angle)]}]
                status, body = service.answer or (200, json.dumps({"data": data}).encode())
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def address(self) -> tuple[str, int]:
        """As an address for a cluster."""
        return ("127.0.0.1", self._server.server_port)

    def reset(self) -> None:
        """Healthy again."""
        self.asked, self.delay, self.answer = [], 0.0, None

    def __enter__(self) -> Vectors:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _add(settings: Settings, name: str, cluster: str, threshold: float, **fields: Any) -> None:
    semantic = {"cluster": cluster, "model": MODEL, "threshold": threshold, "timeout": f"{int(TIMEOUT * 1000)}ms", **fields}
    targets = [{"upstream": "mock-a", "model": "gpt-4o-mock-a"}]
    settings.models.append({"name": name, "targets": targets, "cache": {"semantic": semantic}})


@pytest.fixture(scope="module")
def _similar(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[tuple[World, Vectors]]:
    with Vectors() as vectors:
        changed = settings()
        changed.add_cluster("vectors", vectors.address)
        _add(changed, "similar", "vectors", THRESHOLD)
        _add(changed, "few", "vectors", THRESHOLD, max_entries=2, max_text="20B")
        with open_world(changed.text()) as world:
            yield world, vectors


@pytest.fixture
def similar(_similar: tuple[World, Vectors]) -> tuple[World, Vectors]:
    world, vectors = _similar
    time.sleep(1.1)  # a service that has failed rests
    vectors.reset()
    world.reset()
    return world, vectors


def _ask(world: World, text: str, model: str = "similar", headers: Any = BEARER, **fields: Any) -> tuple[str, str | None]:
    """What the cache did, and the similarity. All requests take one connection, so one worker: each has its own vectors."""
    answer = world.send(chat_body(text, model=model, **{**COLD, **fields}), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-sluice-cache"], answer.headers.get("x-sluice-similarity")


def test_similar_requests_get_one_answer(similar: tuple[World, Vectors]) -> None:
    world, vectors = similar
    logged, counted = len(world.logged()), world.counted("llm_cache_similar_total")
    assert _ask(world, "tall z") == ("miss", None)
    assert _ask(world, "high zz") == ("hit", "0.995")
    assert _ask(world, "high zz", stream=True) == ("hit", "0.995")
    assert len(vectors.asked) == 3
    assert _ask(world, "tall z") == ("hit", None), "the same request asks for no vector"
    assert len(vectors.asked) == 3
    assert _ask(world, "long zzzzz") == ("miss", None), "not similar enough"
    assert len(world.entries()) == 2
    eventually(lambda: world.counted("llm_cache_similar_total") - counted, {("similar",): 2})
    eventually(lambda: len(world.logged()) - logged, 5)
    records = [line["sluice"] for line in world.logged(logged)]
    assert [record.get("cache_similarity") for record in records] == [None, "0.995", "0.995", None, None]


def test_everything_else_must_be_the_same(similar: tuple[World, Vectors]) -> None:
    world, _ = similar
    assert _ask(world, "in 1984 z") == ("miss", None)
    cases: dict[str, dict[str, Any]] = {
        "digits": {"text": "in 1985 zz"},
        "settings": {"text": "in 1984 zz", "max_tokens": 7},
        "key": {"text": "in 1984 zz", "headers": ADMIN},
        "model": {"text": "in 1984 zz", "model": "few"},
        "earlier messages": {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "in 1984 zz"}], "text": ""},
    }
    for name, case in cases.items():
        assert _ask(world, **case) == ("miss", None), name
    assert _ask(world, "of 1984 zz") == ("hit", "0.995")


def test_bounds(similar: tuple[World, Vectors]) -> None:
    """Long texts are not compared, and old vectors make room for new ones."""
    world, vectors = similar
    assert [_ask(world, f"{word} is longer than twenty bytes", "few")[0] for word in ("this", "that")] == ["miss", "miss"]
    assert not vectors.asked
    texts = ("a z", "b zzzzzzzz", "c zzzzzzzzzzzzzzzz")
    assert [_ask(world, text, "few")[0] for text in texts] == ["miss"] * 3
    assert _ask(world, "d zzzzzzzz", "few") == ("hit", "1.000")
    assert _ask(world, "d z", "few") == ("miss", None), "the oldest has gone"


def test_failures_are_misses(similar: tuple[World, Vectors]) -> None:
    """Whatever the service does, requests succeed, and later ones do not wait for it."""
    world, vectors = similar

    # no other test's answers
    ask = lambda text: _ask(world, text, max_tokens=77)

    def failures() -> int:
        return sum(world.gateway.stats("llm_cache_semantic_failures").values())

    assert ask("kept z") == ("miss", None)
    answers = {"status": (500, b"{}"), "garbage": (200, b"hello"), "no vector": (200, b'{"data":[]}'), "another length": (200, b'{"data":[{"embedding":[1]}]}')}
    for name, answer in answers.items():
        vectors.answer, before = answer, failures()
        assert ask(f"kept {name} zz") == ("miss", None), name
        assert failures() - before == (0 if name == "another length" else 1), name
        time.sleep(1.1)
    vectors.reset()
    vectors.delay = 2 * TIMEOUT
    times = []
    for number in "abc":
        begun = time.monotonic()
        assert ask(f"kept late {number} zz") == ("miss", None)
        times.append(int((time.monotonic() - begun) / TIMEOUT))
    assert times == [1, 0, 0], "one request waits"
    time.sleep(1.1)
    vectors.reset()
    assert ask("kept again zz") == ("hit", "0.995")


@pytest.fixture(scope="module")
def _embeddings() -> Iterator[Embeddings]:
    try:
        with Embeddings() as embeddings:
            yield embeddings
    except Unavailable as problem:
        pytest.skip(f"skipped: {problem}")


def _pairs(name: str) -> list[list[str]]:
    """So many pairs of texts, from all parts of the file."""
    pairs = [line.split("\t") for line in (SEMANTIC / f"{name}.tsv").read_text().splitlines()]
    return pairs[:: max(1, len(pairs) // PAIRS)][:PAIRS]


def test_real_embeddings(
    settings: Callable[[], Settings], open_world: OpenWorld, _embeddings: Embeddings, request: pytest.FixtureRequest
) -> None:
    """How many pairs with the same meaning are hits at each threshold, and how many with another meaning."""
    changed = settings()
    changed.add_cluster("embeddings", _embeddings.address)
    _add(changed, "real", "embeddings", 0.3, timeout="20s")
    found: dict[str, list[float]] = {}
    with open_world(changed.text()) as world:
        for name in ("paraphrases", "different"):
            found[name] = []
            for number, pair in enumerate(_pairs(name)):
                # each pair by itself
                messages = [[{"role": "system", "content": f"{name} {number}"}, {"role": "user", "content": text}] for text in pair]
                first, second = (_ask(world, "", "real", messages=each) for each in messages)
                assert first == ("miss", None)
                found[name].append(float(second[1] or 0))
                assert (second[0] == "hit") == (second[1] is not None)
    table = Table(f"semantic cache: hits among {PAIRS} pairs, {MODEL}", map(str, THRESHOLDS))
    for name, similarities in found.items():
        for threshold in THRESHOLDS:
            table.put(name, str(threshold), sum(similarity >= threshold for similarity in similarities))
    table.show(request.config)
    means = {name: sum(similarities) / len(similarities) for name, similarities in found.items()}
    assert means["paraphrases"] > 0.8 > means["different"]
    question = {"model": MODEL, "input": _pairs("paraphrases")[0]}
    one, other = (item["embedding"] for item in _embeddings.post("/v1/embeddings", question)["data"])
    assert abs(sum(a * b for a, b in zip(one, other)) - found["paraphrases"][0]) < 0.002


def test_chroma(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """A real Chroma has the vectors: both workers find them, and an outage costs nothing but hits."""
    with contextlib.ExitStack() as running:
        try:
            chroma = running.enter_context(Chroma())
        except Unavailable as problem:
            pytest.skip(f"skipped: {problem}")
        vectors = running.enter_context(Vectors())
        changed = settings()
        changed.add_cluster("vectors", vectors.address)
        changed.add_cluster("chroma", chroma.address)
        store = {"chroma": {"cluster": "chroma", "collection": chroma.collection, "timeout": "2s"}}
        _add(changed, "chroma", "vectors", THRESHOLD, store=store)
        world = running.enter_context(open_world(changed.text()))
        close = {"connection": "close"}  # each request may be another worker's
        assert _ask(world, "tall z", "chroma") == ("miss", None)
        eventually(chroma.count, 1)
        found = {_ask(world, f"high {letter} zz", "chroma", {**BEARER, **close}) for letter in "abcdefgh"}
        assert found == {("hit", "0.995")}
        assert _ask(world, "high zz", "chroma", {**ADMIN, **close}) == ("miss", None), "another key"
        assert _ask(world, "far zzzzzzzz", "chroma") == ("miss", None)
        eventually(chroma.count, 3)
        chroma.stop()
        assert {_ask(world, f"gone {letter} zz", "chroma", {**BEARER, **close}) for letter in "abcdefgh"} == {("miss", None)}
        chroma.start()
        time.sleep(1.1)
        eventually(lambda: _ask(world, "back zz", "chroma")[0], "hit")
