"""Connections that end too early, on either side: only failed servers are counted as failed, and no cut answer looks complete."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, Awaitable, Callable, Iterator

import httpx
import openai
import pytest

import answers
import clients
import demo
from conftest import OpenWorld
from resilience import NEVER_EJECTED_ALONE, UNLIMITED_RETRIES, add_group, add_upstream, target
from settings import Settings
from world import BEARER, World, chat_body, eventually

CLIENTS = 200
AT_ONCE = 40
SERVERS = [server.name for server in demo.SERVERS]
EVENTS = 3
# How a server may break off after the first events; the first way looks like a proper end.
CLEAN_END = {"fault": "truncate_stream", "after_events": EVENTS}
RESET = {"fault": "reset_body", "after_events": EVENTS}
CLOSED = {"fault": "truncate_body", "after_events": EVENTS}
ERROR = {"fault": "error_event", "after_events": EVENTS}
BREAKS = [CLEAN_END, RESET, CLOSED, ERROR]
# Models whose servers may leave out the last event.
UNSAID = ("unsaid", "lenient", "learnt")
# The streaming endpoints, by dialect.
STREAMS = {
    "chat": ("/v1/chat/completions", {}),
    "completions": ("/v1/completions", {"prompt": "Hello"}),
    "responses": ("/v1/responses", {"input": "Hello"}),
    "messages": ("/v1/messages", {"max_tokens": 64}),
    "ollama": ("/api/chat", {}),
    "generate": ("/v1beta/models/MODEL:streamGenerateContent?alt=sse", {"contents": [{"parts": [{"text": "Hello"}]}]}),
}


@pytest.fixture(scope="module")
def _fragile_world(settings: Callable[[], Settings], models: Any, open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    changed.values("router").update(ejection={"consecutive_failures": 1, "time": "60s"}, retry=UNLIMITED_RETRIES)
    add_group(changed, "broken", [models["mock-a"], models["mock-b"]], ejection=NEVER_EJECTED_ALONE)
    for name in UNSAID:
        add_upstream(changed, name, "mock-a", models["mock-a"].address)
        changed.models.append({"name": name, "targets": [target(name, "mock-a")]})
    changed.upstreams["lenient"]["strict_end"] = False
    add_upstream(changed, "foreign", "mock-a", models["mock-a"].address, dialects=["anthropic"])
    changed.models.append({"name": "foreign", "targets": [target("foreign", "mock-a")]})
    with open_world(changed.text()) as world:
        yield world


@pytest.fixture
def fragile_world(_fragile_world: World) -> World:
    """One failure ejects, except for the model `broken`: it tries mock-a first, which is broken on purpose."""
    _fragile_world.reset()
    return _fragile_world


async def _leave_before(client: clients.Client, number: int) -> None:
    """Half of the request is sent, so no server has been called."""
    await client.send(chat_body("x" * 5000), share=number % 10 / 10)
    await asyncio.sleep(number % 4 / 100)
    client.leave()


async def _leave_during(client: clients.Client, number: int) -> None:
    """While a server prepares its answer."""
    await client.send(chat_body(stream=number % 2 == 0))
    await asyncio.sleep(0.05 + number % 10 / 100)
    client.leave()


async def _leave_in_midstream(client: clients.Client, number: int) -> None:
    """After some events."""
    await client.send(chat_body("one two three four", stream=True))
    pieces = client.receive(clients.Answer())
    for _ in range(1 + number % 4):
        assert b"chat.completion.chunk" in await pieces.__anext__()
    client.leave()


# When the clients leave, the servers' delay, and the attempt's outcome, if there is an attempt.
LEAVING: dict[str, tuple[Callable[[clients.Client, int], Awaitable[None]], dict[str, Any], set[str]]] = {
    "before the attempt": (_leave_before, {}, set()),
    "during the attempt": (_leave_during, {"delay_ms": 500}, {"abandoned"}),
    "in mid-stream": (_leave_in_midstream, {"chunk_delay_ms": 30}, {"abandoned"}),
}


@pytest.mark.parametrize("when", LEAVING)
def test_client_disconnects(fragile_world: World, when: str) -> None:
    """No server is ejected or stays counted as busy, and every request is counted exactly once."""
    world = fragile_world
    visit, orders, outcomes = LEAVING[when]
    before = [world.counted(metric) for metric in ("llm_requests_total", "llm_attempts_total")]
    world.fault(orders)
    visits = (lambda client, number=number: visit(client, number) for number in range(CLIENTS))
    clients.each(world.gateway.port, AT_ONCE, visits)
    world.settle()
    eventually(lambda: (world.counted("llm_requests_total") - before[0]).total(), CLIENTS)
    attempts = world.counted("llm_attempts_total") - before[1]
    assert {outcome for _, outcome in attempts} == outcomes
    assert attempts.total() == (CLIENTS if outcomes else 0)
    assert world.counted("llm_ejections_total").total() == 0
    world.reset()
    assert all(answer.text() for answer in clients.ask(world.gateway.port, [chat_body()] * 12, 4))
    eventually(lambda: _in_flight(world), dict.fromkeys(SERVERS, 0))


def test_proper_end_without_the_last_event(fragile_world: World) -> None:
    """The end looks proper but is not, so the client gets an error event."""
    fragile_world.fault(CLEAN_END, "mock-a")
    (answer,) = clients.ask(fragile_world.gateway.port, [chat_body(model="broken", stream=True)], 1)
    assert (answer.status_code, answer.complete, answer.headers["x-sluice-cluster"]) == (200, True, "broken-a")
    *events, last = answers.events(answer.content)
    assert len(events) == EVENTS and all(event["object"] == "chat.completion.chunk" for event in events)
    assert last.keys() == {"error"} and last["error"].keys() == {"message", "type", "param", "code"}
    assert last["error"]["code"] == "upstream_stream_interrupted"
    assert last["error"]["message"] and b"[DONE]" not in answer.content


@pytest.mark.parametrize("endpoint", STREAMS)
def test_servers_without_a_last_event(fragile_world: World, endpoint: str) -> None:
    """Their streams pass unchanged, as successes. Once a server has sent a last event, its streams without one count as cut."""
    world, cut = fragile_world, {**CLEAN_END, "after_events": 5}
    world.fault(cut, "mock-a")
    metrics = ("llm_attempts_total", "llm_usage_source_total")
    before = [world.counted(metric) for metric in metrics]
    passed = [_stream(world, "unsaid", endpoint) for _ in range(6)]  # one failure would eject the server
    assert len({len(stream) for stream in passed}) == 1 and not any(map(_says_interrupted, passed))
    source = "reported" if endpoint == "generate" else "partial"  # there each event reports the usage so far
    want = [Counter({("unsaid", "success"): 6}), Counter({(source,): 6})]
    eventually(lambda: [world.counted(metric) - old for metric, old in zip(metrics, before)], want)
    assert not _says_interrupted(_stream(world, "lenient", endpoint))
    world.fault({}, "mock-a")
    for model in ("learnt", "lenient"):
        assert not _says_interrupted(_stream(world, model, endpoint))
    world.fault(cut, "mock-a")
    # other workers learn it at their next tick
    eventually(lambda: all(_says_interrupted(_stream(world, "learnt", endpoint)) for _ in range(4)), True)
    assert not _says_interrupted(_stream(world, "lenient", endpoint))


def test_translated_stream_without_a_last_event(fragile_world: World) -> None:
    """The client still gets its dialect's last event."""
    world = fragile_world
    world.fault({**CLEAN_END, "after_events": 5}, "mock-a")
    (answer,) = clients.ask(world.gateway.port, [chat_body(model="foreign", stream=True)], 1)
    *_, last, done = [line for line in answer.content.decode().splitlines() if line.startswith("data: ")]
    assert done == "data: [DONE]" and '"finish_reason":"stop"' in last and "error" not in last
    world.fault({}, "mock-a")
    assert not _says_interrupted(_stream(world, "foreign", "chat"))
    world.fault({**CLEAN_END, "after_events": 5}, "mock-a")
    eventually(lambda: _says_interrupted(_stream(world, "foreign", "chat")), True)


def _stream(world: World, model: str, endpoint: str) -> bytes:
    """A stream's bytes, over a connection that is not reused."""
    path, fields = STREAMS[endpoint]
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": True, **fields}
    if "contents" in fields:
        body = fields
    headers = {**BEARER, "anthropic-version": "2023-06-01", "connection": "close"}
    response = world.send(json.dumps(body).encode(), path=path.replace("MODEL", model), headers=headers)
    assert response.status_code == 200 and len(response.content) > 50, response.text
    return response.content


def _says_interrupted(stream: bytes) -> bool:
    return b"ended before it was complete" in stream


@pytest.mark.parametrize("fault", BREAKS, ids=lambda fault: fault["fault"])
def test_the_sdk_raises(fragile_world: World, fault: dict[str, Any]) -> None:
    """It returns the received events, but no complete answer."""
    fragile_world.fault(fault, "mock-a")
    chunks = []
    with openai.OpenAI(base_url=f"{fragile_world.url}/v1", api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:
        with pytest.raises((openai.APIError, httpx.HTTPError)) as raised:
            messages: Any = [{"role": "user", "content": "Hello"}]
            for chunk in client.chat.completions.create(model="broken", messages=messages, stream=True):
                chunks.append(chunk)
    assert chunks and not any(chunk.choices[0].finish_reason for chunk in chunks)
    if fault is CLEAN_END:
        assert raised.value.code == "upstream_stream_interrupted"


@pytest.mark.parametrize("fault", [CLEAN_END, RESET], ids=["clean end", "reset"])
def test_counts_of_broken_streams(fragile_world: World, fault: dict[str, Any]) -> None:
    metrics = ("llm_usage_source_total", "llm_attempts_total", "llm_requests_total")
    before = [fragile_world.counted(metric) for metric in metrics]
    fragile_world.fault(fault, "mock-a")
    answers = clients.ask(fragile_world.gateway.port, [chat_body(model="broken", stream=True)] * 4, 4)
    assert [answer.complete for answer in answers] == [fault is CLEAN_END] * 4
    labels = [("partial",), ("broken-a", "interrupted"), ("demo-user", "broken", "broken-a", "200")]
    want = [Counter({each: 4}) for each in labels]
    eventually(lambda: [fragile_world.counted(metric) - old for metric, old in zip(metrics, before)], want)
    assert fragile_world.journals()["mock-b"] == []


def _in_flight(world: World) -> dict[str, int | None]:
    """The number of running attempts at each server."""
    counted = world.counted("llm_in_flight")
    return {name: counted.get((name,)) for name in SERVERS}
