"""Sends records to a ledger over gRPC, as an Envoy does."""

from __future__ import annotations

import json
import uuid
from typing import Any, Callable, Iterable, Mapping

from grpclib.client import Channel, StreamUnaryMethod

import envoy_messages as messages


def entry(fields: Mapping[str, Any], seconds: int) -> bytes:
    """An entry of the access log service for a request that began at this time, without its id."""
    entry = messages.HttpLog()
    entry.common.start_time.seconds = seconds
    state = entry.common.filter_state.add(key="wasm.sluice.record")
    state.value.value = messages.Text(value=f',"sluice":{json.dumps(fields)}'.encode()).SerializeToString()
    entry.response.code.value = 200
    return entry.SerializeToString()


def with_id(entry: bytes) -> bytes:
    """An entry with a new id: parts of a message can be sent one after another."""
    return entry + messages.HttpLog(request={"request_id": str(uuid.uuid4())}).SerializeToString()


async def send(port: int, batches: Iterable[list[bytes]], sent: Callable[[int], None] = lambda _: None) -> None:
    """Sends entries on one stream. `sent` is told after each batch how many entries have been sent before it. Returns when the ledger
    has stored all."""
    channel = Channel("127.0.0.1", port)
    method = StreamUnaryMethod(channel, messages.ACCESS_LOG, messages.AccessLogs, messages.Nothing)
    count = 0
    async with method.open() as stream:
        for batch in batches:
            await stream.send_message(messages.AccessLogs(http={"entries": batch}))
            sent(count)
            count += len(batch)
        await stream.end()
        await stream.recv_message()
    channel.close()
