"""One line for each request, with everything that operators need for billing, and nothing private."""

from __future__ import annotations

import socket
from typing import Any, Callable

import demo
from conftest import OpenWorld
from settings import Settings
from world import BEARER, CHAT, SECRETS, World, chat_body, eventually

PROMPT = "the-prompt-that-nobody-may-read"
WEIRD = 'we"ird\\;model=x|ü{}'


def _new_lines(world: World, since: int, count: int) -> list[dict[str, Any]]:
    """The log lines of `count` requests, in order."""
    eventually(lambda: len(world.logged(since)), count)
    return world.logged(since)


def test_each_request_has_a_line(world: World) -> None:
    before = len(world.logged())
    sent = [
        (chat_body(PROMPT), CHAT, BEARER, 200),
        (chat_body(PROMPT), CHAT, {**BEARER, "x-request-id": '"},{"'}, 200),
        (chat_body(PROMPT, stream=True), CHAT, BEARER, 200),
        (chat_body(PROMPT), CHAT, {}, 401),
        (chat_body(PROMPT), CHAT, {"authorization": "Bearer sk-wrong"}, 401),
        (chat_body(PROMPT), "/nowhere", BEARER, 404),
        (chat_body(PROMPT, model=WEIRD), CHAT, BEARER, 404),
        (chat_body(PROMPT, model="m" * 300), CHAT, BEARER, 400),
        (chat_body(PROMPT)[:-1], CHAT, BEARER, 400),
        (chat_body(PROMPT + "x" * (9 << 20)), CHAT, BEARER, 413),
    ] * 3
    for body, path, headers, status in sent:
        assert world.send(body, path=path, headers=headers).status_code == status
    lines = _new_lines(world, before, len(sent))
    assert sorted(line["status"] for line in lines) == sorted(status for *_, status in sent)
    keys = {(line["status"], line["sluice"]["key"]) for line in lines}
    assert keys == {(200, "demo-user"), (401, "none"), (404, "none"), (404, "demo-user"), (400, "demo-user"), (413, "demo-user")}
    assert len({line["request_id"] for line in lines}) == len(sent)
    requested = {line["sluice"].get("requested_model") for line in lines}
    assert requested == {WEIRD, None}
    _says_nothing_secret(world)


def test_a_stream(world: World) -> None:
    before = len(world.logged())
    world.fault({"fault": "status", "status": 503}, "mock-a", "mock-b")
    answers = [world.send(chat_body("one two three", stream=True), headers={"x-api-key": demo.ADMIN_KEY}) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    for line in _new_lines(world, before, 3):
        record = line["sluice"]
        assert line["upstream"] == "127.0.0.1:%d" % world.models["mock-c"].port
        assert line["duration_ms"] >= record.pop("time_to_first_token_ms") >= 0
        assert record.pop("outcomes").split(", ")[-1] == "mock-c=success"
        assert record.pop("attempts") in (1, 2, 3)
        assert record == {
            "key": "demo-admin",
            "model": "gpt-4o",
            "cluster": "mock-c",
            "upstream_model": "gpt-4o-mock-c",
            "input_tokens": 3,
            "output_tokens": 12,
            "source": "reported",
            "cost_microusd": round(3 * 2.5 + 12 * 10),
        }


def test_failures(world: World) -> None:
    """A cut answer, no answer, a client that left."""
    before = len(world.logged())
    world.fault({"fault": "error_event", "after_events": 3})
    assert world.chat(stream=True).status_code == 200
    world.fault({"fault": "refuse"})
    assert world.chat().status_code == 503
    world.heal()
    world.fault({"delay_ms": 2000})
    with socket.create_connection(("127.0.0.1", world.gateway.port)) as client:
        body = chat_body()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {BEARER['authorization']}\r\ncontent-length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        eventually(lambda: len(world.entries()), 1)
    lines = _new_lines(world, before, 3)
    assert [(line["status"], line["sluice"]["error"]) for line in lines] == [(200, "interrupted"), (503, "503"), (0, "client_disconnected")]
    assert (lines[0]["sluice"]["source"], lines[0]["sluice"]["attempts"]) == ("partial", 1)
    assert lines[0]["sluice"]["outcomes"].endswith("=interrupted")
    assert lines[1]["sluice"]["attempts"] == 3


def test_off(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Without `access_log` the line has only Envoy's fields."""
    changed = settings()
    changed.values("usage").pop("access_log")
    with open_world(changed.text()) as world:
        assert world.chat().status_code == 200
        (line,) = _new_lines(world, 0, 1)
        assert line["status"] == 200 and "sluice" not in line


def test_invalid_http(world: World) -> None:
    """Envoy answers it before any filter runs."""
    before = len(world.logged())
    with socket.create_connection(("127.0.0.1", world.gateway.port)) as client:
        client.sendall(b'GET /"}," HTTP/1.1\r\nno header\r\n\r\n')
        assert b" 400 " in client.recv(4096)
    # The line of an earlier request may come late.
    eventually(lambda: [line["status"] for line in world.logged(before) if line["status"] != 200], [400])
    (line,) = (line for line in world.logged(before) if line["status"] == 400)
    assert line.get("sluice", {"key": "none"})["key"] == "none"


def _says_nothing_secret(world: World) -> None:
    output = world.gateway.output()
    assert [secret for secret in (*SECRETS, "sk-wrong", PROMPT) if secret in output] == []
