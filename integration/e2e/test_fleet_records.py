"""Two Envoys, their access logs and a ledger: each request's record counts once, although the ledger and the Envoys are killed.

`SLUICE_FLEET_CALLS=20000` is the long form.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sqlite3
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Callable, Iterator

import pytest

import answers
import clients
import fleet
import limited
import request_kinds
from child import free_port
from conftest import OpenWorld
from gateway import MockModels
from ledger import Ledger
from resilience import NEVER_EJECTED_ALONE
from settings import Settings
from table import Table
from world import World

CALLS = int(os.environ.get("SLUICE_FLEET_CALLS", "1000"))
AT_ONCE = 40
SERVERS = ("sea", "lake", "pond")
# A server that always fails; its calls are served by another one.
FAILING = {"fault": "status", "status": 503}
RETRIED, UNKNOWN = "retried", "no-such-model"
MODELS = (*SERVERS, RETRIED, UNKNOWN)
KEYS = ("ann", "ben", "eve")
# Envoy loses what it has buffered: the file's last 100 ms, and a second of the access log service, at most.
LOST_WITHIN = 1.0
# How long the ledger is away, in seconds.
AWAY = 0.5


@dataclass(frozen=True)
class Call:
    """One call, and the number of the Envoy that it is made to."""

    number: int
    envoy: int
    key: str
    model: str
    path: str
    body: bytes


@dataclass
class Called:
    """A finished call. Its status is 0 if the connection broke."""

    call: Call
    began: float
    ended: float
    status: int
    complete: bool


@dataclass
class Storm:
    """Two Envoys that log to files and to the ledger."""

    both: fleet.Fleet
    ledger: Ledger
    keys: dict[str, dict[str, str]]
    made: list[Called] = field(default_factory=list)
    # The Envoys that are not running now.
    down: set[int] = field(default_factory=set)

    def call_all(self, events: list[tuple[float, Callable[[], None]]]) -> None:
        """Makes all calls, half of them to each Envoy. Each event happens when this share of the calls has been made."""
        calls = [call for envoy in (0, 1) for call in _calls(envoy)]
        calling = threading.Thread(target=self.both.each, args=(AT_ONCE, [partial(self._visit, call) for call in calls]))
        calling.start()
        for share, event in events:  # in this thread, because a child ends with the thread that has started it
            while len(self.made) < share * len(calls) and calling.is_alive():
                time.sleep(0.002)
            event()
        calling.join()
        assert len(self.made) == len(calls)

    async def _visit(self, call: Call, client: clients.Client) -> None:
        headers = {**self.keys[call.key], "x-call": str(call.number), "anthropic-version": "2023-06-01"}
        while call.envoy in self.down:
            await asyncio.sleep(0.01)
        began = time.time()
        answer = await client.ask(call.body, path=call.path, headers=headers)
        self.made.append(Called(call, began, time.time(), answer.status_code, answer.complete))

    def restart_ledger(self) -> None:
        """Kills the ledger; it is away for a moment."""
        self.ledger.kill()
        time.sleep(AWAY)
        self.ledger.start()

    def records(self) -> list[str]:
        """The ids of the requests in the ledger."""
        with closing(sqlite3.connect(self.ledger.store)) as store:
            return [id for (id,) in store.execute("SELECT id FROM records")]

    def import_logs(self) -> str:
        """Imports the access logs, once Envoy has written them; returns what was said about lines that are cut off."""
        time.sleep(LOST_WITHIN)
        run = self.ledger.run("import", *self.both.logs)
        assert run.returncode == 0 and run.stdout.count(" 0 unreadable") == 2, run.stdout + run.stderr
        return run.stderr

    def served(self) -> dict[str, tuple[Call, str, dict[str, Any]]]:
        """The calls that a server has answered, with the server and the usage, by the request's id."""
        calls = {called.call.number: called.call for called in self.made}
        found = {}
        for name, entry in self.both.worlds[0].entries():
            if entry["usage"]:
                id = entry["headers"]["x-request-id"]
                assert id not in found, "each call was answered once"
                found[id] = (calls[int(entry["headers"]["x-call"])], name, entry["usage"])
        return found

    def assert_sums(self, served: dict[str, tuple[Call, str, dict[str, Any]]]) -> None:
        """The ledger has exactly the usage of these calls."""
        want: dict[tuple[str, str, str], Counter[str]] = {}
        for call, server, usage in served.values():
            input, output = answers.tokens(usage)
            sums = want.setdefault((call.key, call.model, server), Counter())
            sums.update(requests=1, input_tokens=input, output_tokens=output, cost_microusd=limited.microusd([(input, output)]))
        rows = self.ledger.usage(by="key,model,cluster")["rows"]
        found = {(row["key"], row["model"], row["cluster"]): row for row in rows if row["requests"] > row["errors"]}
        assert found.keys() == want.keys()
        for name, sums in want.items():
            assert {field: found[name][field] for field in sums} == dict(sums), name


def _calls(envoy: int) -> list[Call]:
    chance = random.Random(envoy)
    calls = []
    for number in range(CALLS // 2):
        model, key = chance.choice(MODELS), chance.choice(KEYS)
        path, body = chance.choice(request_kinds.shapes(model, f"call {number}" + " word" * chance.randrange(40)))
        calls.append(Call(2 * number + envoy, envoy, key, model, path, json.dumps(body).encode()))
    return calls


def _configured(settings: Settings, servers: dict[str, MockModels], address: tuple[str, int]) -> tuple[Settings, dict[str, Any]]:
    """Settings with these servers and keys."""
    for name, server in servers.items():
        settings.add_cluster(name, server.address)
        upstream = {"dialects": request_kinds.DIALECTS, "ejection": NEVER_EJECTED_ALONE, "forward_headers": ["x-call"]}
        settings.upstreams[name] = upstream
        if name in SERVERS:
            settings.models.append({"name": name, "targets": [{"upstream": name}], "price": limited.PRICE})
    targets = [{"upstream": "failing", "weight": 1_000_000}, {"upstream": "lake", "weight": 1}]
    settings.models.append({"name": RETRIED, "targets": targets, "price": limited.PRICE})
    keys = {name: fleet.add_key(settings, name, {}, labels={"team": name[0]}) for name in KEYS}
    fleet.log_to_file(fleet.log_to(fleet.add_service(settings, address)))
    return settings, keys


@pytest.fixture
def storm(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[Storm]:
    with ExitStack() as running:
        servers = {name: running.enter_context(MockModels(name)) for name in (*SERVERS, "failing")}
        ledger = running.enter_context(Ledger())
        worlds: list[World] = []
        for _ in range(2):
            changed, keys = _configured(settings(), servers, ledger.address)
            # an Envoy that starts again has the same port
            changed.tree["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = free_port()
            worlds.append(running.enter_context(open_world(changed.text(), servers, own=True, flush_ms=100)))
        worlds[0].fault(FAILING, "failing")
        yield Storm(fleet.Fleet(worlds[0], worlds[1]), ledger, keys)


def test_the_ledger_is_killed(storm: Storm, pytestconfig: pytest.Config) -> None:
    """Twice, during all kinds of calls. After the import its sums are those of the servers."""
    began = time.monotonic()
    storm.call_all([(0.3, storm.restart_ledger), (0.6, storm.restart_ledger)])
    seconds = time.monotonic() - began
    expected = {RETRIED: 200, UNKNOWN: 404}
    wrong = [each for each in storm.made if not each.complete or each.status != expected.get(each.call.model, 200)]
    assert not wrong, wrong[:3]
    time.sleep(LOST_WITHIN)
    before = len(storm.records())
    cut_off = storm.import_logs()
    assert not cut_off
    served = storm.served()
    assert len(served) == sum(each.status == 200 for each in storm.made)
    records = storm.records()
    assert len(records) == len(storm.made) and served.keys() <= set(records)
    storm.assert_sums(served)
    again = storm.ledger.run("import", *storm.both.logs)
    assert again.stdout.count(" 0 new") == 2 and len(storm.records()) == len(records)
    storm.assert_sums(served)
    table = Table(f"{len(storm.made)} calls over two Envoys in {seconds:.1f} s, the ledger killed twice", ["records"])
    table.put("in the ledger before the import", "records", before)
    table.put("only in the access logs", "records", len(records) - before)
    table.show(pytestconfig)


def test_envoys_are_killed(storm: Storm, pytestconfig: pytest.Config) -> None:
    """Each Envoy twice, and the ledger. What is missing was under way, or had ended in the last second."""
    kills: list[tuple[int, float]] = []

    def restart(envoy: int) -> None:
        gateway = storm.both.worlds[envoy].gateway
        storm.down.add(envoy)
        kills.append((envoy, time.time()))
        gateway.kill()
        gateway.start()
        storm.down.discard(envoy)

    def restart_both() -> None:
        """Its records wait in the Envoy when that is killed."""
        storm.ledger.kill()
        restart(1)
        storm.ledger.start()

    storm.call_all([(0.2, partial(restart, 0)), (0.4, partial(restart, 1)), (0.6, partial(restart, 0)), (0.8, restart_both)])
    cut_off = storm.import_logs()
    served = storm.served()
    records = set(storm.records())
    missing = {id: call for id, (call, *_) in served.items() if id not in records}
    # a killed Envoy has no record of a call that is under way
    counted = {id: each for id, each in served.items() if id not in missing}
    storm.assert_sums(counted)
    made = {each.call.number: each for each in storm.made}
    under_way = ended = 0
    for call in missing.values():
        called = made[call.number]
        at = [at for envoy, at in kills if envoy == call.envoy and called.began <= at + 0.1 and called.ended > at - LOST_WITHIN]
        assert at, ("its record is missing", called, kills)
        under_way += not called.complete
        ended += called.complete
    table = Table(f"{len(storm.made)} calls, each Envoy killed twice, the ledger once", ["calls"])
    table.put("answered by a server", "calls", len(served))
    table.put("counted once", "calls", len(counted))
    table.put("missing: under way at a kill", "calls", under_way)
    table.put("missing: ended less than a second before it", "calls", ended)
    table.put("lines that were cut off, and told", "calls", sum(map(int, re.findall(r"(\d+) lines? cut off", cut_off))))
    table.show(pytestconfig)
