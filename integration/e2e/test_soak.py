"""Every attack on memory at once, beside every kind of normal call: none of these fails, each is counted, and memory does not
grow.

`make soak` is the long form, of SOAK_MINUTES.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
from collections import Counter
from typing import Any, Callable, Iterator, Mapping

import pytest

import answers
import attacks
import mixed
from conftest import OpenWorld
from echo import Echo
from footprint import MIB, Footprint, Watch, footprint
from gateway import MockModels
from settings import Settings
from slow_server import KINDS, SlowServer
from table import Table
from world import World, eventually

MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))
# Rounds of this many seconds; after each, everything is counted.
SECONDS = 45 if MINUTES else 5
ROUNDS = max(2, round(MINUTES * 60 / SECONDS))
CALLERS = 20
ATTACKERS = {"chats": 200, "events": 300, "answers": 80, "keyless": 40, "wrong-key": 40}
# For the short form.
FEW = {"chats": 20, "events": 40, "answers": 10, "keyless": 5, "wrong-key": 5}
BUDGET, LARGEST = 256 * MIB, 8 * MIB
# Envoy only notices that an attacker has left after it has read all its data: gigabytes, on a busy machine.
GONE = 30.0
COLUMNS = [*mixed.SHARES, "attackers' statuses", "VM", "used", "wasm", "Envoy: most", "at rest", "allocated"]


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table(f"{ROUNDS} rounds of {SECONDS} s, all attackers beside {CALLERS} callers; sizes in MiB", COLUMNS)
    yield table
    table.show(request.config)


class _Soaked:
    """The gateway and its servers."""

    def __init__(self, world: World, echo: Echo):
        self.world = world
        self.echo = echo
        # At rest after each round: Envoy's allocated memory, and the footprint.
        self.rests: list[tuple[int, Footprint]] = []

    def prepare(self) -> None:
        """Empties the journals, and sets the servers' faults."""
        for name, server in self.world.models.items():
            server.clear()
            if name in mixed.FAULTS:
                server.fault(mixed.FAULTS[name])
        self.echo.bodies.clear()

    def counts(self) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
        """Requests and tokens so far."""
        tokens: Counter[tuple[str, ...]] = Counter()
        for labels, value in self.world.series("llm_tokens_total"):
            if labels["type"] in ("input", "output"):
                tokens[(labels["cluster"], labels["type"])] += value
        return mixed.counted(self.world.series("llm_requests_total")), tokens

    def reported(self) -> Counter[tuple[str, ...]]:
        """The tokens that the servers have reported in this round, for calls that no client left."""
        tokens: Counter[tuple[str, ...]] = Counter()
        for name in mixed.WELL:
            for entry in self.world.models[name].requests():
                for kind, count in zip(("input", "output"), answers.tokens(entry["usage"])):
                    tokens[(name, kind)] += count
        for kind in ("input", "output"):
            tokens[(mixed.ECHO, kind)] += len(self.echo.bodies)
        return +tokens


@pytest.fixture(scope="module")
def soaked(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[_Soaked]:
    with contextlib.ExitStack() as running:
        attackers = [running.enter_context(SlowServer(kind, 8 if MINUTES else 2)) for kind in KINDS]
        names = (*mixed.WELL, mixed.SLOW, mixed.FAILING)
        servers = {name: running.enter_context(MockModels(name)) for name in names}
        echo = running.enter_context(Echo())
        addresses = {**{name: server.address for name, server in servers.items()}, mixed.ECHO: echo.address}
        changed = mixed.with_models(attacks.with_servers(settings(), attackers), addresses)
        yield _Soaked(running.enter_context(open_world(changed.text(), servers, own=True)), echo)


def test_all_at_once(soaked: _Soaked, table: Table) -> None:
    numbers = itertools.count()
    everything = mixed.Calls()
    world = soaked.world
    mixed.call(world.gateway.port, 2, CALLERS, numbers)  # the baseline, before the attacks
    for number in range(ROUNDS):
        world.settle(GONE)
        soaked.prepare()
        calls = _round(soaked, numbers, table, f"{number + 1}")
        everything.made += calls.made
        assert calls.wrong() == []
    assert not everything.too_many()
    log = world.gateway.log()
    assert "unreachable" not in log and "sluice: panic" not in log
    if MINUTES:
        _assert_flat(soaked.rests)


def _round(soaked: _Soaked, numbers: Iterator[int], table: Table, row: str) -> mixed.Calls:
    """Runs calls and attacks for some seconds; returns the state afterwards."""
    world = soaked.world
    requests, tokens = soaked.counts()
    with contextlib.ExitStack() as ending, Watch(world.gateway) as watch:
        raids = [attacks.Raid(world, name, count, SECONDS) for name, count in (ATTACKERS if MINUTES else FEW).items()]
        outcomes: list[attacks.Outcome] = []
        for raid in raids:
            ending.callback(lambda raid=raid: outcomes.append(raid.end()))
        calls = mixed.call(world.gateway.port, SECONDS, CALLERS, numbers)
        ending.close()
    world.settle(GONE)
    attacked = sum(outcomes, attacks.Outcome())
    eventually(lambda: soaked.counts()[0] - requests, calls.requests(), 15)
    counted = soaked.counts()[1] - tokens
    known = Counter({labels: count for labels, count in counted.items() if labels[0] in (*mixed.WELL, mixed.ECHO)})
    assert known == soaked.reported() and known.total() > 0
    assert not mixed.seen_in_clear(soaked.echo.bodies)
    eventually(lambda: sum(world.counted("llm_in_flight").values()), 0, 15)
    assert attacked.unclear == []
    soaked.rests.append((int(world.gateway.ask("/memory")["allocated"]), footprint(world.gateway)))
    _show(table, row, calls, attacked, watch.most(), soaked.rests[-1])
    assert watch.most().size <= BUDGET + LARGEST
    return calls


def _show(table: Table, row: str, calls: mixed.Calls, attacked: attacks.Outcome, most: Footprint, rest: tuple[int, Footprint]) -> None:
    for kind, count in calls.kinds().items():
        table.put(row, kind, count)
    statuses = " ".join(f"{status}:{count}" for status, count in sorted(attacked.attackers.items()))
    sizes = [rest[1].size, most.used, rest[1].wasm, most.envoy, rest[1].envoy, rest[0]]
    for column, value in zip(COLUMNS[len(mixed.SHARES) :], [statuses, *(f"{size / MIB:.1f}" for size in sizes)]):
        table.put(row, column, value)


def _assert_flat(rests: list[tuple[int, Footprint]]) -> None:
    """The last half adds less than 2 %, and no round exceeds the level by more than 10 %. After a round that much memory may not
    have been returned yet; the next round shows that it was."""
    half = len(rests) // 2
    for name, read in _READ.items():
        first, last = ([read(rest) for rest in part] for part in (rests[:half], rests[half:]))
        level = statistics.median(first)
        assert statistics.median(last) <= 1.02 * level, f"{name}: {level} bytes, then {statistics.median(last)}"
        assert max(last) <= 1.1 * max(first), f"{name}: at most {max(first)} bytes, then {max(last)}"


_READ: Mapping[str, Callable[[tuple[int, Footprint]], Any]] = {
    "allocated by Envoy": lambda rest: rest[0],
    "a VM's memory": lambda rest: rest[1].size,
    "resident": lambda rest: rest[1].envoy + rest[1].wasm,
}
