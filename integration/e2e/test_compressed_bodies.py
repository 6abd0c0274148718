"""Compressed requests: Envoy decodes them, up to a safe size."""

from __future__ import annotations

import gzip
import re
import socket
import zlib
from pathlib import Path
from typing import Callable, Mapping

import httpx
import pytest

from answers import content, openai_error
from conftest import OpenWorld
from settings import Settings
from table import Table
from world import BEARER, CHAT, World, chat_body

DECOMPRESSORS = ("gunzip", "unzstd", "unbrotli")


def _send(world: World, body: bytes, encoding: str) -> httpx.Response:
    headers = {**BEARER, "content-encoding": encoding, "content-type": "application/json"}
    return world.send(body, headers=headers)


def test_compressed_bodies(world: World) -> None:
    """As Codex and others send them: Envoy decodes them before the filters read them, and nothing compressed goes upstream."""
    ways = {
        "gzip": gzip.compress(chat_body()),
        "zstd": _zstd(chat_body(), repeated=0),
        "br": _brotli(chat_body()),
    }
    for encoding, body in ways.items():
        world.reset()
        answer = _send(world, body, encoding)
        assert answer.status_code == 200 and content(answer).endswith("You said: Hello"), (encoding, answer.text)
        [(_, entry)] = world.entries()
        assert "content-encoding" not in {name.lower() for name in entry["headers"]}, encoding
    assert _send(world, chat_body(), "identity").status_code == 200


def test_invalid_compressed_bodies(world: World) -> None:
    """Cut off, not compressed, two in a row, or in an encoding that nothing decodes."""
    whole = gzip.compress(chat_body())
    world.reset()
    for body in (whole[:-20], b"garbage" * 10, gzip.compress(chat_body()[:-1])):
        answer = _send(world, body, "gzip")
        assert (answer.status_code, openai_error(answer)["code"]) == (400, "invalid_json"), body
    answer = _send(world, zlib.compress(chat_body()), "deflate")
    assert (answer.status_code, openai_error(answer)["code"]) == (415, "unsupported_content_encoding")
    assert openai_error(answer)["param"] == "content-encoding"
    assert world.entries() == []


def test_without_decompressors(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    changed = settings()
    changed.filters[:] = [each for each in changed.filters if each["name"] not in DECOMPRESSORS]
    with open_world(changed.text()) as world:
        for encoding, body in {"gzip": gzip.compress(chat_body()), "zstd": b"-", "br": b"-"}.items():
            answer = _send(world, body, encoding)
            assert (answer.status_code, openai_error(answer)["param"]) == (415, "content-encoding"), encoding


def _brotli(body: bytes) -> bytes:
    """An uncompressed Brotli stream (RFC 7932) with the body."""
    return (len(body) - 1 << 4 | 1 << 20).to_bytes(3, "little") + body + b"\x03"


def _zstd(body: bytes, repeated: int) -> bytes:
    """A Zstandard frame (RFC 8878) with the uncompressed body, and this many blocks that repeat one byte 128 KiB times."""

    def block(kind: int, size: int, last: bool) -> bytes:
        return (size << 3 | kind << 1 | last).to_bytes(3, "little")

    frame = b"\x28\xb5\x2f\xfd\x00\x58" + block(0, len(body), not repeated) + body
    return frame + (block(1, 128 * 1024, False) + b"a") * repeated


def _gzip_bomb(size: int) -> bytes:
    """JSON of this length, compressed to a thousandth: the same block many times."""
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = stream.compress(b'{"model":"gpt-4o","x":"') + stream.flush(zlib.Z_FULL_FLUSH)
    stream.compress(b"a" * (1 << 20)), stream.flush(zlib.Z_FULL_FLUSH)
    return start + (stream.compress(b"a" * (1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)) * (size >> 20)


# `{"model":"gpt-4o","x":"` and 14 MiB of one letter, compressed by Brotli's reference implementation.
BROTLI_BOMB = bytes.fromhex("9f1600e000046473a92f6b33d99aa0587e7c7838bc227aac1a873e7bb2164e9fab3608cfdcfbef08")
MIB = 1 << 20


def test_decompression_bombs(settings: Callable[[], Settings], open_world: OpenWorld, request: pytest.FixtureRequest) -> None:
    """10 MB would become 10 GB or 320 GB. Envoy unpacks only a little, refuses the request, and keeps nothing of it."""
    bombs = {
        "gzip": (_gzip_bomb(10 << 30), 10 << 10),
        "zstd": (_zstd(b'{"model":"gpt-4o","x":"', repeated=(320 << 30) // (128 * 1024)), 320 << 10),
        "br": (BROTLI_BOMB, 14),
    }
    table = Table("Bodies that explode", ["bytes", "unpacked, MiB", "answers", "peak of Envoy's memory, MiB", "of which new"])
    with open_world(settings().text(), own=True) as world:
        for encoding, (bomb, unpacked) in bombs.items():
            before = _peak(world)
            found = [_status(world, bomb, encoding, headers) for headers in (BEARER, {}) for _ in range(3)]
            assert set(found[:3]) <= {400, 413} and set(found[3:]) == {401}, (encoding, found)
            after = _peak(world)
            row = (len(bomb), unpacked, "/".join(map(str, sorted(set(found)))), after // MIB, (after - before) // MIB)
            for column, value in zip(table.columns, row):
                table.put(encoding, column, value)
            assert after - before < 100 * MIB, encoding
        assert _send(world, gzip.compress(chat_body()), "gzip").status_code == 200
        assert len(world.entries()) == 1
    table.show(request.config)


def _peak(world: World) -> int:
    """Envoy's peak memory so far."""
    status = Path(f"/proc/{world.gateway.child.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def _status(world: World, body: bytes, encoding: str, headers: Mapping[str, str]) -> int:
    """The gateway's answer, even if it closes the connection before the whole body is sent."""
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=20) as connection:
        fields = {"host": "x", "content-type": "application/json", "content-encoding": encoding, "content-length": len(body), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        try:
            connection.sendall(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n".encode() + body)
        except OSError:
            pass
        return int(connection.recv(4096).split()[1])
