"""Clients of WebSocket, and the gateway that they connect to."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any, Mapping

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from resilience import NEVER_EJECTED
from settings import Settings
from world import BEARER, World, eventually

REALTIME = "/v1/realtime?model=gpt-4o"
RESPONSES = "/v1/responses"
LISTED, LIMITED, POOR, SINGLE = "sk-listed", "sk-limited", "sk-poor", "sk-single"
CREATE = {"type": "response.create"}
PRICE = {"input": 1_000_000, "output": 1_000_000}  # dollars per million tokens, so that cents are enough


def _key(id: str, key: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "hash": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}", **fields}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def configured(settings: Settings) -> Settings:
    settings.values("router")["ejection"] = NEVER_EJECTED
    settings.values("router")["paths"] = [{"path": RESPONSES, "upstream": "mock-a"}]
    settings.add_model("cheap", "mock-a", price=PRICE)
    settings.add_model("in-turn", "mock-a", "mock-b")
    settings.values("auth")["virtual_keys"] = {"secrets": [{"env": "SIGNING_SECRET"}]}
    settings.plugin("auth")["vm_config"]["environment_variables"]["host_env_keys"].append("SIGNING_SECRET")
    settings.values("auth")["keys"] += [
        _key("listed", LISTED, models=["gpt-4o"]),
        _key("limited", LIMITED, limits={"requests_per_minute": 3}),
        _key("poor", POOR, limits={"tokens_per_day": 30}),
        _key("single", SINGLE, limits={"concurrency": 1}),
    ]
    return settings


def open_socket(world: World, path: str = REALTIME, headers: Mapping[str, str] = BEARER, **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{world.gateway.port}{path}", additional_headers=headers, close_timeout=5, **options)


def refused(world: World, path: str = REALTIME, headers: Mapping[str, str] = BEARER) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as found:
        open_socket(world, path, headers)
    return found.value.response.status_code, json.loads(found.value.response.body)["error"]["code"]


def say(client: ClientConnection, event: Mapping[str, Any] | str | bytes) -> None:
    with contextlib.suppress(ConnectionClosed):  # a long one may be refused before all of it is sent
        client.send(event if isinstance(event, (str, bytes)) else json.dumps(event))


def hear(client: ClientConnection) -> dict[str, Any]:
    return json.loads(client.recv(timeout=5))


def respond(client: ClientConnection, **fields: Any) -> dict[str, Any]:
    """Asks for a response; returns its usage."""
    say(client, {**CREATE, **fields})
    while True:
        event = hear(client)
        if event["type"] in ("response.done", "response.completed"):
            return event["response"]["usage"]


def closed(client: ClientConnection, may_reset: bool = False) -> tuple[int, str]:
    """The code and the reason with which the connection is closed; what comes before is read. `may_reset`: the client still sends,
    so a reset may overtake the close; that is 1006."""
    with pytest.raises(ConnectionClosed) as found:
        while True:
            client.recv(timeout=5)
    if may_reset and not found.value.rcvd:
        return 1006, ""
    assert found.value.rcvd
    return found.value.rcvd.code, found.value.rcvd.reason


def line_of(world: World, client: ClientConnection) -> dict[str, Any]:
    """The connection's record in the access log, which is written at its end."""
    assert client.response
    id, lines = client.response.headers["x-request-id"], []

    def written() -> bool:
        lines[:] = [line for line in world.logged() if line["request_id"] == id]
        return bool(lines)

    eventually(written, True)
    assert lines[0]["status"] == 101
    return lines[0]["sluice"]
