"""A month with many records: reports read sums, not records, and the ledger's memory does not grow with them.

`SLUICE_LEDGER_RECORDS=1000000` is the long form.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path
from typing import Iterator

import pytest

import access_log_stream
from ledger import Ledger
from postgres import NoPostgres, Postgres
from table import Table
from test_ledger import lines, write

RECORDS = int(os.environ.get("SLUICE_LEDGER_RECORDS", "20000"))
# Records in one message, as Envoy sends them under load.
BATCH = 200
MONTH, FIRST_DAY, DAYS = "2026-10", 1_790_812_800, 31
KEYS, MODELS, TEAMS = 200, 5, 10
# Different records; each is sent many times, with different ids.
KINDS = 4000
ASKED = 20
# The short form runs beside other tests, and with an unoptimised ledger.
MOST_MS = 100 if RECORDS >= 1_000_000 else 500
# What an allocator may keep, in KiB, beyond the 2 % that count as flat.
SLACK = 1024


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    if request.param == "sqlite":
        with Ledger() as ledger:
            yield ledger
        return
    try:
        with Postgres() as server, Ledger(server.url) as ledger:
            yield ledger
    except NoPostgres as problem:
        pytest.skip(f"skipped: {problem}")


def _kinds() -> list[tuple[bytes, dict[str, int]]]:
    """Entries without an id, and their numbers."""
    chance = random.Random(1)
    kinds = []
    for number in range(KINDS):
        key = number % KEYS
        numbers = {"input_tokens": chance.randrange(5000), "output_tokens": chance.randrange(1000), "cost_microusd": chance.randrange(50_000)}
        model = f"model-{number // KEYS % MODELS}"
        fields = {"key": f"key-{key}", "model": model, "cluster": f"cluster-{model}", "label_team": f"team-{key % TEAMS}", "attempts": 1}
        kinds.append((access_log_stream.entry({**fields, **numbers}, FIRST_DAY + chance.randrange(DAYS * 86_400)), numbers))
    return kinds


def _batches(kinds: list[tuple[bytes, dict[str, int]]]) -> Iterator[list[bytes]]:
    for first in range(0, RECORDS, BATCH):
        yield [access_log_stream.with_id(kinds[number % KINDS][0]) for number in range(first, min(first + BATCH, RECORDS))]


def _resident(pid: int) -> int:
    """A process's memory in KiB."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])


def test_many_records(ledger: Ledger, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    kinds = _kinds()
    halfway: list[int] = []

    def sample(sent: int) -> None:
        if sent >= RECORDS // 2 and not halfway:
            halfway.append(_resident(ledger.child.pid))

    began = time.monotonic()
    asyncio.run(access_log_stream.send(ledger.port, _batches(kinds), sample))
    seconds = time.monotonic() - began
    resident = _resident(ledger.child.pid)
    name = "PostgreSQL" if ledger.store.startswith("postgres") else "SQLite"
    table = Table(f"{RECORDS} records of a month ({name})", ["value"])
    table.put("records a second over gRPC", "value", f"{RECORDS / seconds:.0f}")
    table.put("memory after half of them, KiB", "value", halfway[0])
    table.put("memory after all of them, KiB", "value", resident)
    table.put("records a second, imported from a file", "value", f"{_import(ledger, tmp_path):.0f}")
    for by, rows_read in (("label:team", KEYS * MODELS), ("key,model", KEYS * MODELS), ("day", None)):
        times, answer = [], None
        for _ in range(ASKED):
            began = time.monotonic()
            answer = ledger.usage(by=by, month=MONTH)
            times.append((time.monotonic() - began) * 1000)
        for field in ("input_tokens", "output_tokens", "cost_microusd"):
            want = sum(kinds[number % KINDS][1][field] for number in range(RECORDS))
            assert answer["total"][field] == want, field
        assert answer["total"]["requests"] == RECORDS
        assert answer["rows_read"] == rows_read or (rows_read is None and answer["rows_read"] <= KINDS)
        assert statistics.median(times) < MOST_MS, (by, times)
        table.put(f"by {by}: rows read", "value", answer["rows_read"])
        table.put(f"by {by}: median of {ASKED}, ms", "value", f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})")
    if name == "SQLite":
        table.put("a scan of all records, ms", "value", f"{_scan(ledger.store):.0f}")
    table.show(pytestconfig)
    assert resident <= 1.02 * halfway[0] + SLACK


def _import(ledger: Ledger, directory: Path) -> float:
    """Records a second that are imported from an access log of another month."""
    count = RECORDS // 10
    path = write(directory / "access.log", lines(count, month="2026-09", seed=9))
    began = time.monotonic()
    run = ledger.run("import", path)
    assert f"{count} new" in run.stdout, run.stderr
    return count / (time.monotonic() - began)


def _scan(store: str) -> float:
    """How long it takes to sum up all records of the month, in milliseconds."""
    began = time.monotonic()
    with closing(sqlite3.connect(store)) as connection:
        query = "SELECT labels, sum(input_tokens) FROM records WHERE at_ms >= ? AND at_ms < ? GROUP BY labels"
        list(connection.execute(query, (FIRST_DAY * 1000, (FIRST_DAY + DAYS * 86_400) * 1000)))
    return (time.monotonic() - began) * 1000
