"""Attacks on the gateway's memory at full size, with its usual budgets: `make soak`. The short forms are in test_memory.py."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Callable, Iterator

import pytest

import attacks
from conftest import OpenWorld
from footprint import MIB, Watch, footprint
from settings import Settings
from slow_server import KINDS, SlowServer
from table import Table

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
# The response time of a model server for the large chats.
LATE = 8
BUDGET = 256 * MIB
LARGEST = 8 * MIB
# The heap that envoy.yaml allows Envoy, in its overload manager.
HEAP = 4096 * MIB
# Attack, number of attackers, allowed results (-1: still running at the end, 0: cut off).
ATTACKS = {
    "chats": (600, {200, 413, 503, -1, 0}),
    "events": (1400, {503, -1}),
    "answers": (260, {503, -1}),
    "translated": (600, {200, 503, -1, 0}),
    "keyless": (150, {200, -1, 0}),
}
COLUMNS = ["innocent (failed), slowest", "attackers' statuses", "unclear", "VM, MiB: 1st, 2nd", "used", "wasm RSS", "Envoy's RSS: before, most, after"]


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table(f"attacks of twice {SECONDS} s beside 20 normal callers", COLUMNS)
    yield table
    table.show(request.config)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(settings: Callable[[], Settings], open_world: OpenWorld, table: Table, name: str) -> None:
    attackers, statuses = ATTACKS[name]
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(SlowServer(kind, LATE)) for kind in KINDS]
        world = running.enter_context(open_world(attacks.with_servers(settings(), servers).text(), own=True))
        attacks.run(world, "chats", 20, LATE + 4)  # fewer than the budget refuses, as a baseline
        time.sleep(LATE)
        before = footprint(world.gateway)
        outcomes, sizes = [], []
        with Watch(world.gateway) as watch:
            for _ in range(2):
                outcomes.append(attacks.run(world, name, attackers, SECONDS))
                sizes.append(watch.most().size)
            time.sleep(SECONDS)
        most, after = watch.most(), watch.seen[-1][1]
        log = world.gateway.log()

    outcome = sum(outcomes, attacks.Outcome())
    mib = lambda size: f"{size / MIB:.0f}"
    table.put(name, COLUMNS[0], f"{outcome.innocent} ({len(outcome.failures)}), {outcome.slowest:.1f} s")
    table.put(name, COLUMNS[1], " ".join(f"{status}:{count}" for status, count in sorted(outcome.attackers.items())))
    table.put(name, COLUMNS[2], len(outcome.unclear))
    table.put(name, COLUMNS[3], ", ".join(map(mib, sizes)))
    table.put(name, COLUMNS[4], mib(most.used))
    table.put(name, COLUMNS[5], mib(most.wasm))
    table.put(name, COLUMNS[6], ", ".join(mib(each.envoy) for each in (before, most, after)))
    assert outcome.failures == [] and outcome.innocent > 0
    assert "unreachable" not in log and "sluice: panic" not in log
    assert set(outcome.attackers) <= statuses and outcome.unclear == []
    assert most.size <= BUDGET + LARGEST
    assert sizes[1] <= 1.05 * sizes[0] + LARGEST + MIB
    assert most.envoy <= HEAP
    assert after.envoy <= 1.2 * before.envoy
