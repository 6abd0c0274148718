"""What clients do besides calling: compressed bodies, WebSocket first, a key in the query, other shapes of errors."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import Callable

import httpx

from answers import content, openai_error
from conftest import OpenWorld
from settings import Settings
from world import BEARER, CHAT, World, chat_body

GENERATE = "/v1beta/models/gpt-4o:generateContent"
DECOMPRESSOR = {
    "name": "gunzip",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.decompressor.v3.Decompressor",
        "decompressor_library": {
            "name": "gzip",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.compression.gzip.decompressor.v3.Gzip"},
        },
        "response_direction_config": {"common_config": {"enabled": {"default_value": False, "runtime_key": "none"}}},
    },
}


def _compressed(world: World) -> httpx.Response:
    headers = {**BEARER, "content-encoding": "gzip", "content-type": "application/json"}
    return world.send(gzip.compress(chat_body()), headers=headers)


def test_a_compressed_body(world: World) -> None:
    world.reset()
    answer = _compressed(world)
    assert (answer.status_code, openai_error(answer)["code"]) == (415, "unsupported_content_encoding")
    assert openai_error(answer)["param"] == "content-encoding"
    same = world.send(chat_body(), headers={**BEARER, "content-encoding": "identity"})
    assert same.status_code == 200


def test_a_compressed_body_that_envoy_decodes(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    changed = settings()
    changed.filters.insert(0, DECOMPRESSOR)
    with open_world(changed.text()) as world:
        answer = _compressed(world)
        assert answer.status_code == 200 and content(answer).endswith("You said: Hello"), answer.text
        [(_, entry)] = world.entries()
        assert "content-encoding" not in {name.lower() for name in entry["headers"]}


def test_websocket_first(world: World) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", world.gateway.port, timeout=5)
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    connection.request("GET", "/v1/responses", headers={**BEARER, "Connection": "Upgrade", "Upgrade": "websocket", **key})
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]["code"]) == (426, "upgrade_required")
    connection.close()


def test_a_key_in_geminis_query(world: World) -> None:
    """It goes no further than the gateway."""
    world.reset()
    body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    key = BEARER["authorization"].removeprefix("Bearer ")
    good = world.send(json.dumps(body).encode(), path=f"{GENERATE}?key={key}", headers={})
    assert good.status_code == 200, good.text
    assert key not in json.dumps(world.entries())
    assert world.send(json.dumps(body).encode(), path=f"{GENERATE}?key=x{key}", headers={}).status_code == 401
    assert world.send(chat_body(), path=f"{CHAT}?key={key}", headers={}).status_code == 401


def test_ollamas_errors(world: World) -> None:
    body = {"model": "unheard-of", "messages": [{"role": "user", "content": "Hello"}]}
    answer = world.send(json.dumps(body).encode(), path="/api/chat")
    assert answer.status_code == 404 and list(answer.json()) == ["error"] and "unheard-of" in answer.json()["error"]
    nobody = world.send(json.dumps(body).encode(), path="/api/chat", headers={})
    assert nobody.status_code == 401 and isinstance(nobody.json()["error"], str)


def test_answers_have_the_requests_id(world: World) -> None:
    assert len(world.chat().headers["x-request-id"]) == 36
    assert len(world.send(b"{").headers["x-request-id"]) == 36
