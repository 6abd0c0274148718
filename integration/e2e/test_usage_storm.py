"""Every token is counted once: mixed calls under load, some of them cut on either side, compared with the servers' journals.

`SLUICE_USAGE_CALLS=20000` is the long form.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import random
import re
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import answers
import clients
import demo
import request_kinds
from conftest import OpenWorld
from gateway import MockModels
from player import Played, Player
from resilience import NEVER_EJECTED_ALONE
from settings import Settings
from table import Table
from world import ADMIN, BEARER, World, eventually

CALLS = int(os.environ.get("SLUICE_USAGE_CALLS", "3000"))
AT_ONCE = 40
# The fates of a hundred calls.
SHARES = {"whole": 90, "cut": 5, "left": 3.5, "left before": 1.5}
# The ways in which a server breaks off a stream: looking like an end, or not.
BREAKS = {"cut-a": {"fault": "truncate_stream", "after_events": 4}, "cut-b": {"fault": "reset_body", "after_events": 4}}
SLOW = {"slow": {"chunk_delay_ms": 30, "text": "word " * 400}, "late": {"delay_ms": 5000}}
KEYS = {"demo-user": demo.USER_KEY, "demo-admin": demo.ADMIN_KEY}
USAGE = "/gateway/usage"
# 100 MB in events of 64 KiB.
LARGE = [b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * 65_480)] * 1526
# The memory for a thousand texts of the largest batches: the tokens come after 20 MB of numbers.
EMBEDDING = b'{"object":"embedding","index":0,"embedding":[%b]}' % b",".join([b"-0.012345678"] * 1536)
EMBEDDINGS = b'{"object":"list","data":[%b],"model":"m","usage":{"prompt_tokens":8191,"total_tokens":8191}}' % b",".join([EMBEDDING] * 1000)
LARGE_END = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9}}\n\ndata: [DONE]\n\n'


@dataclass(frozen=True)
class Call:
    """One call, and its planned fate."""

    number: int
    key: str
    model: str
    path: str
    body: bytes
    # "whole", "cut" by the server, "left" in mid-stream, or "left before" the answer.
    fate: str

    @property
    def headers(self) -> dict[str, str]:
        """The client's key, and the text that identifies the call in the journals."""
        version = {"anthropic-version": "2023-06-01"}
        return {"authorization": f"Bearer {KEYS[self.key]}", "x-call": str(self.number), **version}


def _calls() -> list[Call]:
    chance = random.Random(3)
    calls = []
    for number in range(CALLS):
        (fate,) = chance.choices(list(SHARES), list(SHARES.values()))
        models = {"whole": ["sea", "lake", "pond"], "cut": list(BREAKS), "left": ["slow"], "left before": ["late"]}
        model = chance.choice(models[fate])
        shapes = request_kinds.shapes(model, f"call {number}" + " word" * chance.randrange(40))
        path, body = chance.choice(shapes if fate == "whole" else shapes[: request_kinds.STREAMS])
        calls.append(Call(number, chance.choice(list(KEYS)), model, path, json.dumps(body).encode(), fate))
    return calls


@pytest.fixture(scope="module")
def storm_world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    """Servers that accept any model: three healthy ones, two that break off, two slow ones, and one for large answers."""
    changed = settings()
    changed.values("auth")["keys"].append({"id": "nobody", "role": "user", "hash": "sha256:" + "0" * 64})
    with ExitStack() as running:
        servers = {name: running.enter_context(MockModels(name)) for name in ("sea", "lake", "pond", *BREAKS, *SLOW)}
        played = {
            "large": Played("text/event-stream", lambda: [*LARGE, LARGE_END]),
            "embeddings": Played("application/json", EMBEDDINGS),
        }
        player = running.enter_context(Player(played))
        for name, address in {**{name: each.address for name, each in servers.items()}, "large": player.address}.items():
            changed.add_cluster(name, address)
            changed.upstreams[name] = {"dialects": request_kinds.DIALECTS, "ejection": NEVER_EJECTED_ALONE, "forward_headers": ["x-answer", "x-call"], "strict_end": True}
            changed.models.append({"name": name, "targets": [{"upstream": name}]})
        changed.models.append({"name": "*", "targets": [{"upstream": "sea"}]})
        with open_world(changed.text(), servers, own=True) as world:  # its own Envoy, because its memory is measured
            yield world


def test_every_token_is_counted_once(storm_world: World, request: pytest.FixtureRequest) -> None:
    world = storm_world
    for name, orders in {**BREAKS, **SLOW}.items():
        world.fault(orders, name)
    calls = _calls()
    before = {metric: world.counted(metric) for metric in ("llm_requests_total", "llm_tokens_total", "llm_usage_source_total")}
    start = time.monotonic()
    came = clients.each(world.gateway.port, AT_ONCE, (lambda client, call=call: _visit(client, call) for call in calls))
    seconds = time.monotonic() - start
    world.settle()
    failed = [(call, answer) for call, answer in zip(calls, came) if call.fate == "whole" and not (answer.status_code == 200 and answer.complete)]
    assert not failed, failed[:2]

    fates = Counter(call.fate for call in calls)
    # a call that left before the answer has no tokens, and no source
    sources = Counter({("reported",): fates["whole"], ("partial",): fates["cut"] + fates["left"]})
    eventually(lambda: world.counted("llm_usage_source_total") - before["llm_usage_source_total"], sources)
    requests = world.counted("llm_requests_total") - before["llm_requests_total"]
    want = Counter((call.key, call.model, call.model, "0" if call.fate == "left before" else "200") for call in calls)
    assert requests == want and requests.total() == len(calls)
    tokens = world.counted("llm_tokens_total") - before["llm_tokens_total"]
    complete = _reported(world, calls)
    assert _of(tokens, "sea", "lake", "pond") == complete and complete.total() > 10 * len(calls)
    _assert_parts(world, calls, tokens)
    _show(calls, seconds, tokens, request.config)


async def _visit(client: clients.Client, call: Call) -> clients.Answer:
    how = {"path": call.path, "headers": call.headers}
    if call.fate in ("whole", "cut"):
        return await client.ask(call.body, **how)
    answer = clients.Answer()
    await client.send(call.body, **how)
    if call.fate == "left":
        pieces = client.receive(answer)
        for _ in range(1 + call.number % 4):
            assert await anext(pieces, None), (call, answer)
    else:
        await asyncio.sleep(0.2)  # the gateway has read the request, and a server prepares the answer
    client.leave()
    return answer


def _reported(world: World, calls: list[Call]) -> Counter[tuple[str, ...]]:
    """The usage of complete calls in the clients' answers, with the gateway's labels."""
    by_number = {call.number: call for call in calls}
    reported: Counter[tuple[str, ...]] = Counter()
    seen = Counter()
    for name, entry in world.entries():
        number = entry["headers"].get("x-call")
        call = by_number.get(int(number)) if number else None
        if call and call.fate == "whole":
            seen[call.number] += 1
            for kind, count in zip(("input", "output"), answers.tokens(entry["usage"])):
                reported[(call.key, call.model, name, kind)] += count
    assert seen == Counter(call.number for call in calls if call.fate == "whole"), "each call reached a server once"
    return +reported


def _assert_parts(world: World, calls: list[Call], tokens: Counter[tuple[str, ...]]) -> None:
    """For cut calls the passed text is counted, by estimate if the server had not reported it yet."""
    by_number = {str(call.number): call for call in calls}
    said: Counter[tuple[str, ...]] = Counter()
    for name, entry in world.entries():
        call = by_number.get(entry["headers"].get("x-call", ""))
        if call and call.fate != "whole":
            for kind, count in zip(("input", "output"), answers.tokens(entry["usage"])):
                said[(call.key, call.model, name, kind)] += count
    counted = _of(tokens, *BREAKS, *SLOW)
    assert all(count <= 2 * said[labels] + 20 * len(calls) for labels, count in counted.items()), (counted, said)


def _of(counted: Counter[tuple[str, ...]], *models: str) -> Counter[tuple[str, ...]]:
    """The counts of these models."""
    return Counter({labels: count for labels, count in counted.items() if labels[1] in models})


def _show(calls: list[Call], seconds: float, tokens: Counter[tuple[str, ...]], config: pytest.Config) -> None:
    table = Table(f"{len(calls)} mixed calls in {seconds:.1f} s", ["calls", "input", "output"])
    for fate, count in Counter(call.fate for call in calls).items():
        table.put(fate, "calls", count)
    for model in sorted({call.model for call in calls}):
        of = _of(tokens, model)
        for kind in ("input", "output"):
            table.put(f"model {model}", kind, sum(count for (*_, each), count in of.items() if each == kind))
        table.put(f"model {model}", "calls", sum(call.model == model for call in calls))
    table.show(config)


# Usage as the gateway reports it.

NUMBERS = ["requests", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_output_tokens"]
NUMBERS += ["cost_microusd", "incomplete_requests", "cache_hits", "saved_input_tokens", "saved_output_tokens"]
# Names that are special in a stat, in JSON or in a spreadsheet.
ODD = ["a.b c", "ü日本", 'q"uote,', "=1+1", "-x", "x" * 250, "semi;colon=1"]


def test_usage_equals_the_stats(storm_world: World) -> None:
    """Usage by key, model and cluster equals the stats; usage by day is their sum. A user only sees its own."""
    world = storm_world
    for model in ODD:
        for key in KEYS.values():
            path, body = request_kinds.shapes(model, "odd names")[9]
            headers = {"authorization": f"Bearer {key}"}
            assert world.send(json.dumps(body).encode(), path=path, headers=headers).status_code == 200
    for by in ("key", "model", "cluster"):
        eventually(lambda: _both(world, by), [], seconds=10)
    whole, keys = _rows(world, "day"), _rows(world, "key")
    assert len(whole) in (1, 2) and all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for day in whole)
    for name in NUMBERS[1:]:
        assert sum(row[name] for row in whole.values()) == sum(row[name] for row in keys.values()), name
    assert set(ODD) <= _rows(world, "model").keys()
    own = _rows(world, "key", headers=BEARER)
    assert own.keys() == {"demo-user"} and own["demo-user"]["input_tokens"] == keys["demo-user"]["input_tokens"]
    assert "demo-admin" not in world.send(method="GET", path=f"{USAGE}?by=key&key=demo-admin", headers=BEARER).text


def test_usage_as_csv(storm_world: World) -> None:
    world = storm_world
    for model in ODD:
        path, body = request_kinds.shapes(model, "odd names")[9]
        assert world.send(json.dumps(body).encode(), path=path).status_code == 200
    want = _rows(world, "model")
    response = world.send(method="GET", path=f"{USAGE}?by=model&format=csv", headers=ADMIN)
    assert response.headers["content-type"].startswith("text/csv")
    header, *rows = csv.reader(io.StringIO(response.text, newline=""))
    assert header == ["model", *NUMBERS]
    # no cell is a formula in a spreadsheet
    assert not [name for name, *_ in rows if name[:1] in "=+-@"]
    found = {name.removeprefix("'"): dict(zip(NUMBERS, map(int, numbers))) for name, *numbers in rows}
    assert found.keys() - {"none"} == want.keys() - {"none"}
    assert all(found[name] == want[name] for name in found if name != "none"), "the call before counts as well"


REFUSED = [
    ("GET", f"{USAGE}?by=week", ADMIN, 400),
    ("GET", USAGE, {}, 401),
    ("GET", f"{USAGE}?nobody=knows", BEARER, 200),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), REFUSED)
def test_usage_parameters_are_checked(storm_world: World, method: str, path: str, headers: dict, status: int) -> None:
    response = storm_world.send(method=method, path=path, headers=headers)
    assert response.status_code == status
    if status >= 400:
        answers.openai_error(response)


def _rows(world: World, by: str, headers: Any = ADMIN) -> dict[str, dict[str, int]]:
    """The gateway's report, by name."""
    response = world.send(method="GET", path=f"{USAGE}?by={by}", headers=headers)
    assert response.status_code == 200, response.text
    told = response.json()
    assert (told["object"], told["by"]) == ("list", by)
    return {row.pop(by): row for row in told["data"]}


def _both(world: World, by: str) -> list[Any]:
    """The differences between the stats and the gateway's own totals; empty if they agree. The stats are read first, because a
    request for the totals also counts."""
    world.settle()
    place = ["key", "model", "cluster"].index(by)
    stats: dict[str, Counter[str]] = {}
    for labels, count in world.counted("llm_requests_total").items():
        stats.setdefault(labels[place], Counter())["requests"] += count
    for labels, count in world.counted("llm_tokens_total").items():
        stats.setdefault(labels[place], Counter())[f"{labels[3]}_tokens"] += count
    sums: dict[str, Counter[str]] = {}
    for name, row in _rows(world, by).items():
        sums.setdefault(_label(name), Counter()).update({each: row[each] for each in NUMBERS[:5]})
    strip = lambda each: {name: dict(+counts) for name, counts in each.items() if name != "none"}
    found, want = strip(sums), strip(stats)
    return [(name, found.get(name), want.get(name)) for name in found.keys() | want.keys() if found.get(name) != want.get(name)]


def _label(name: str) -> str:
    """A name in the stats' form."""
    return re.sub(r"[^A-Za-z0-9_./@+-]", "_", name[:100])


# Memory.


def test_a_large_stream_leaves_memory_flat(storm_world: World, request: pytest.FixtureRequest) -> None:
    """100 MB, metered while they pass."""
    world = storm_world
    body = json.dumps({"model": "large", "stream": True, "messages": [{"role": "user", "content": "all of it"}]}).encode()
    status = Path(f"/proc/{world.gateway.child.pid}/status")
    before = world.counted("llm_tokens_total")
    rss = [_resident(status)]
    got = 0

    async def visit(client: clients.Client) -> None:
        nonlocal got
        answer = clients.Answer()
        await client.send(body, headers={**BEARER, "x-answer": "large"})
        async for piece in client.receive(answer):
            if got // (5 << 20) != (got + len(piece)) // (5 << 20):
                rss.append(_resident(status))
            got += len(piece)

    start = time.monotonic()
    clients.each(world.gateway.port, 1, [visit])
    seconds = time.monotonic() - start
    usage = [(("demo-user", "large", "large", "input"), 7), (("demo-user", "large", "large", "output"), 9)]
    eventually(lambda: world.counted("llm_tokens_total") - before, Counter(dict(usage)))
    # the buffers of Envoy and the wasm are full after the first tenth
    idle, early, most = (size / 1024 for size in (rss[0], max(rss[:3]), max(rss)))
    table = Table(f"Envoy's memory while {got / 1e6:.0f} MB are metered in {seconds:.1f} s", ["before", "after 10 MB", "at most"])
    for column, size in zip(table.columns, (idle, early, most)):
        table.put("MB", column, f"{size:.0f}")
    table.show(request.config)
    assert got >= 99e6 and len(rss) >= 15
    assert most - early < 32 and most - idle < 80, rss


@pytest.mark.parametrize("piece", [16_384, 1 << 20])
def test_many_embeddings(storm_world: World, piece: int) -> None:
    world = storm_world
    before = world.counted("llm_tokens_total")
    body = json.dumps({"model": "large", "input": ["all of it"]}).encode()
    response = world.send(body, path="/v1/embeddings", headers={**BEARER, "x-answer": f"embeddings/{piece}"})
    assert response.status_code == 200 and response.content == EMBEDDINGS
    usage = {("demo-user", "large", "large", "input"): 8191}
    eventually(lambda: world.counted("llm_tokens_total") - before, Counter(usage))


def _resident(status: Path) -> int:
    """A process's memory in KiB."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", status.read_text())[1])
