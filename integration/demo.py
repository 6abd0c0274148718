"""The demo's names, ports and keys, in one place: what envoy/envoy.yaml says, as the tools need it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import child

ENVOY_YAML = child.ROOT / "envoy" / "envoy.yaml"

LISTENER = ("127.0.0.1", 10000)
ADMIN = ("127.0.0.1", 9901)

USER_KEY = "sk-demo-user"
ADMIN_KEY = "sk-demo-admin"


@dataclass(frozen=True)
class ModelServer:
    """One of the model servers the demo's gateway spreads its requests over."""

    name: str
    port: int
    key_variable: str
    key: str
    models: tuple[str, ...]

    @property
    def address(self) -> tuple[str, int]:
        """Where envoy.yaml expects it."""
        return ("127.0.0.1", self.port)


SERVERS = tuple(
    ModelServer(
        name=f"mock-{letter}",
        port=port,
        key_variable=f"MOCK_{letter.upper()}_KEY",
        key=f"mock-{letter}-secret",
        models=(f"gpt-4o-mock-{letter}", "text-embedding-3-small"),
    )
    for letter, port in (("a", 9101), ("b", 9102), ("c", 9103))
)

# What Envoy's environment has to hold: the model servers' keys, by the names envoy.yaml gives them.
PROVIDER_KEYS = {server.key_variable: server.key for server in SERVERS}

CHAT_PATH = "/v1/chat/completions"
CHAT_HEADERS = {"Authorization": f"Bearer {USER_KEY}", "Content-Type": "application/json"}
CHAT_BODY = json.dumps(
    {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}, separators=(",", ":")
)


def chat(port: int, timeout: float = 10) -> tuple[int, bytes]:
    """Sends the demo's request to the gateway on `port`; returns the answer's status and body."""
    return child.fetch(
        f"http://127.0.0.1:{port}{CHAT_PATH}", "POST", CHAT_BODY.encode(), CHAT_HEADERS, timeout
    )


def curl(port: int) -> str:
    """The same request as a command to paste."""
    headers = "".join(f" -H {shlex.quote(f'{name}: {value}')}" for name, value in CHAT_HEADERS.items())
    return f"curl -s http://127.0.0.1:{port}{CHAT_PATH}{headers} -d {shlex.quote(CHAT_BODY)}"
