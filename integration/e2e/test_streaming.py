"""Streams pass event by event, from the first one on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Mapping

import httpx
import pytest

from world import BEARER, CHAT, World, chat_body

GAP = 0.2
# The delay that the gateway may add between events, compared with a direct connection.
SLACK = 0.05
ROUNDS = 3
USAGE_ONLY = b'"choices":[],'


@pytest.mark.parametrize("asked", [False, True], ids=["without usage", "with usage"])
def test_events_are_not_held_back(world: World, asked: bool) -> None:
    """Compared with a direct connection at the same moment. Buffering shows every time, a busy machine does not."""
    world.fault({"chunk_delay_ms": int(GAP * 1000), "text": "one two three"})
    lags = [_lag(world, asked) for _ in range(ROUNDS)]
    assert min(lags) <= SLACK, lags


def _lag(world: World, asked: bool) -> float:
    """The largest delay of an event after its predecessor."""
    options = {"stream": True, "stream_options": {"include_usage": True}}
    direct_url = f"http://127.0.0.1:{world.models['mock-a'].port}"
    direct_headers = {"authorization": "Bearer mock-a-secret"}
    with ThreadPoolExecutor(2) as threads:
        direct = threads.submit(_arrivals, direct_url, direct_headers, {"model": "gpt-4o-mock-a", **options})
        through = threads.submit(_arrivals, world.url, BEARER, options if asked else {"stream": True})
    expected = [(at, event) for at, event in direct.result() if asked or USAGE_ONLY not in event]
    arrived = through.result()
    assert len(arrived) == len(expected)
    pairs = list(zip(_gaps([at for at, _ in arrived]), _gaps([at for at, _ in expected])))
    assert max(gap for _, gap in pairs) > GAP / 2, "the server itself did not pause"
    return max(abs(seen - should) for seen, should in pairs)


def _arrivals(url: str, headers: Mapping[str, str], fields: Mapping[str, Any]) -> list[tuple[float, bytes]]:
    """Each event with the arrival time of its first byte, counted from the request."""
    arrived: list[tuple[float, bytes]] = []
    with httpx.Client(trust_env=False, timeout=20) as client:
        start = time.monotonic()
        with client.stream("POST", f"{url}{CHAT}", content=chat_body(**fields), headers=headers) as response:
            assert response.status_code == 200
            for chunk in response.iter_raw():
                at = time.monotonic() - start
                arrived += [(at, event) for event in chunk.split(b"\n\n") if event]
    return arrived


def _gaps(times: list[float]) -> list[float]:
    """The gaps between events; the first is the time to the first event."""
    return [later - earlier for earlier, later in zip([0.0, *times], times)]
