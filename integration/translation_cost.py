"""What translation adds to a chat: instructions for a request of 1 KiB with its answer, and for each event of a stream.

`make bench BENCH_ARGS=--instructions` prints them. One Envoy serves all targets, and each is compared with the one that speaks the
client's own dialect.
"""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import demo
import instructions
from bench_config import body, connection_manager, gateway, load_config, upstream
from cost import START_SECONDS

SAME = "openai"
TRANSLATED = ("anthropic", "gemini", "converse")
_REQUESTS = 100
_STREAMS = 20
# Lengths of streams in events; the difference between the two gives the cost of one.
_SHORT, _LONG = 5, 105


def measure() -> dict[str, dict[str, int]]:
    """By dialect: the instructions for a `request`, and for an `event`; those of the client's own dialect are whole, the others what
    translation adds. Raises instructions.NotCounted."""
    with upstream() as server, tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "counts"
        options: dict[str, Any] = {"prefix": instructions.prefix(out), "start_seconds": START_SECONDS}
        with gateway(_config(load_config(demo.ENVOY_YAML, server)), **options) as running:
            count = _Counter(running.port, running.child.pid, out)
            found = {dialect: count.dialect(dialect) for dialect in (SAME, *TRANSLATED)}
    same = found[SAME]
    return {
        dialect: each if dialect == SAME else {name: value - same[name] for name, value in each.items()}
        for dialect, each in found.items()
    }


def table(result: dict[str, dict[str, int]]) -> str:
    """The figures for people."""
    same = result[SAME]
    lines = [f"a chat through Envoy and Sluice: {same['request']} instructions, {same['event']} for each event of a stream; translation adds"]
    for dialect in TRANSLATED:
        added = result[dialect]
        shares = {name: f"{added[name]} ({added[name] / same[name]:.0%})" for name in same}
        lines.append(f"  to {dialect}: {shares['request']}, {shares['event']} for each event")
    return "\n".join(lines)


class _Counter:
    """Counts the instructions of one running Envoy."""

    def __init__(self, port: int, pid: int, out: Path):
        self._port, self._pid, self._out, self._dumps = port, pid, out, 0

    def dialect(self, dialect: str) -> dict[str, int]:
        """For a request, and for an event of a stream."""
        short, long = (self._count(dialect, _STREAMS, events) for events in (_SHORT, _LONG))
        return {"request": round(self._count(dialect, _REQUESTS)), "event": round((long - short) / (_LONG - _SHORT))}

    def _count(self, dialect: str, requests: int, events: int | None = None) -> float:
        load = partial(_ask, self._port, dialect, requests, events)
        counted = instructions.per_request(self._pid, self._out, load, self._dumps)
        self._dumps += instructions.DUMPS
        return counted


def _config(config: dict) -> dict:
    """The demo with a cluster for each dialect; all of them are the same server."""
    config = copy.deepcopy(config)
    clusters = config["static_resources"]["clusters"]
    route = connection_manager(config)["route_config"]["virtual_hosts"][0]["routes"][-1]["route"]
    matcher = route["inline_cluster_specifier_plugin"]["extension"]["typed_config"]["cluster_matcher"]
    lines = matcher["matcher_tree"]["exact_match_map"]["map"]
    router = _router(config)
    credential = router["upstreams"]["mock-a"]["credential"]
    router.update(upstreams={}, models=[])
    for dialect in (SAME, *TRANSLATED):
        clusters.append(json.loads(json.dumps(clusters[0]).replace('"mock-a"', json.dumps(dialect))))
        lines[dialect] = json.loads(json.dumps(lines["mock-a"]).replace('"mock-a"', json.dumps(dialect)))
        router["upstreams"][dialect] = {"cluster": dialect, "dialects": [dialect], "credential": credential}
        router["models"].append({"name": dialect, "targets": [{"upstream": dialect, "model": "gpt-4o"}]})
    return config


def _router(config: dict) -> dict:
    """The settings of the filter `router`."""
    plugins = [entry["typed_config"].get("config", {}) for entry in connection_manager(config)["http_filters"]]
    return next(plugin["configuration"]["value"]["router"] for plugin in plugins if "router" in plugin.get("root_id", "").split("+"))


def _ask(port: int, model: str, requests: int, events: int | None) -> int:
    """Sends this many requests, one by one, and returns the number; `events` asks for streams with so many pieces of text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    request = {**json.loads(body()), "model": model}
    request |= {"stream": True, "max_tokens": events} if events else {}
    content = json.dumps(request, separators=(",", ":")).encode()
    with contextlib.closing(connection):
        for _ in range(requests):
            connection.request("POST", demo.CHAT_PATH, content, demo.CHAT_HEADERS)
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != 200:
                raise instructions.NotCounted(f"a request for {model} was answered {answer.status}: {told[:200]!r}")
            if events and not events <= told.count(b'"content":') <= events + 2:
                raise instructions.NotCounted(f"a stream of {events} events has {told.count(b'content')}")
    return requests
