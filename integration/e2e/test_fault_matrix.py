"""Every kind of fault before an answer begins: no client notices, at any size, streamed or not.

Every call of a cell hits all of the faulty targets before it reaches a healthy one. `make soak` runs all cells; without it, one
faulty target and large requests have a cell for each way in which Envoy learns of a fault. (filters/src/fake/failures.rs has every
kind of failure with one and two faulty targets.)
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from typing import Any, Iterator, Mapping, NamedTuple

import pytest

import clients
import demo
from conftest import OpenWorld
from gateway import MockModels
from resilience import NEVER_EJECTED, UNLIMITED_RETRIES, add_upstream, target
from settings import Settings, rendered
from table import Table
from world import World, chat_body

AT_ONCE = 40
CALLS = {"1 KiB": 80, "1 MiB": 40}
ADMIN = {"authorization": f"Bearer {demo.ADMIN_KEY}"}
# Nothing listens there. (Port 1 represents names that do not resolve.)
REFUSING = ("127.0.0.1", 9)
NOWHERE = ("models.nowhere.invalid", 80)
SIZES = {"1 KiB": 1 << 10, "1 MiB": 1 << 20}
# Answers to large requests are cut to this many tokens, unless the fault is in the answer's body.
SHORT = 64
# The timeout of a hanging attempt, by the size of the request.
LIMITS = {"1 KiB": "500ms", "1 MiB": "2s"}
ECHO = "Hello from {}. You said: {}"
ECHO_TOKENS = 9


class Fault(NamedTuple):
    """The fault of the faulty targets, and the outcomes of their attempts."""

    orders: Mapping[str, Any]
    outcomes: set[str]
    models: str = "mock"
    kinds: tuple[str, ...] = ("json", "stream")
    whole: bool = False


def _status(code: int, **fields: Any) -> dict[str, Any]:
    return {"fault": "status", "status": code, **fields}


STREAM = ("stream",)
NOT_A_STREAM = _status(200, body='{"error":{"message":"Overloaded"}}')
FAULTS = {
    "503": Fault(_status(503), {"server_error"}),
    "429": Fault(_status(429, headers={"retry-after": "1"}), {"rate_limited"}),
    "529": Fault(_status(529), {"server_error"}),
    "refused": Fault({}, {"connect_failure:refused"}, "closed"),
    "closed at once": Fault({"fault": "close_early"}, {"reset"}),
    "closed once read": Fault({"fault": "close"}, {"reset"}),
    "reset in headers": Fault({"fault": "reset_headers"}, {"reset"}),
    "half headers": Fault({"fault": "half_headers"}, {"reset"}),
    "reset in mid-JSON": Fault({"fault": "reset_body"}, {"reset", "interrupted"}, kinds=("json",), whole=True),
    "hang": Fault({"fault": "hang"}, {"timeout"}, "hasty"),
    "error event": Fault({"fault": "error_event"}, {"bad_stream"}, kinds=STREAM),
    "empty stream": Fault({"fault": "empty_stream"}, {"bad_stream"}, kinds=STREAM),
    "stall at first": Fault({"fault": "stall"}, {"timeout"}, "hasty", STREAM),
    "JSON for a stream": Fault({"fault": "unstreamed"}, {"bad_stream"}, kinds=STREAM),
    "error for a stream": Fault(NOT_A_STREAM, {"bad_stream"}, kinds=STREAM),
    "zero hosts": Fault({}, {"connect_failure:dns"}, "nowhere"),
}
CELLS = [
    (name, faulty, kind, size)
    for name, fault in FAULTS.items()
    for faulty in (1, 2)
    for kind in fault.kinds
    for size in SIZES
]
# What Envoy tells the filters: a status, a connection that ends, a timeout, bytes.
LARGE = ("503", "closed once read", "hang", "reset in mid-JSON", "error event")
if not os.environ.get("SLUICE_ALL_FAULTS"):
    CELLS = [
        (name, faulty, kind, size)
        for name, faulty, kind, size in CELLS
        if (faulty, size) == (2, "1 KiB") or (name in LARGE and (faulty, size) == (1, "1 MiB"))
    ]


@pytest.fixture(scope="module")
def servers() -> Iterator[Mapping[str, MockModels]]:
    """A mock without a journal, which would hold gigabytes."""
    with contextlib.ExitStack() as running:
        started = (MockModels.demo(server, arguments=["--no-journal"]) for server in demo.SERVERS)
        yield {server.name: running.enter_context(server) for server in started}


@pytest.fixture(scope="module")
def _matrix_world(servers: Mapping[str, MockModels], open_world: OpenWorld) -> Iterator[World]:
    settings = Settings(rendered(servers))
    router = settings.values("router")
    router.update(ejection=NEVER_EJECTED, retry=UNLIMITED_RETRIES)
    for prefix, address in (("closed", REFUSING), ("nowhere", NOWHERE)):
        for letter in "ab":
            add_upstream(settings, f"{prefix}-{letter}", f"mock-{letter}", address)
    for faulty in (1, 2):
        for prefix in ("mock", "closed", "nowhere"):
            _add_model(settings, f"{prefix} {faulty}", prefix, faulty)
        for size, limit in LIMITS.items():
            _add_model(settings, f"hasty {faulty} {size}", "mock", faulty, retry={"per_try_timeout": limit})
    with open_world(settings.text(), servers) as world:
        yield world


@pytest.fixture
def matrix_world(_matrix_world: World) -> World:
    """Three targets per model; one or two of them are tried first."""
    _matrix_world.reset()
    for name in ("mock-a", "mock-b"):  # it may have sent `Retry-After`; its probe would come first after that
        restored = _matrix_world.send(path=f"/gateway/upstreams/{name}/restore", headers=ADMIN)
        assert restored.status_code == 200, restored.text
    return _matrix_world


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[Table]:
    """Complete calls of all calls, and the number of attempts."""
    columns = list(dict.fromkeys(_column(*cell[1:]) for cell in CELLS))
    table = Table("complete calls of all (attempts); faulty targets of 3, kind, size of the request", columns)
    yield table
    table.show(request.config)


@pytest.mark.parametrize(("name", "faulty", "kind", "size"), CELLS)
def test_no_call_fails(matrix_world: World, matrix: Table, name: str, faulty: int, kind: str, size: str) -> None:
    fault = FAULTS[name]
    waits = fault.models == "hasty"
    if fault.models in ("mock", "hasty"):
        matrix_world.fault(fault.orders, *("mock-a", "mock-b")[:faulty])
    calls = AT_ONCE if waits else CALLS[size]
    model = f"hasty {faulty} {size}" if waits else f"{fault.models} {faulty}"
    limit = None if fault.whole or size == "1 KiB" else SHORT
    asked = _bodies(calls, model, kind, SIZES[size], limit)
    answers = clients.ask(matrix_world.gateway.port, [body for _, body in asked], AT_ONCE)
    whole = [
        answer.is_stream == (kind == "stream") and _is_whole(answer, words, limit)
        for answer, (words, _) in zip(answers, asked)
    ]
    attempts = sum(len(answer.attempts()) for answer in answers)
    matrix.put(name, _column(faulty, kind, size), f"{sum(whole)}/{calls} ({attempts})")
    assert all(whole), Counter((answer.status_code, answer.complete, answer.content[:200]) for answer in answers)
    for answer in answers:
        _assert_attempts(answer, fault, faulty)


def _add_model(settings: Settings, name: str, prefix: str, faulty: int, **fields: Any) -> None:
    """The faulty targets have all the weight, so the others come last."""
    upstreams = [f"{prefix if index < faulty else 'mock'}-{letter}" for index, letter in enumerate("abc")]
    targets = [
        target(upstream, f"mock-{upstream[-1]}", weight=1_000_000 if index < faulty else 1)
        for index, upstream in enumerate(upstreams)
    ]
    settings.models.append({"name": name, "targets": targets, **fields})


def _column(faulty: int, kind: str, size: str) -> str:
    return f"{faulty} {kind} {size}"


def _bodies(calls: int, model: str, kind: str, size: int, limit: int | None) -> list[tuple[list[str], bytes]]:
    """The text of each request, with a visible order, and the request; all are different."""
    fields: dict[str, Any] = {"model": model, "stream": kind == "stream"}
    fields.update({"stream_options": {"include_usage": True}} if fields["stream"] else {})
    fields.update({"max_tokens": limit} if limit else {})
    # Long words, because the test needs neither 100,000 tokens per request nor 100 events per answer.
    length = 1000 if size > 10_000 else 64
    words = [f"{number:07}".ljust(length - 1, "x") for number in range(size // length)]
    before, after = chat_body(" ".join(["CALL", *words]), **fields).split(b"CALL")
    return [([f"call{call}", *words], b"%bcall%d%b" % (before, call, after)) for call in range(calls)]


def _is_whole(answer: clients.Answer, words: list[str], limit: int | None) -> bool:
    """The answer is complete, and the server has counted all words of the request."""
    said = words[: limit - ECHO_TOKENS] if limit else words
    wanted = ECHO.format(answer.headers.get("x-sluice-cluster", "mock-c"), " ".join(said))
    return answer.text() == wanted and answer.usage()["prompt_tokens"] == len(words)


def _assert_attempts(answer: clients.Answer, fault: Fault, faulty: int) -> None:
    """First the faulty ones, each once, then the one that succeeded."""
    *failed, last = answer.attempts()
    assert last == (answer.headers["x-sluice-cluster"], "success")
    prefix = "mock" if fault.models == "hasty" else fault.models
    assert sorted(cluster for cluster, _ in failed) == [f"{prefix}-{letter}" for letter in "ab"[:faulty]]
    assert {outcome for _, outcome in failed} <= fault.outcomes
