"""A gateway and the model servers behind it, as a test sees them."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from typing import Any, Callable, Iterable, Mapping

import httpx

import demo
from gateway import Gateway, MockModels

CHAT = demo.CHAT_PATH
MESSAGES = "/v1/messages"
BEARER = {"authorization": f"Bearer {demo.USER_KEY}"}
SECRETS = (demo.USER_KEY, demo.ADMIN_KEY, *demo.PROVIDER_KEYS.values())
_ACTIVE = "http.gateway.downstream_rq_active"
_METRIC = re.compile(r"^(\w+)\{(.*)\} (\d+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
# How the dialects name input and output.
_USAGE_NAMES = (
    ("prompt_tokens", "completion_tokens"),
    ("input_tokens", "output_tokens"),
    ("prompt_eval_count", "eval_count"),
    ("promptTokenCount", "candidatesTokenCount"),
)


class World:
    """Requests go in at one side; the other side's journals and the gateway's counters come out."""

    def __init__(self, gateway: Gateway, models: Mapping[str, MockModels]):
        self.gateway = gateway
        self.models = models
        self.url = f"http://127.0.0.1:{gateway.port}"
        # No limit of connections, for tests ask from many threads.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.http = httpx.Client(base_url=self.url, timeout=20, trust_env=False, limits=limits)

    def reset(self) -> None:
        """Back to healthy servers and empty journals, once all that went before has been counted."""
        eventually(lambda: self.gateway.stats(r"^http\.gateway\.downstream_rq_active$"), {_ACTIVE: 0})
        for model in self.models.values():
            model.clear()

    def fault(self, fault: Mapping[str, Any], *names: str) -> None:
        """Gives the servers of these names a fault; all of them, if none is named."""
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
        """What each server was asked, by its name."""
        return {name: model.requests() for name, model in self.models.items()}

    def entries(self) -> list[tuple[str, dict[str, Any]]]:
        """The same, one by one."""
        return [(name, entry) for name, entries in self.journals().items() for entry in entries]

    def entry(self) -> tuple[str, dict[str, Any]]:
        """The one request that any server was asked, and that server's name."""
        (entry,) = self.entries()
        return entry

    def counted(self, metric: str) -> Counter[tuple[str, ...]]:
        """A metric as Prometheus sees it, by the values of its labels in their order."""
        return Counter({tuple(labels.values()): value for labels, value in self.series(metric)})

    def series(self, metric: str) -> list[tuple[dict[str, str], int]]:
        """The same with the labels' names."""
        matches = map(_METRIC.match, self.gateway.prometheus().splitlines())
        return [(dict(_LABEL.findall(match[2])), int(match[3])) for match in matches if match and match[1] == metric]

    def everything_shown(self) -> str:
        """All that an operator can see of the gateway: its log, its stats, its configuration."""
        shown = (self.gateway.ask(path) for path in ("/stats", "/stats/prometheus", "/config_dump", "/clusters"))
        return self.gateway.log() + self.gateway.output() + "".join(map(str, shown))


def chat_body(text: str = "Hello", **fields: Any) -> bytes:
    """A chat request."""
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **fields}
    return json.dumps(request, separators=(",", ":")).encode()


def events(stream: bytes) -> list[Any]:
    """The events of an SSE stream, parsed but for `[DONE]`."""
    data = [event.rpartition(b"data: ")[2] for event in stream.split(b"\n\n") if event]
    return [json.loads(text) if text != b"[DONE]" else "[DONE]" for text in data]


def content(response: httpx.Response) -> str:
    """The text of a chat answer, streamed or not."""
    if response.headers["content-type"] == "application/json":
        return response.json()["choices"][0]["message"]["content"]
    chunks = [chunk for chunk in events(response.content) if chunk != "[DONE]"]
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


def tokens(usage: Mapping[str, Any] | None) -> tuple[int, int]:
    """Input and output of the usage a journal shows, in whichever dialect."""
    names = next((names for names in _USAGE_NAMES if usage and names[0] in usage), None)
    return (usage[names[0]], usage.get(names[1], 0)) if names else (0, 0)


def eventually(read: Callable[[], Any], want: Any, seconds: float = 5) -> None:
    """Asserts what becomes true soon: a client may have its answer before the gateway has counted it."""
    deadline = time.monotonic() + seconds
    while (found := read()) != want and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found == want
