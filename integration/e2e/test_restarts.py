"""What a restart of Envoy forgets, the ledger remembers: budgets, and revoked keys, which all Envoys know."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator, Mapping

import pytest

import demo
import fleet
from conftest import OpenWorld
from demo import PROVIDER_KEYS
from ledger import Ledger
from postgres import NoPostgres, Postgres
from settings import Settings
from table import Table
from upstream import Upstream
from world import ADMIN, World, chat_body, eventually

# Each request costs a hundredth of a dollar, and no more is reserved for it.
PRICE, TOKENS = {"input": 0, "output": 1000}, 10
BUDGET, REQUESTS, BEFORE = 0.2, 20, 12
BODY = chat_body("Hello", model="priced", max_tokens=TOKENS)
# Two keys of a team have one budget.
TEAM = {"team": "a"}
TOKEN = {"SLUICE_LEDGER_TOKEN": "a-token-that-only-the-envoys-have"}
START_TIMEOUT = 1.0


def _configured(settings: Settings, address: tuple[str, int], **fields: Any) -> tuple[Settings, dict[str, str]]:
    """Settings with a ledger, and the headers of a client with a budget."""
    settings.add_model("priced", "mock-a", price=PRICE)
    headers = fleet.add_key(settings, "budget", {"cost_per_day": BUDGET, "tokens_per_month": 1_000_000})
    settings.plugin("auth")["vm_config"]["environment_variables"]["host_env_keys"] += TOKEN
    return fleet.remember(fleet.log_to(settings), **fields), headers


@contextlib.contextmanager
def _started(open_world: OpenWorld, changed: Settings, count: int = 2) -> Iterator[list[World]]:
    with contextlib.ExitStack() as running:
        worlds = [running.enter_context(open_world(changed.text(), env={**PROVIDER_KEYS, **TOKEN, demo.KEY_SECRET: "0" * 64})) for _ in range(count)]
        worlds[0].fault({"text": "word " * (TOKENS - 1) + "word"})
        yield worlds


def _spend(worlds: list[World], headers: Mapping[str, str], most: int) -> int:
    """Sends requests to the Envoys in turn, each after the last has been charged; returns how many were admitted."""
    admitted = 0
    for number in range(most):
        answer = worlds[number % len(worlds)].send(BODY, headers=headers)
        if answer.status_code == 429:
            assert answer.json()["error"]["code"] == "insufficient_quota", answer.text
            break
        assert answer.status_code == 200, answer.text
        admitted += 1
        time.sleep(0.15)  # charges are sent within 50 ms
    return admitted


def _recorded(ledger: Ledger, requests: int, **subject: str) -> None:
    cost = requests * TOKENS * PRICE["output"]
    eventually(lambda: ledger.usage(**(subject or {"key": "budget"}))["total"]["cost_microusd"], cost)


@pytest.fixture
def store() -> Iterator[str | None]:
    """A database of PostgreSQL; without it, the ledger's own file."""
    try:
        with Postgres() as server:
            yield server.url
    except NoPostgres:
        yield None


def test_a_budget_survives_restarts(open_world: OpenWorld, settings: Callable[[], Settings], store: str | None) -> None:
    """60 % of each budget is spent over two Envoys: a day's, a month's, and a month's of a label. Both restart, and so does the
    ledger: exactly 40 % is left."""
    with Ledger(store) as ledger:
        changed, day = _configured(fleet.share(settings(), ledger.address), ledger.address)
        month = fleet.add_key(changed, "month", {"cost_per_month": BUDGET})
        team = [fleet.add_key(changed, name, {}, labels=TEAM) for name in ("one", "other")]
        changed.values("auth")["label_limits"] = [{"label": "team", "value": "a", "limits": {"cost_per_month": BUDGET}}]
        # the keys that have a budget together, and how the ledger names it
        budgets = [([day], {"key": "budget"}), ([month], {"key": "month"}), (team, {"label:team": "a"})]
        with _started(open_world, changed) as worlds:
            for keys, subject in budgets:
                assert sum(_spend(worlds, headers, BEFORE // len(keys)) for headers in keys) == BEFORE
                _recorded(ledger, BEFORE, **subject)
        ledger.kill()
        ledger.start()
        with _started(open_world, changed) as worlds:
            for keys, subject in budgets:
                left = [_spend(worlds, headers, REQUESTS) for headers in keys]
                assert left == [REQUESTS - BEFORE, *[0] * (len(keys) - 1)], subject
                _recorded(ledger, REQUESTS, **subject)
            for world in worlds:
                report = world.send(path="/gateway/usage", method="GET", headers=ADMIN).json()
                assert report["limits_seeded_by"] == "ledger" and abs(report["since"] - time.time()) < 60, report


def test_an_envoy_counts_on_by_itself(open_world: OpenWorld, settings: Callable[[], Settings]) -> None:
    """Without shared limits, and after a kill: of many requests at once exactly the rest is admitted, on both workers."""
    with Ledger() as ledger:
        changed, headers = _configured(fleet.add_service(settings(), ledger.address), ledger.address)
        with _started(open_world, changed, 1) as (world,):
            assert _spend([world], headers, BEFORE) == BEFORE
            _recorded(ledger, BEFORE)
            os.kill(world.gateway.child.pid, signal.SIGKILL)
        with _started(open_world, changed, 1) as (world,):
            with ThreadPoolExecutor(REQUESTS) as pool:
                found = pool.map(lambda _: world.send(BODY, headers=headers).status_code, range(REQUESTS))
            assert sorted(found) == [200] * (REQUESTS - BEFORE) + [429] * BEFORE
            limits = world.send(path="/gateway/limits", method="GET", headers=headers).json()["subjects"][0]["limits"]
            assert limits["tokens_per_month"]["used"] == ledger_tokens(ledger)


def ledger_tokens(ledger: Ledger) -> int:
    """The tokens of all requests, once they are recorded."""
    _recorded(ledger, REQUESTS)
    total = ledger.usage(key="budget")["total"]
    return total["input_tokens"] + total["output_tokens"]


def _status(world: World, headers: Mapping[str, str]) -> set[int]:
    """The statuses of some requests, over both workers."""
    return {world.send(path="/gateway/whoami", method="GET", headers=headers).status_code for _ in range(6)}


def _until(world: World, headers: Mapping[str, str], status: int) -> float:
    """The seconds until all requests have this status."""
    began = time.monotonic()
    eventually(lambda: _status(world, headers), {status}, 10)
    return time.monotonic() - began


def _change(world: World, method: str, path: str) -> dict[str, Any]:
    answer = world.send(path=f"/gateway/keys/{path}", method=method, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_revoked_key_is_refused_everywhere(
    open_world: OpenWorld, settings: Callable[[], Settings], pytestconfig: pytest.Config
) -> None:
    """By the same Envoy at once, by the other within a second, and by both after restarts."""
    with Ledger(env=TOKEN) as ledger:
        changed = fleet.add_service(settings(), ledger.address)
        changed, headers = _configured(changed, ledger.address, token={"env": "SLUICE_LEDGER_TOKEN"})
        assert ledger.get("/revocations")[0] == ledger.get("/windows")[0] == 401
        with _started(open_world, changed) as (one, other):
            assert _status(one, headers) == _status(other, headers) == {200}
            assert _change(one, "DELETE", "budget")["spread"] is True
            assert _status(one, headers) == {401}
            spread = _until(other, headers, 401)
            assert spread < 1
            assert _change(other, "POST", "budget/restore") == {"id": "budget", "revoked": False, "changed": True, "spread": True}
            assert _until(one, headers, 200) < 1
            ledger.stop()
            assert _change(other, "DELETE", "budget")["spread"] is False
            assert (_status(one, headers), _status(other, headers)) == ({200}, {401})
            ledger.start()
            back = _until(one, headers, 401)
        with _started(open_world, changed) as both:
            assert [_status(world, headers) for world in both] == [{401}, {401}]
            for world in both:
                assert TOKEN["SLUICE_LEDGER_TOKEN"] not in world.everything_shown()
    table = Table("Until another Envoy refuses a revoked key", ["seconds"])
    table.put("the ledger is there", "seconds", f"{spread:.2f}")
    table.put("the ledger is back", "seconds", f"{back:.2f}")
    table.show(pytestconfig)


class Odd(Upstream):
    """A ledger that does not behave like one."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        if self.kind == "slow":
            await asyncio.sleep(30)
        # it knows what is revoked, but not the usage
        known = headers[":method"] == "GET" and headers[":path"].startswith("/revocations")
        text = json.dumps({"instance": "a", "last": 0, "changes": []} if known else {"instance": 7})
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
        await writer.drain()
        return True


@pytest.mark.parametrize("kind", ["away", "slow", "nonsense"])
def test_a_start_without_the_ledger(kind: str, open_world: OpenWorld, settings: Callable[[], Settings]) -> None:
    """Requests wait for as long as configured, and are then served. The log says so."""
    with contextlib.ExitStack() as running:
        address = ("127.0.0.1", 1) if kind == "away" else running.enter_context(Odd(kind)).address
        changed, headers = _configured(fleet.add_service(settings(), address, http2=False), address, start_timeout=f"{START_TIMEOUT}s")
        began = time.monotonic()
        (world,) = running.enter_context(_started(open_world, changed, 1))
        answer = world.send(BODY, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.elapsed.total_seconds() < START_TIMEOUT + 0.5
        assert time.monotonic() - began > START_TIMEOUT
        assert f"has not told the usage within {START_TIMEOUT:g}s" in world.gateway.log()
        assert _change(world, "DELETE", "someone")["spread"] is False
        report = world.send(path="/gateway/usage", method="GET", headers=ADMIN).json()
        assert report["limits_seeded_by"] is None
        for _ in range(5):
            assert world.send(BODY, headers=headers).elapsed.total_seconds() < 0.5
