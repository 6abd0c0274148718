"""A rate limit service on Redis, as a fleet may have one already. It counts as envoyproxy/ratelimit does: a window of the clock is a
key, INCRBY adds the hits, and one limit's refusal leaves the hits in the others.

    python rate_limits.py PORT REDIS_PORT
"""

from __future__ import annotations

import asyncio
import datetime
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from grpclib.const import Cardinality, Handler
from grpclib.server import Server, Stream
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as Client

import envoy_messages as messages
from child import Child, free_port
from redis_server import Redis

_SECONDS = {1: 1, 2: 60, 3: 3600, 4: 86400}
_UNIT_OF_MONTHS = 5


class RateLimits:
    """The service as a program. After a kill and a new start it has the same port; its counts are in Redis."""

    def __init__(self, redis: Redis) -> None:
        self.port = free_port()
        self._redis = redis
        self._log = Path(tempfile.mkdtemp(prefix="sluice-rate-limits-")) / "log"
        self._child: Child | None = None

    @property
    def address(self) -> tuple[str, int]:
        """As an address for a cluster."""
        return ("127.0.0.1", self.port)

    def start(self) -> RateLimits:
        """Starts it, and waits until it answers."""
        self._child = Child("rate limits", [sys.executable, __file__, str(self.port), str(self._redis.port)], self._log)
        self._child.wait_until(self._answers)
        return self

    def _answers(self) -> bool:
        try:
            with socket.create_connection(self.address, 1):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        """Kills it with SIGKILL."""
        os.kill(self._child.pid, signal.SIGKILL)
        self._child.stop()

    def __enter__(self) -> RateLimits:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._child:
            self._child.stop()


def window(unit: int, now: float) -> tuple[int, int]:
    """The begin and end of the current window, in seconds since the epoch."""
    if unit != _UNIT_OF_MONTHS:
        begin = int(now) - int(now) % _SECONDS[unit]
        return begin, begin + _SECONDS[unit]
    first = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + datetime.timedelta(days=32)).replace(day=1)
    return int(first.timestamp()), int(following.timestamp())


async def _answer(redis: Client, request: Any) -> Any:
    """The answer to one question."""
    now = time.time()
    response = messages.RateLimitResponse(overall_code=messages.OK)
    async with redis.pipeline(transaction=False) as pipeline:
        for descriptor in request.descriptors:
            begin, end = window(descriptor.limit.unit, now)
            name = "_".join([request.domain, *(f"{entry.key}_{entry.value}" for entry in descriptor.entries), str(begin)])
            # as in envoyproxy/ratelimit: without a number of its own, a descriptor has the request's, which is at least 1
            hits = descriptor.hits_addend.value if descriptor.HasField("hits_addend") else max(1, request.hits_addend)
            pipeline.incrby(name, hits)
            pipeline.expire(name, end - begin)
            status = response.statuses.add(code=messages.OK, current_limit=descriptor.limit)
            status.duration_until_reset.seconds = end - int(now)
        counts = (await pipeline.execute())[::2]
    for status, count in zip(response.statuses, counts):
        limit = status.current_limit.requests_per_unit
        status.limit_remaining = max(0, limit - count)
        if count > limit:
            status.code = response.overall_code = messages.OVER_LIMIT
    return response


class _Service:
    """The service of the protocol."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def _should_rate_limit(self, stream: Stream[Any, Any]) -> None:
        await stream.send_message(await _answer(self._redis, await stream.recv_message()))

    def __mapping__(self) -> dict[str, Handler]:
        kinds = (messages.RateLimitRequest, messages.RateLimitResponse)
        return {messages.RATE_LIMIT: Handler(self._should_rate_limit, Cardinality.UNARY_UNARY, *kinds)}


async def _serve(port: int, redis_port: int) -> None:
    pool = BlockingConnectionPool(host="127.0.0.1", port=redis_port, max_connections=8, timeout=None)
    server = Server([_Service(Client(connection_pool=pool))])
    await server.start("127.0.0.1", port)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:])))
