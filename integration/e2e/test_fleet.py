"""Two Envoys and a ledger: shared limits, and the record of each request."""

from __future__ import annotations

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator

import pytest

import clients
import fleet
from conftest import OpenWorld
from ledger import Ledger
from settings import Settings
from world import World, chat_body, eventually

ADMITTED, CALLS = 100, 800


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with Ledger() as ledger:
        yield ledger


class Fleet:
    """Two Envoys with the same configuration, two workers each."""

    def __init__(self, one: World, other: World):
        self.worlds = (one, other)

    def ask(self, calls: int, headers: dict[str, str], body: bytes) -> list[clients.Answer]:
        """This many requests at once over both Envoys."""
        half = [body] * (calls // 2)
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(clients.ask, world.gateway.port, half, 100, headers=headers) for world in self.worlds]
            return [answer for each in asked for answer in each.result()]

    def stats(self, result: str) -> int:
        """The number of calls to the service with this result, at both Envoys."""
        name = f"wasmcustom.llm_shared_limits_total;outcome={result}"
        return sum(world.gateway.stats(f"^{name}$").get(name, 0) for world in self.worlds)


@contextlib.contextmanager
def _fleet(open_world: OpenWorld, changed: Settings) -> Iterator[Fleet]:
    with open_world(changed.text(), own=True) as one, open_world(changed.text(), own=True) as other:
        yield Fleet(one, other)


@pytest.fixture(scope="module")
def keys() -> dict[str, dict[str, str]]:
    return {}


@pytest.fixture(scope="module")
def shared(
    open_world: OpenWorld, settings: Callable[[], Settings], ledger: Ledger, keys: dict[str, dict[str, str]]
) -> Iterator[Fleet]:
    changed = fleet.log_to(fleet.share(settings(), ledger.address))
    keys["hundred"] = fleet.add_key(changed, "hundred", {"requests_per_minute": ADMITTED})
    keys["tokens"] = fleet.add_key(changed, "tokens", {"tokens_per_day": 1000}, labels={"team": "a"})
    keys["free"] = fleet.add_key(changed, "free", {}, labels={"team": "b"})
    with _fleet(open_world, changed) as both:
        yield both


def test_exact_request_limit(shared: Fleet, keys: dict[str, dict[str, str]]) -> None:
    """800 requests at once over two Envoys with two workers each: 100 pass."""
    fleet.in_one_minute(20)
    found = shared.ask(CALLS, keys["hundred"], chat_body())
    assert Counter(answer.status_code for answer in found) == {200: ADMITTED, 429: CALLS - ADMITTED}
    assert shared.stats("ok") == ADMITTED and shared.stats("failed") == 0


def test_tokens_are_charged(shared: Fleet, keys: dict[str, dict[str, str]], ledger: Ledger) -> None:
    """Tokens used at one Envoy count at the other."""
    one, other = shared.worlds
    one.fault({"text": "word " * 999 + "word"})
    assert one.send(chat_body(), headers=keys["tokens"]).status_code == 200
    eventually(lambda: other.send(chat_body(), headers=keys["tokens"]).status_code, 429)
    refused = other.send(chat_body(), headers=keys["tokens"])
    assert refused.json()["error"]["code"] == "insufficient_quota"


def test_records_reach_the_ledger(shared: Fleet, keys: dict[str, dict[str, str]], ledger: Ledger) -> None:
    for world in shared.worlds:
        world.reset()
        assert world.send(chat_body(), headers=keys["free"]).status_code == 200

    def used() -> Any:
        return ledger.usage(by="key,label:team", key="free")["rows"]

    eventually(lambda: [row["requests"] for row in used()], [2])
    (row,) = used()
    assert row["label:team"] == "b" and row["input_tokens"] > 0
