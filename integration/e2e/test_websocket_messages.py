"""WebSocket: what passes of a client's messages, and what is read of a server's."""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

import pytest

import demo
from sockets import CREATE, LISTED, REALTIME, RESPONSES, bearer, closed, hear, line_of, open_socket, refused, respond, say
from world import World


def test_large_and_fragmented_messages(sockets: World) -> None:
    """Messages of any size pass in both directions; the last event's usage is read from its fragments."""
    with open_socket(sockets, max_size=None) as client:
        hear(client)
        for size in (1, 125, 126, 65535, 65536, 1 << 20, 6 << 20):
            event = json.dumps({"type": "input_audio_buffer.append", "audio": "x" * size})
            say(client, event)
            assert hear(client) == {"type": "ack", "of": "input_audio_buffer.append", "bytes": len(event)}
        client.send(iter(['{"type":', '"te', 'st"}']))
        assert hear(client) == {"type": "ack", "of": "test", "bytes": 15}
        usage = respond(client, fragments=7, padding=100_000)
        client.ping().wait(5)
    line = line_of(sockets, client)
    assert (line["input_tokens"], line["output_tokens"]) == (usage["input_tokens"], usage["output_tokens"])


def test_what_cannot_be_read_is_partial(sockets: World) -> None:
    with open_socket(sockets, max_size=None) as client:
        hear(client)
        usage = respond(client)
        respond(client, padding=9 << 20)
        say(client, {"type": "test.binary"})
        assert client.recv(timeout=5) == bytes(100)
    line = line_of(sockets, client)
    assert line["input_tokens"] == usage["input_tokens"] and line["source"] == "partial"


@pytest.mark.parametrize(
    "path, message, reason",
    [
        (RESPONSES, {**CREATE, "input": "no model"}, "response.create must name its model"),
        (RESPONSES, '{"type":"response.create","model":"gpt-4o","model":"gpt-5"}', "this key may not use the model gpt-5"),
        (RESPONSES, '{"type":"response.create","model":"gpt-4o","\\u006dodel":"gpt-5"}', "this key may not use the model gpt-5"),
        (RESPONSES, '{"type":"response.create","model":"gpt-4o","MODEL":"gpt-5"}', "this key may not use the model gpt-5"),
        (RESPONSES, {**CREATE, "response": {"model": "gpt-5"}}, "this key may not use the model gpt-5"),
        (RESPONSES, "[1]", "a message that is not a JSON object"),
        (RESPONSES, '{"type":"response.create","model":"gpt-4o"} {}', "a message that is not a JSON object"),
        (RESPONSES, b"bytes", "a binary message cannot be checked"),
        (RESPONSES, {**CREATE, "model": "gpt-4o", "input": "x" * (5 << 20)}, "a message over 4 MiB cannot be checked"),
        (REALTIME, {"type": "session.update", "session": {"model": "gpt-5"}}, "this key may not use the model gpt-5"),
        (
            REALTIME,
            {"type": "session.update", "session": {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}},
            "this key may not use the model whisper-1",
        ),
        (REALTIME, b"bytes", "a binary message cannot be checked"),
    ],
)
def test_messages_that_a_key_may_not_send(sockets: World, path: str, message: Any, reason: str) -> None:
    with open_socket(sockets, path, bearer(LISTED), max_size=None) as client:
        say(client, {"type": "test.first"})
        while hear(client)["type"] != "ack":
            pass
        say(client, message)
        assert closed(client) == (1008, reason)
    (_, entry) = sockets.entry()
    assert entry["body"] == [{"type": "test.first"}]


def test_a_large_response_create(sockets: World) -> None:
    """It is refused for every key, because nothing of it can be counted."""
    with open_socket(sockets, RESPONSES, max_size=None) as client:
        say(client, {**CREATE, "model": "gpt-5", "input": "x" * (5 << 20)})
        assert closed(client, may_reset=True) in [(1008, "a message over 4 MiB cannot be checked"), (1006, "")]


def _raw(world: World, frames: bytes, path: str = REALTIME, early: bool = False) -> bytes:
    """Sends bytes after the handshake, or with it; returns all that comes back after the server's answer."""
    handshake = (
        f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {demo.USER_KEY}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=5) as connection:
        connection.sendall(handshake + (frames if early else b""))
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(65536)
        if not early:
            connection.sendall(frames)
        try:
            while piece := connection.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        head, _, rest = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101") and b"permessage-deflate" not in head
        return rest


def _masked(payload: bytes, first: int = 0x81) -> bytes:
    key = b"\x01\x02\x03\x04"
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + struct.pack(">H", size)
    return bytes([first]) + length + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


@pytest.mark.parametrize(
    "frames",
    [
        b"\x81\x02hi",  # not masked
        b"\xc1\x82\0\0\0\0hi",  # a reserved bit
        b"\x83\x80\0\0\0\0",  # an unknown opcode
        b"\x81\xff" + struct.pack(">Q", 1 << 63) + bytes(4),
        b"\x80\x80\0\0\0\0",  # nothing to continue
        b"\x09\x80\0\0\0\0",  # a fragmented ping
        b"\x01\x80\0\0\0\0\x81\x80\0\0\0\0",  # a message in a message
    ],
)
@pytest.mark.parametrize("early", [False, True])
def test_bytes_that_are_no_frames(sockets: World, frames: bytes, early: bool) -> None:
    """They close the connection, and do not reach the server."""
    got = _raw(sockets, _masked(b'{"type":"a"}') + frames + _masked(b'{"type":"b"}'), early=early)
    assert b'"of":"a"' in got and b'"of":"b"' not in got and b"\x03\xea" in got, got  # 1002
    assert sockets.entry()[1]["body"] == [{"type": "a"}]


def test_a_hostile_length(sockets: World) -> None:
    """A message that claims to be endless passes as it comes, and takes no memory."""
    with socket.create_connection(("127.0.0.1", sockets.gateway.port), timeout=5) as connection:
        connection.sendall(
            f"GET {REALTIME} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {demo.USER_KEY}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert connection.recv(12) == b"HTTP/1.1 101"
        connection.sendall(b"\x81\xff" + struct.pack(">Q", (1 << 63) - 1) + bytes(4) + b"x" * 100_000)
        time.sleep(0.2)
    sockets.settle()
    assert sockets.chat().status_code == 200


def test_control_frames_between_fragments(sockets: World) -> None:
    """They are not held with the message."""
    frames = _masked(b'{"type":', 0x01) + _masked(b"hello", 0x89) + _masked(b'"a"}', 0x80) + _masked(b"\x03\xe8", 0x88)
    got = _raw(sockets, frames)
    assert b"\x8a\x05hello" in got and b'"of":"a"' in got and got.endswith(b"\x88\x02\x03\xe8"), got


def test_one_byte_at_a_time(sockets: World) -> None:
    with open_socket(sockets, RESPONSES, bearer(LISTED)) as client:
        frame = _masked(json.dumps({**CREATE, "model": "gpt-4o"}).encode())
        for byte in frame:
            client.socket.sendall(bytes([byte]))
        while hear(client)["type"] != "response.completed":
            pass


@pytest.mark.parametrize("method, path, status", [("POST", demo.CHAT_PATH, 405), ("POST", REALTIME, 405), ("GET", "/v1/files", 426)])
@pytest.mark.parametrize("key", [demo.USER_KEY, "sk-wrong"])
def test_an_upgrade_that_is_no_websocket(sockets: World, method: str, path: str, status: int, key: str) -> None:
    """It is refused at once: no filter waits for a body that Envoy does not frame."""
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: Upgrade\r\nupgrade: websocket\r\ncontent-length: 90\r\n\r\n"
    with socket.create_connection(("127.0.0.1", sockets.gateway.port), timeout=3) as connection:
        connection.sendall(head.encode() + b'{"model":')
        answered = int(connection.recv(65536).split()[1])
    assert answered in (status, 401) and not sockets.entries()
