"""A service for shared limits that does not behave like one: no request fails or waits because of it, unless it is to be refused."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

import pytest
from grpclib import GRPCError, Status

import envoy_messages as messages
import fleet
from conftest import OpenWorld
from grpc_server import GrpcServer
from settings import Settings
from world import chat_body

TIMEOUT = 0.2
# The test machine may be busy.
GRACE = 0.5
LIMIT = 3


class Odd(GrpcServer):
    """Answers in this way."""

    def __init__(self, kind: str) -> None:
        super().__init__(messages.RATE_LIMIT, messages.RateLimitRequest, messages.RateLimitResponse)
        self._kind = kind

    async def answer(self, question: Any) -> Any:
        if self._kind == "slow":
            await asyncio.sleep(30)
        if self._kind == "full":
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "too many limits are counted")
        if self._kind == "unknown code":
            return messages.RateLimitResponse(overall_code=7)
        # the answer to another question
        return messages.RateLimitResponse(overall_code=messages.OK, statuses=[{"code": messages.OK}] * (len(question.descriptors) + 1))


@pytest.mark.parametrize("kind", ["slow", "full", "unknown code", "nonsense"])
def test_odd_services(kind: str, open_world: OpenWorld, settings: Callable[[], Settings]) -> None:
    with Odd(kind) as odd:
        local = fleet.share(settings(), odd.address, timeout=f"{TIMEOUT}s")
        headers = fleet.add_key(local, "limited", {"requests_per_minute": LIMIT})
        deny = fleet.share(settings(), odd.address, timeout=f"{TIMEOUT}s", on_failure="deny")
        fleet.add_key(deny, "limited", {"requests_per_minute": LIMIT})
        with open_world(local.text()) as world:
            found = [world.send(chat_body(), headers=headers) for _ in range(LIMIT + 1)]
            assert [answer.status_code for answer in found] == [200] * LIMIT + [429], "its own count applies"
            assert max(answer.elapsed.total_seconds() for answer in found) < TIMEOUT + GRACE
            assert "sluice: shared limits" in world.gateway.log()
        with open_world(deny.text()) as world:
            refused = world.send(chat_body(), headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "limits_unavailable")
            assert refused.elapsed.total_seconds() < TIMEOUT + GRACE
