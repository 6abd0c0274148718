"""HTTP as clients speak it: versions, framings, pieces, and invalid HTTP."""

from __future__ import annotations

import json
import socket

import h2.connection
import h2.events
import httpx
import pytest

from answers import content, openai_error
from world import BEARER, CHAT, World, chat_body, pieces

pytestmark = pytest.mark.usefixtures("survivor")


def test_http2(world: World) -> None:
    with httpx.Client(base_url=world.url, http1=False, http2=True, trust_env=False, timeout=10) as client:
        response = client.post(CHAT, content=chat_body("x" * 100_000, stream=True), headers=BEARER)
        refused = client.post(CHAT, content=b"", headers=BEARER)
    assert (response.http_version, response.status_code) == ("HTTP/2", 200)
    assert content(response).endswith("x" * 100_000)
    assert (refused.status_code, openai_error(refused)["code"]) == (400, "invalid_json")


def test_chunked_body(world: World) -> None:
    body = chat_body("y" * 100_000)
    assert world.send(pieces(body)).status_code == 200
    name, entry = world.entry()
    assert entry["body"] == {**json.loads(body), "model": f"gpt-4o-{name}"}


def test_http2_with_trailers(world: World) -> None:
    """The body ends with the trailers, not with its last bytes."""
    body = chat_body("z" * 10_000)
    status = _http2_with_trailers(world, body)
    assert status == b"200"
    name, entry = world.entry()
    assert entry["body"] == {**json.loads(body), "model": f"gpt-4o-{name}"}


def test_interrupted_upload(world: World) -> None:
    with _connected(world) as client:
        client.sendall(_head(10_000) + chat_body()[:-5])
    world.settle()
    assert world.entries() == []


def test_large_answer(world: World) -> None:
    """It is larger than the gateway reads, but passes complete."""
    text = "x " * (6 << 20)
    world.fault({"text": text})
    assert content(world.chat()) == text


def test_expect_100_continue(world: World) -> None:
    head = _head(len(chat_body()), "Expect: 100-continue")
    with _connected(world) as client:
        client.sendall(head)
        assert client.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.sendall(chat_body())
        assert _all(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_body_byte_by_byte(world: World) -> None:
    body = chat_body()
    with _connected(world) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(_head(len(body)))
        for byte in body:
            client.sendall(bytes([byte]))
        assert _all(client).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"hello\r\n\r\n",
        b"POST /v1/chat/completions FTP/1.1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: two\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nname\x00: x\r\n\r\n",
    ],
)
def test_garbage(world: World, request_bytes: bytes) -> None:
    with _connected(world) as client:
        client.sendall(request_bytes)
        assert b" 400 Bad Request\r\n" in client.recv(65536)


def _http2_with_trailers(world: World, body: bytes) -> bytes | None:
    """One request on a raw socket, since httpx sends no trailers; returns the answer's status."""
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "gateway"), (":path", CHAT)]
    connection.send_headers(1, [*pseudo, *BEARER.items()])
    connection.send_data(1, body)
    connection.send_headers(1, [("x-checksum", "1")], end_stream=True)
    with _connected(world) as client:
        client.sendall(connection.data_to_send())
        while received := client.recv(65536):
            for event in connection.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    return dict(event.headers)[b":status"]
            client.sendall(connection.data_to_send())
    return None


def _head(length: int, *lines: str) -> bytes:
    request = [f"POST {CHAT} HTTP/1.1", "Host: gateway", f"Authorization: {BEARER['authorization']}"]
    return "\r\n".join([*request, f"Content-Length: {length}", "Connection: close", *lines, "", ""]).encode()


def _connected(world: World) -> socket.socket:
    return socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10)


def _all(client: socket.socket) -> bytes:
    """All bytes until the other side closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))
