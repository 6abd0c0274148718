"""Amazon's binary event stream messages, as Bedrock sends them."""

from __future__ import annotations

import binascii
import json
import struct
from typing import Any

STRING = 7


def converse_event(name: str, payload: dict[str, Any], kind: str = "event") -> bytes:
    """One message of Converse's stream: an event, or an exception."""
    headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    return message(headers, json.dumps(payload).encode())


def message(headers: dict[str, str], payload: bytes) -> bytes:
    """A message whose headers are strings."""
    lines = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    lengths = struct.pack("!II", 16 + len(lines) + len(payload), len(lines))
    checked = lengths + struct.pack("!I", binascii.crc32(lengths)) + lines + payload
    return checked + struct.pack("!I", binascii.crc32(checked))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack("!B", len(name)) + name + struct.pack("!BH", STRING, len(value)) + value
