"""`sluice ledger` on SQLite and on a real PostgreSQL: each request counts once, despite kills and repeated records."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import random
import sqlite3
import subprocess
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

import access_log_stream
from ledger import Ledger
from postgres import NoPostgres, Postgres
from world import eventually

LINES, TEAMS = 3000, 3


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    try:
        with Postgres() as server:
            yield server.url
    except NoPostgres as problem:
        pytest.skip(f"skipped: {problem}")


def lines(count: int, month: str = "2026-11", seed: int = 1) -> list[dict[str, Any]]:
    """Lines of an access log, of several teams, models and days."""
    chance = random.Random(seed)
    return [
        {
            "start_time": f"{month}-{chance.randrange(1, 29):02}T10:00:00.123Z",
            "request_id": f"{seed}-{number}",
            "status": 200,
            "sluice": {
                "key": f"key-{chance.randrange(20)}",
                "model": f"model-{chance.randrange(3)}",
                "cluster": f"cluster-{chance.randrange(2)}",
                "label_team": f"team-{chance.randrange(TEAMS)}",
                "attempts": 1,
                "input_tokens": chance.randrange(1000),
                "output_tokens": chance.randrange(1000),
                "cost_microusd": chance.randrange(10_000),
            },
        }
        for number in range(count)
    ]


def write(path: Path, log: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in log))
    return path


def test_each_request_counts_once(store: str | None, tmp_path: Path) -> None:
    log = lines(LINES)
    path = write(tmp_path / "access.log", log)
    with Ledger(store) as ledger:
        first = ledger.run("import", path)
        assert first.stdout.strip().endswith(f"{LINES} new, 0 known, 0 without usage, 0 unreadable"), first.stderr
        ledger.kill()
        ledger.start()
        again = ledger.run("import", path)
        assert f"0 new, {LINES} known" in again.stdout
        total = ledger.usage(month="2026-11")["total"]
        for field in ("input_tokens", "output_tokens", "cost_microusd"):
            assert total[field] == sum(line["sluice"][field] for line in log), field
        assert (total["requests"], total["errors"]) == (LINES, 0)
        by_team = ledger.usage(by="label:team", month="2026-11")
        for row in by_team["rows"]:
            of_team = [line for line in log if line["sluice"]["label_team"] == row["label:team"]]
            assert row["requests"] == len(of_team)
        assert len(by_team["rows"]) == TEAMS and by_team["rows_read"] < LINES
        status, text = ledger.get("/usage?by=day,key&month=2026-11&format=csv")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert status == 200 and sum(int(row["requests"]) for row in rows) == LINES
        report = ledger.run("report", "--by", "label:team", "--month", "2026-11")
        assert report.returncode == 0 and f"total  {LINES:>10}".split() == report.stdout.splitlines()[-1].split()[:2]


def test_mistakes_are_reported(store: str | None, tmp_path: Path) -> None:
    with Ledger(store) as ledger:
        status, text = ledger.get("/usage?by=user")
        assert status == 400 and "label:NAME" in json.loads(text)["error"]["message"]
        path = tmp_path / "access.log"
        path.write_text(json.dumps(lines(1, seed=2)[0]) + "\nhalf a li")
        run = ledger.run("import", path)
        assert run.returncode == 1 and "1 new" in run.stdout and "1 line could not be read" in run.stderr
        run = ledger.run("--store", "postgres://me:secret@127.0.0.1/x")
        assert run.returncode == 2 and "secret" not in run.stderr
        assert 'sluice_ledger_records_total{result="new"}' in ledger.get("/metrics")[1]


def test_records_wait_for_the_store() -> None:
    """PostgreSQL is stopped: the ledger says so, keeps the record, and stores it later."""
    try:
        with Postgres() as server, Ledger(server.url) as ledger:
            _stop_the_store(server, ledger)
    except NoPostgres as problem:
        pytest.skip(f"skipped: {problem}")


def _stop_the_store(server: Postgres, ledger: Ledger) -> None:
    server.stop()
    fields = {"key": "waits", "model": "m", "cluster": "c", "input_tokens": 3}
    batches = [[access_log_stream.with_id(access_log_stream.entry(fields, 1_795_773_605))]]
    sending = threading.Thread(target=lambda: asyncio.run(access_log_stream.send(ledger.port, batches)))
    sending.start()
    eventually(lambda: ledger.get("/healthz")[0], 503)
    assert "PostgreSQL" in json.loads(ledger.get("/healthz")[1])["error"]["message"]
    status, body = ledger.get("/usage?month=2026-11")
    assert status == 503 and "PostgreSQL" in body
    assert "the store has failed" in ledger.child.log.read_text()
    server.start()
    sending.join(20)
    assert not sending.is_alive()
    assert ledger.usage(month="2026-11", key="waits")["total"]["input_tokens"] == 3
    eventually(lambda: ledger.get("/healthz")[0], 200)


def test_a_store_of_an_earlier_version_goes_on(store: str | None, tmp_path: Path) -> None:
    """The first version had no columns for the cache."""
    with Ledger(store) as ledger:
        path = write(tmp_path / "access.log", lines(5, "2026-09", seed=3))
        ledger.run("import", path)
        ledger.kill()
        columns = ("cache_hits", "saved_input_tokens", "saved_output_tokens")
        drop = [f"ALTER TABLE {table} DROP COLUMN {column}" for table in ("records", "rollups") for column in columns]
        if store is None:
            with contextlib.closing(sqlite3.connect(ledger.store)) as connection:
                connection.executescript(";".join(drop))
        else:
            subprocess.run(["psql", store, "-c", ";".join(drop)], check=True, capture_output=True, timeout=30)
        ledger.start()
        hit = lines(1, "2026-09", seed=4)[0]
        hit["sluice"] |= {"cache": "hit", "saved_input_tokens": 30, "saved_output_tokens": 20}
        imported = ledger.run("import", write(path, [*lines(5, "2026-09", seed=3), hit]))
        assert "1 new, 5 known" in imported.stdout, imported.stderr
        total = ledger.usage(month="2026-09")["total"]
        assert (total["requests"], total["cache_hits"]) == (6, 1)
        assert (total["saved_input_tokens"], total["saved_output_tokens"]) == (30, 20)
