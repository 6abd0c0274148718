"""A gateway with a guard, and a classifier that a test controls: it answers normally, late, wrongly or not at all."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Mapping, Sequence

from settings import Settings
from world import World

CHAIN = "auth+guard+router+usage"
# The texts that the classifier flags.
BAD_WORDS = ("venom", "bile")
CATEGORY = "toxicity"
# An answer larger than the gateway reads.
TOO_LARGE = 2 << 20

Verdicts = dict[tuple[str, str, str], int]


def guarded(settings: Settings, checks: Sequence[Mapping[str, Any]], **fields: Any) -> Settings:
    """Puts the guard between `auth` and `router`; returns the settings. The cache is off by default."""
    plugin = settings.plugin("auth")
    plugin["root_id"] = CHAIN
    plugin["configuration"]["value"]["guard"] = {"checks": list(checks), "cache": {"entries": 0}, **fields}
    return settings


def check(name: str, cluster: str = "classifier", **fields: Any) -> dict[str, Any]:
    """A check of requests by `Classifier`, for clients that wait 400 ms."""
    common = {"name": name, "api": "openai_moderations", "cluster": cluster, "timeout": "400ms"}
    return {**common, "phase": ["request"], "action": "block", "on_failure": "deny", **fields}


def verdicts(world: World) -> Verdicts:
    """The counts so far, by check, phase and verdict."""
    names = ("check", "phase", "verdict")
    return {tuple(labels[name] for name in names): value for labels, value in world.series("llm_guard_total")}


def since(before: Verdicts, now: Verdicts) -> Verdicts:
    """The difference between two counts."""
    return {key: now[key] - before.get(key, 0) for key in now if now[key] != before.get(key, 0)}


def in_flight(world: World) -> int:
    """The running calls to services."""
    return sum(world.gateway.stats("llm_guard_in_flight").values())


def results(texts: Sequence[str]) -> list[dict[str, Any]]:
    """The classifier's result for texts."""
    flags = [any(word in text for word in BAD_WORDS) for text in texts]
    return [
        {"flagged": flag, "categories": {CATEGORY: flag}, "category_scores": {CATEGORY: float(flag)}} for flag in flags
    ]


@dataclass(frozen=True)
class Way:
    """How the classifier answers: after `delay` seconds, with this status, and with these bytes instead of its verdicts."""

    delay: float = 0.0
    status: int = 200
    body: bytes | Callable[[Sequence[str]], bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    # Resets the connection: "before" the response headers, or "within" the body.
    reset: str = ""
    # The body stops halfway.
    stall: bool = False


class Fake:
    """A classifier with OpenAI's moderations API."""

    def __init__(self) -> None:
        self.way = Way()
        # Exceptions, by a part of the text.
        self.ways: dict[str, Way] = {}
        self.asked: list[list[str]] = []
        self._server = _Server(("127.0.0.1", 0), self._handler())

    @property
    def address(self) -> tuple[str, int]:
        """As an address for a cluster."""
        return ("127.0.0.1", self._server.server_port)

    def reset(self) -> None:
        """Resets it to healthy answers."""
        self.way = Way()
        self.ways = {}
        self.asked = []

    def _way(self, texts: Sequence[str]) -> Way:
        return next((way for word, way in self.ways.items() if any(word in text for text in texts)), self.way)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
                fake.asked.append(texts)
                way = fake._way(texts)
                time.sleep(way.delay)
                try:
                    self._answer(way, texts)
                except OSError:
                    self.close_connection = True  # the gateway has closed the connection

            def _answer(self, way: Way, texts: Sequence[str]) -> None:
                if way.reset == "before":
                    return self._reset()
                body = way.body(texts) if callable(way.body) else way.body
                if body is None:
                    body = json.dumps({"id": "1", "model": "fake", "results": results(texts)}).encode()
                self.send_response(way.status)
                for name, value in {"content-type": "application/json", **way.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                part = len(body) // 2 if way.stall or way.reset else len(body)
                self.wfile.write(body[:part])
                if way.stall:
                    time.sleep(2)
                if way.stall or way.reset:
                    self._reset()

            def _reset(self) -> None:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                self.connection.close()

            def log_message(self, *_: object) -> None:
                """Logs nothing: a failed test prints the reason."""

        return Handler

    def __enter__(self) -> Fake:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Guarded:
    """A gateway with a guard, and its classifier."""

    world: World
    fake: Fake

    def reset(self) -> None:
        """Resets both for the next test."""
        self.fake.reset()
        self.world.reset()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs nothing: broken connections are part of these tests."""
