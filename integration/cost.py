"""The cost of a request, in figures that other programs on the machine do not change: the calls from Envoy to the filters and
back, counted in Envoy's log, and the instructions, counted by callgrind.

The figures to compare with are in bench/cost.json: `make bench BENCH_ARGS='--instructions --accept'` writes them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Callable, Collection, Iterator

import demo
import instructions
from bench_config import FILTERS, bare, body, gateway, load_config, upstream, with_filters
from gateway import WASM, Gateway

ACCEPTED = Path(__file__).resolve().parent / "bench" / "cost.json"
# A figure may exceed the accepted one by this much.
TOLERANCE = 0.03
_REQUESTS = 600
_TRACED = 40
# V8 compiles all filters at the start, which takes minutes under valgrind on a busy machine.
START_SECONDS = 600
_CALL = re.compile(r"\[(host->vm|vm->host|host<-vm)\] (?:env\.|wasi_snapshot_preview1\.)?(\w+)")


def count_calls(config: dict, wasm: Path = WASM) -> dict[str, dict[str, float]]:
    """The calls for one request, by name: `entries` from Envoy into the VM, and `host_calls` from the filters to Envoy.

    Requests are sent one by one. Calls on ticks are not counted."""
    with gateway(config, arguments=["--component-log-level", "wasm:trace"], wasm=wasm) as running:
        _ask(running.port, _TRACED)
        time.sleep(0.3)
        before = len(running.log())
        _ask(running.port, _TRACED)
        time.sleep(0.3)  # until the last request is logged
        log = running.log()[before:]
    counts: dict[str, dict[str, float]] = {"entries": {}, "host_calls": {}}
    for way, name in _calls(log):
        by_name = counts["entries" if way == "host->vm" else "host_calls"]
        by_name[name] = by_name.get(name, 0) + 1 / _TRACED
    return {kind: {name: round(count, 2) for name, count in sorted(by_name.items())} for kind, by_name in counts.items()}


def _calls(log: str) -> Iterator[tuple[str, str]]:
    """The calls in Envoy's log, except those on ticks."""
    in_tick = False
    for line in log.splitlines():
        if call := _CALL.search(line):
            way, name = call.groups()
            if name == "proxy_on_tick":
                in_tick = way == "host->vm"
            elif way != "host<-vm" and not in_tick:
                yield way, name


def count_instructions(configs: dict[str, dict], wasm: Path = WASM) -> dict[str, int]:
    """Instructions for a request in each of these configurations. Raises instructions.NotCounted."""
    counts = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, config in configs.items():
            out = Path(directory) / name
            options = {"prefix": instructions.prefix(out), "start_seconds": START_SECONDS}
            with gateway(config, **options, **({"wasm": wasm} if name != "bare" else {})) as running:
                load = partial(_ask, running.port, _REQUESTS)
                counts[name] = round(instructions.per_request(running.child.pid, out, load))
    return counts


def _ask(port: int, requests: int) -> int:
    """Sends this many requests, one by one, and returns the number. Each is sent in one piece, so that the kernel cannot split
    it.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    content = body().encode()
    with contextlib.closing(connection):
        for _ in range(requests):
            connection.request("POST", demo.CHAT_PATH, content, demo.CHAT_HEADERS)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise instructions.NotCounted(f"a request was answered {answer.status}")
    return requests


def measure(path: Path = demo.ENVOY_YAML, filters: Collection[str] = FILTERS, counts_instructions: bool = True) -> dict[str, object]:
    """The cost of a request with these filters of a configuration."""
    with upstream() as server:
        config = load_config(path, server)
        with_sluice = with_filters(config, set(filters))
        calls = count_calls(with_sluice)
        result: dict[str, object] = {"calls": calls, **{kind: round(sum(by_name.values()), 2) for kind, by_name in calls.items()}}
        if counts_instructions:
            counts = count_instructions({"bare": bare(config), "sluice": with_sluice})
            result["instructions"] = {**counts, "added": counts["sluice"] - counts["bare"]}
    return result


def accepted() -> dict[str, int]:
    """The accepted cost of a request: `entries`, `host_calls`, `added` instructions."""
    return json.loads(ACCEPTED.read_text())


def figures(result: dict) -> dict[str, float]:
    """Those of what has been measured."""
    counted = result.get("instructions")
    return {"entries": result["entries"], "host_calls": result["host_calls"], **({"added": counted["added"]} if counted else {})}


def accept(result: dict) -> None:
    """Writes what has been measured as the figures to compare with."""
    ACCEPTED.write_text(json.dumps(figures(result)) + "\n")


def excess(result: dict, limits: dict[str, float] | None = None) -> list[str]:
    """What costs more than is accepted."""
    limits = limits or accepted()
    over = [(name, value, limits[name]) for name, value in figures(result).items() if value > limits[name] * (1 + TOLERANCE)]
    return [f"{name}: {value:g} for each request, where {limit:g} are accepted" for name, value, limit in over]


def table(result: dict) -> str:
    """The figures for people."""
    lines = []
    if counted := result.get("instructions"):
        ratio = counted["bare"] / counted["sluice"]
        lines.append(
            f"instructions for each request: bare Envoy {counted['bare']}, Sluice {counted['sluice']}, "
            f"added {counted['added']}, ratio {ratio:.3f}"
        )
    for kind, title in (("entries", "entries into the VM"), ("host_calls", "calls of Envoy")):
        names = ", ".join(f"{name.removeprefix('proxy_')} {count:g}" for name, count in result["calls"][kind].items())
        lines.append(f"{title}: {result[kind]:g} ({names})")
    return "\n".join(lines)
