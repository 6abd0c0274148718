"""Client behaviour besides calls: WebSocket first, a key in the query, other shapes of errors."""

from __future__ import annotations

import http.client
import json

import pytest

from world import BEARER, CHAT, MESSAGES, World, chat_body, pieces

GENERATE = "/v1beta/models/gpt-4o:generateContent"


@pytest.mark.parametrize("path", ["/v1/responses", CHAT, MESSAGES, GENERATE, "/api/chat"])
@pytest.mark.parametrize("key", [BEARER, {}], ids=["a key", "no key"])
def test_websocket_first(world: World, path: str, key: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", world.gateway.port, timeout=5)
    nonce = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    connection.request("GET", path, headers={**key, "Connection": "Upgrade", "Upgrade": "websocket", **nonce})
    answer = connection.getresponse()
    assert answer.headers["x-request-id"]
    error = json.loads(answer.read())["error"]
    assert answer.status == (426 if key else 401)
    assert not key or "plain HTTP" in json.dumps(error)
    connection.close()


def test_a_key_in_geminis_query(world: World) -> None:
    """The key does not leave the gateway."""
    world.reset()
    body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    key = BEARER["authorization"].removeprefix("Bearer ")
    good = world.send(json.dumps(body).encode(), path=f"{GENERATE}?key={key}", headers={})
    assert good.status_code == 200, good.text
    stream = GENERATE.replace(":generate", ":streamGenerate")
    assert world.send(json.dumps(body).encode(), path=f"{stream}?alt=sse&key={key}", headers={}).status_code == 200
    assert {entry["path"].partition("?")[2] for _, entry in world.entries()} == {"", "alt=sse"}
    assert key not in json.dumps(world.entries())
    assert world.send(json.dumps(body).encode(), path=f"{GENERATE}?key=x{key}", headers={}).status_code == 401
    assert world.send(chat_body(), path=f"{CHAT}?key={key}", headers={}).status_code == 401


def test_ollamas_errors(world: World) -> None:
    body = {"model": "unheard-of", "messages": [{"role": "user", "content": "Hello"}]}
    answer = world.send(json.dumps(body).encode(), path="/api/chat")
    assert answer.status_code == 404 and list(answer.json()) == ["error"] and "unheard-of" in answer.json()["error"]
    nobody = world.send(json.dumps(body).encode(), path="/api/chat", headers={})
    assert nobody.status_code == 401 and isinstance(nobody.json()["error"], str)
    large = world.send(pieces(b" " * (9 << 20)), path="/api/chat")
    assert (large.status_code, large.json()) == (413, {"error": "The request body is larger than the gateway takes."})


def test_answers_have_the_requests_id(world: World) -> None:
    answers = [
        world.chat(),
        world.chat(stream=True),
        world.send(b"{"),
        world.send(chat_body(), headers={}),
        world.send(chat_body(model="unheard-of"), path=MESSAGES),
        world.send(path="/v1/models", method="GET"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 401, 404, 200]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert {len(each) for each in ids} == {36} and len(set(ids)) == len(ids)
