"""The demo's names, ports and keys, in one place: what envoy/envoy.yaml says, as the tools need it."""

from __future__ import annotations

import json
import os
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path

import child

ENVOY_YAML = child.ROOT / "envoy" / "envoy.yaml"

# The same gateway with its guard: `make run GUARD=1`.
GUARD_YAML = child.ROOT / "envoy" / "examples" / "guard.yaml"

Address = tuple[str, int]
LISTENER = ("127.0.0.1", 10000)
ADMIN = ("127.0.0.1", 9901)

USER_KEY = "sk-demo-user"
ADMIN_KEY = "sk-demo-admin"


def is_guarded() -> bool:
    """Whether the demo is to be the one with a guard, as in `make run GUARD=1`."""
    return os.environ.get("GUARD", "0") not in ("", "0")


@dataclass(frozen=True)
class ModelServer:
    """One of the model servers the demo's gateway spreads its requests over."""

    name: str
    port: int
    key_variable: str
    key: str
    models: tuple[str, ...]

    @property
    def address(self) -> Address:
        """Where envoy.yaml expects it."""
        return ("127.0.0.1", self.port)

    @property
    def port_variable(self) -> str:
        """What names another port for it, in the environment of `make run`: MOCK_A_PORT."""
        return self.key_variable.replace("_KEY", "_PORT")


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

# The model servers' keys, by the names envoy.yaml gives them.
PROVIDER_KEYS = {server.key_variable: server.key for server in SERVERS}

# The secret of virtual keys has this name; each process has another value, so none is ever committed.
KEY_SECRET = "SLUICE_KEY_SECRET"
ENVIRONMENT = {**PROVIDER_KEYS, KEY_SECRET: secrets.token_hex(32)}

# The classifiers that guard.yaml expects.
TOXICITY = ("127.0.0.1", 9201)
PRESIDIO = ("127.0.0.1", 9202)

PAGE_PATH = "/gateway/ui"
CHAT_PATH = "/v1/chat/completions"
CHAT_HEADERS = {"Authorization": f"Bearer {USER_KEY}", "Content-Type": "application/json"}
GREETING = "Hello"
# What the guard blocks, and what it hides from the model: the address in it.
TOXIC = "You are an idiot and everybody at work knows it."
ADDRESS = "ann@example.com"
PERSONAL = f"Write to {ADDRESS} about the visa."


def chat_body(text: str = GREETING) -> str:
    """The demo's request."""
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "gpt-4o", "messages": messages}, separators=(",", ":"))


CHAT_BODY = chat_body()


def chat(port: int, timeout: float = 10, text: str = GREETING) -> tuple[int, bytes]:
    """Sends the demo's request to the gateway on `port`; returns the answer's status and body."""
    url = f"http://127.0.0.1:{port}{CHAT_PATH}"
    return child.fetch(url, "POST", chat_body(text).encode(), CHAT_HEADERS, timeout)


def curl(port: int, text: str = GREETING) -> str:
    """The same request as a command to paste."""
    headers = "".join(f" -H {shlex.quote(f'{name}: {value}')}" for name, value in CHAT_HEADERS.items())
    return f"curl -s http://127.0.0.1:{port}{CHAT_PATH}{headers} -d {shlex.quote(chat_body(text))}"
