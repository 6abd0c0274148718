"""A gateway and its model servers, as a test sees them."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from typing import Any, Callable, Iterable, Iterator, Mapping

import httpx

import demo
from gateway import Gateway, MockModels

CHAT = demo.CHAT_PATH
MESSAGES = "/v1/messages"
BEARER = {"authorization": f"Bearer {demo.USER_KEY}"}
ADMIN = {"authorization": f"Bearer {demo.ADMIN_KEY}"}
SECRETS = (demo.USER_KEY, demo.ADMIN_KEY, *demo.PROVIDER_KEYS.values())
_ACTIVE = "http.gateway.downstream_rq_active"
# Workers publish their counts this often, in seconds, and a little more.
_PUBLISHED = 0.08
_METRIC = re.compile(r"^(\w+)\{(.*)\} (\d+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class World:
    """A test sends requests, and reads the servers' journals and the gateway's counters."""

    def __init__(self, gateway: Gateway, models: Mapping[str, MockModels]):
        self.gateway = gateway
        self.models = models
        self.url = f"http://127.0.0.1:{gateway.port}"
        # No limit of connections, because tests call from many threads.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.http = httpx.Client(base_url=self.url, timeout=20, trust_env=False, limits=limits)

    def reset(self) -> None:
        """Waits until all calls are counted, then resets: healthy servers in the pool, empty journals."""
        self.heal()
        ejected = {labels["cluster"] for labels, value in self.series("llm_ejected") if value}
        for cluster in ejected:
            self.send(path=f"/gateway/upstreams/{cluster}/restore", headers=ADMIN).raise_for_status()
        self.settle()

    def heal(self) -> None:
        """Resets to healthy servers and empty journals; ejected clusters stay out."""
        self.settle()
        for model in self.models.values():
            model.clear()

    def settle(self, seconds: float = 5) -> None:
        """Waits for the end of all requests: clients may have their answers before the requests are counted."""
        eventually(lambda: self.gateway.stats(f"^{re.escape(_ACTIVE)}$"), {_ACTIVE: 0}, seconds)

    def fault(self, fault: Mapping[str, Any], *names: str) -> None:
        """Sets a fault at the servers with these names, or at all servers."""
        for name in names or self.models:
            self.models[name].fault(fault)

    def send(
        self,
        content: bytes | Iterable[bytes] | None = None,
        *,
        path: str = CHAT,
        method: str = "POST",
        headers: Mapping[str, str] | None = BEARER,
    ) -> httpx.Response:
        """One request with exactly this body."""
        return self.http.request(method, path, content=content, headers=headers)

    def chat(self, text: str = "Hello", **fields: Any) -> httpx.Response:
        """One chat request; a stream is read to its end."""
        return self.send(chat_body(text, **fields))

    def journals(self) -> dict[str, list[dict[str, Any]]]:
        """The requests at each server, by its name."""
        return {name: model.requests() for name, model in self.models.items()}

    def entries(self) -> list[tuple[str, dict[str, Any]]]:
        """The same as one list."""
        return [(name, entry) for name, entries in self.journals().items() for entry in entries]

    def entry(self) -> tuple[str, dict[str, Any]]:
        """The only request at any server, and that server's name."""
        (entry,) = self.entries()
        return entry

    def counted(self, metric: str) -> Counter[tuple[str, ...]]:
        """A metric as Prometheus sees it, by the values of its labels, in order."""
        return Counter({tuple(labels.values()): value for labels, value in self.series(metric)})

    def series(self, metric: str) -> list[tuple[dict[str, str], int]]:
        """The same with the labels' names."""
        time.sleep(_PUBLISHED)
        matches = map(_METRIC.match, self.gateway.prometheus().splitlines())
        return [(dict(_LABEL.findall(match[2])), int(match[3])) for match in matches if match and match[1] == metric]

    def logged(self, since: int = 0) -> list[dict[str, Any]]:
        """The lines of the access log, starting at one."""
        return [json.loads(line) for line in self.gateway.output().splitlines() if line][since:]

    def everything_shown(self, output: bool = True) -> str:
        """Everything that an operator can see: log, stats, configuration, output."""
        shown = (self.gateway.ask(path) for path in ("/stats", "/stats/prometheus", "/config_dump", "/clusters"))
        return self.gateway.log() + (self.gateway.output() if output else "") + "".join(map(str, shown))


def chat_body(text: str = "Hello", **fields: Any) -> bytes:
    """A chat request."""
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **fields}
    return json.dumps(request, separators=(",", ":")).encode()


def pieces(body: bytes) -> Iterator[bytes]:
    """A body in chunks, so that no length is declared."""
    yield from (body[start : start + 4096] for start in range(0, len(body), 4096))


def eventually(read: Callable[[], Any], want: Any, seconds: float = 5) -> None:
    """Asserts a condition that becomes true soon: clients may have answers before the gateway has counted them."""
    deadline = time.monotonic() + seconds
    while (found := read()) != want and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found == want
