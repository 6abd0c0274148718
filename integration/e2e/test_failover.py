"""Servers fail, clients do not notice, and everything is counted once."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterable, Iterator

import httpx
import pytest

import clients
import demo
from answers import content, tokens
from callers import call
from conftest import CLOSED_PORT, OpenWorld
from settings import Settings
from world import ADMIN, BEARER, CHAT, MESSAGES, World, chat_body, eventually

# The first server's fault, the model that tries it first, and the possible outcomes of its attempt. (filters/src/fake/failures.rs has
# every kind of failure, tests/core/outcome.rs and refusal.rs every status.)
FAULTS: dict[str, tuple[dict[str, Any], str, set[str]]] = {
    "status 503": ({"fault": "status", "status": 503, "headers": {"retry-after": "9"}}, "a-first", {"server_error"}),
    "status 429": ({"fault": "status", "status": 429}, "a-first", {"rate_limited"}),
    "empty status 503": ({"fault": "status", "status": 503, "body": ""}, "a-first", {"server_error"}),
    "refuse": ({"fault": "refuse"}, "a-first", {"reset"}),
    "close": ({"fault": "close"}, "a-first", {"reset"}),
    "reset": ({"fault": "reset"}, "a-first", {"reset"}),
    "reset within headers": ({"fault": "reset_headers"}, "a-first", {"reset"}),
    "closed within headers": ({"fault": "half_headers"}, "a-first", {"reset"}),
    "hang": ({"fault": "hang"}, "hasty", {"timeout"}),
    "closed port": ({}, "closed-first", {"connect_failure"}),
}
FAILURES = 5  # consecutive failures that eject a cluster, as in envoy.yaml
CELLS = [*((name, stream, 1 << 10) for name in FAULTS for stream in (False, True)), ("status 503", False, 1 << 20), ("reset", True, 1 << 20)]
PASSED_ON = [(400, CHAT), (403, CHAT), (404, MESSAGES)]
SHARES = {"mock-a": 3, "mock-b": 2, "mock-c": 1}


def test_shares_and_tokens(world: World) -> None:
    """1,000 calls, half of them streamed, are spread 3:2:1; the counted tokens are those the servers reported."""
    before = world.counted("llm_tokens_total")
    answers = _ask(world, 1000, at_once=10)
    assert Counter(answer.status_code for answer in answers) == {200: 1000}
    journals = world.journals()
    for name, share in SHARES.items():
        assert abs(len(journals[name]) - 1000 * share / 6) <= 10
    assert sum(map(len, journals.values())) == 1000
    eventually(lambda: world.counted("llm_tokens_total") - before, _reported(world))


def test_two_of_three_servers_fail(world: World) -> None:
    """Every call succeeds, and no server sees another server's credentials or model."""
    world.fault({"fault": "status", "status": 503}, "mock-a")
    world.fault({"fault": "refuse"}, "mock-b")
    answers = _ask(world, 500, at_once=20)
    assert Counter(answer.status_code for answer in answers) == {200: 500}
    assert {content(answer).partition(".")[0] for answer in answers} == {"Hello from mock-c"}
    journals = world.journals()
    assert len(journals["mock-c"]) == 500
    for name, entries in journals.items():
        for entry in entries:
            _assert_own_only(name, entry)


@pytest.mark.parametrize(("name", "stream", "size"), CELLS)
def test_fault_is_invisible(wide_world: World, name: str, stream: bool, size: int) -> None:
    fault, model, outcomes = FAULTS[name]
    text = "x" * size
    before = wide_world.counted("llm_attempts_total")
    wide_world.fault(fault, "mock-a")
    response = wide_world.chat(text, model=model, stream=stream)
    assert response.status_code == 200, response.text
    assert content(response) == f"Hello from mock-b. You said: {text}"
    assert not any(header.startswith("x-envoy-") for header in response.headers)
    assert _told(response).keys() == {"x-sluice-cluster", "x-sluice-model", "x-sluice-attempts"}
    (entry,) = wide_world.journals()["mock-b"]
    _assert_original(entry, chat_body(text, model=model, stream=stream), model, stream)
    wide_world.settle()
    first = "mock-closed" if model == "closed-first" else "mock-a"
    counts = [Counter({(first, outcome): 1, ("mock-b", "success"): 1}) for outcome in outcomes]
    assert wide_world.counted("llm_attempts_total") - before in counts


FROM_A = {"x-sluice-cluster": "mock-a", "x-sluice-model": "gpt-4o-mock-a"}
FROM_B = {
    "x-sluice-cluster": "mock-b",
    "x-sluice-model": "gpt-4o-mock-b",
    "x-sluice-attempts": "mock-a=server_error, mock-b=success",
}


@pytest.mark.parametrize(("when", "told", "told_after_failure"), [
    (None, {}, FROM_B),
    ("always", FROM_A, FROM_B),
    ("never", {}, {}),
])
def test_answer_headers(
    settings: Callable[[], Settings], open_world: OpenWorld, when: str | None, told: dict[str, str], told_after_failure: dict[str, str]
) -> None:
    changed = settings()
    changed.values("router").pop("answer_headers")
    changed.values("router").update({"answer_headers": when} if when else {})
    changed.add_model("a-first", "mock-a", "mock-b")
    with open_world(changed.text()) as world:
        assert _told(world.chat(model="a-first")) == told
        world.fault({"fault": "status", "status": 503}, "mock-a")
        assert _told(world.chat(model="a-first")) == told_after_failure
        world.fault({"fault": "status", "status": 422}, "mock-a")
        found = _told(world.chat(model="a-first"), 422).keys()
        assert found == ({*FROM_B} if when == "always" else set())


@pytest.mark.parametrize("fault", [{"fault": "status", "status": 503}, {"fault": "reset"}])
def test_largest_body(wide_world: World, fault: dict[str, Any]) -> None:
    """A request up to the size limit is kept for another attempt."""
    text = "x" * ((8 << 20) - 1024)
    wide_world.fault(fault, "mock-a")
    response = wide_world.chat(text, model="a-first")
    assert (response.status_code, content(response)) == (200, f"Hello from mock-b. You said: {text}")


@pytest.mark.parametrize("name", ["status 503", "reset", "hang"])
def test_model_and_tokens_are_from_the_second_server(wide_world: World, name: str) -> None:
    fault, model, _ = FAULTS[name]
    metrics = ("llm_requests_total", "llm_tokens_total")
    before = [wide_world.counted(metric) for metric in metrics]
    wide_world.fault(fault, "mock-a")
    assert wide_world.chat(model=model, stream=True).status_code == 200
    labels = ("demo-user", model, "mock-b")
    want = [Counter({(*labels, "200"): 1}), Counter({(*labels, "input"): 1, (*labels, "output"): 10})]
    eventually(lambda: [wide_world.counted(metric) - old for metric, old in zip(metrics, before)], want)


@pytest.mark.parametrize(("status", "path"), PASSED_ON)
def test_client_errors_are_not_retried(wide_world: World, status: int, path: str) -> None:
    """The provider's error message passes unchanged."""
    before = wide_world.counted("llm_attempts_total")
    body = json.dumps({"error": {"message": "Ünlucky", "its": "own"}})
    headers = {"content-type": "application/problem+json", "x-request-cost": "7"}
    wide_world.fault({"fault": "status", "status": status, "body": body, "headers": headers}, "mock-a")
    response = wide_world.send(chat_body(model="a-first"), path=path)
    assert (response.status_code, response.text) == (status, body)
    assert headers.items() <= dict(response.headers).items()
    assert [server for server, _ in wide_world.entries()] == ["mock-a"]
    want = Counter({("mock-a", "client_error"): 1})
    eventually(lambda: wide_world.counted("llm_attempts_total") - before, want)


def test_last_servers_error_passes(wide_world: World) -> None:
    """If all fail, the client gets the last one's error, and every server was tried once."""
    wide_world.fault({"fault": "status", "status": 503})
    wide_world.fault({"fault": "status", "status": 429, "headers": {"retry-after": "7"}, "body": "{}"}, "mock-b")
    response = wide_world.chat(model="a-first")
    assert (response.status_code, response.headers["retry-after"], response.text) == (429, "7", "{}")
    assert [server for server, _ in wide_world.entries()] == ["mock-a", "mock-b"]
    assert "x-sluice-retry" not in response.headers


def test_every_server_is_tried_once(world: World) -> None:
    world.fault({"fault": "status", "status": 500})
    for _ in range(6):
        assert world.chat().status_code == 500
    assert {name: len(entries) for name, entries in world.journals().items()} == dict.fromkeys(SHARES, 6)


def test_timeouts_count_as_timeout(wide_world: World) -> None:
    """All of them, independent of the filter's clock."""
    before = wide_world.counted("llm_attempts_total")
    wide_world.fault({"fault": "hang"}, "mock-a")
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: wide_world.chat(model="hasty"), range(48)))
    assert Counter(answer.status_code for answer in answers) == {200: 48}
    wide_world.settle()
    assert wide_world.counted("llm_attempts_total") - before == {("mock-a", "timeout"): 48, ("mock-b", "success"): 48}


def test_max_retries_is_high_enough(wide_world: World) -> None:
    """Envoy's default allows three concurrent retries; 200 concurrent calls that all need a retry show that ours allows more."""
    wide_world.fault({"fault": "status", "status": 503, "delay_ms": 50}, "mock-a")
    bodies = [chat_body(model=model, stream=stream) for model in ("a-first", "closed-first") for stream in (False, True)] * 100
    answers = clients.ask(wide_world.gateway.port, bodies, 200)
    assert Counter(answer.text() for answer in answers) == {"Hello from mock-b. You said: Hello": 400}
    wide_world.settle()
    overflows = wide_world.gateway.stats(r"overflow$")
    assert overflows and not any(overflows.values()), overflows


@pytest.mark.parametrize("joined", [True, False], ids=["one entry", "separate"])
def test_unusable_cluster(settings: Callable[[], Settings], open_world: OpenWorld, joined: bool) -> None:
    """Envoy answers instead of the attempt, and tries no other cluster. The cluster leaves the pool, and the log says why."""
    changed = settings()
    if not joined:
        changed.separate()
    names = ("missing", "empty", "gone", "bare")
    for name in ("empty", "bare"):
        changed.add_cluster(name, CLOSED_PORT)["load_assignment"]["endpoints"] = []
    for name in ("missing", "gone"):
        changed.add_cluster(name, CLOSED_PORT)
        changed.tree["static_resources"]["clusters"].pop()
    for name in names:
        changed.upstreams[name] = {}
        changed.add_model(f"{name}-first", name, "mock-b")
        changed.add_model(f"{name}-second", "mock-a", name)
    with open_world(changed.text()) as world:
        world.fault({"fault": "status", "status": 500}, "mock-a")
        for name in names:
            if name in ("missing", "empty"):
                failed, first = world.chat(model=f"{name}-second"), "mock-a=server_error, "
            else:
                failed, first = world.chat(model=f"{name}-first"), ""
            assert failed.status_code == 503
            assert failed.headers["x-sluice-attempts"] == f"{first}{name}=connect_failure:no_cluster"
            assert {world.chat(model=f"{name}-first").status_code for _ in range(20)} == {200}
        world.settle()
        counted = world.counted("llm_attempts_total")
        assert counted == {
            ("mock-a", "server_error"): 2,
            ("mock-b", "success"): 20 * len(names),
            **{(name, "connect_failure"): 1 for name in names},
        }
        states = {entry["cluster"]: entry for entry in call(world, "GET", "/gateway/upstreams", ADMIN).json()["data"]}
        for name in names:
            assert (states[name]["state"], states[name]["reason"]) == ("ejected", "no_cluster")
            assert states[name]["last_connect_failure"]["cause"] == "no_cluster"
            told = f'sluice: no connection to cluster "{name}" (no_cluster): it is not in `clusters`'
            assert 1 <= world.gateway.log().count(told) <= 2  # once by each worker


def test_route_timeout(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """A model without its own timeout has the timeout of envoy.yaml's route, which the filter cannot distinguish from a reset."""
    changed = settings()
    del changed.values("router")["retry"]
    changed.add_model("a-first", "mock-a", "mock-b")
    route = changed.manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    route["retry_policy"]["per_try_timeout"] = "0.3s"
    with open_world(changed.text()) as world:
        world.fault({"fault": "hang"}, "mock-a")
        assert content(world.chat(model="a-first")) == "Hello from mock-b. You said: Hello"
        world.settle()
        assert world.counted("llm_attempts_total") == {("mock-a", "reset"): 1, ("mock-b", "success"): 1}


def test_unresolved_name(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    changed = settings()
    changed.add_cluster("nowhere", ("models.nowhere.invalid", 80))
    changed.upstreams["nowhere"] = {}
    changed.add_model("nowhere-first", "nowhere", "mock-b")
    with open_world(changed.text()) as world:
        for stream in (False, True):
            response = world.chat(model="nowhere-first", stream=stream)
            assert (response.status_code, content(response)) == (200, "Hello from mock-b. You said: Hello")
            assert response.headers["x-sluice-attempts"] == "nowhere=connect_failure:dns, mock-b=success"
        eventually(lambda: world.counted("llm_attempts_total")["nowhere", "connect_failure"], 2)
        states = {entry["cluster"]: entry for entry in call(world, "GET", "/gateway/upstreams", ADMIN).json()["data"]}
        assert states["nowhere"]["last_connect_failure"]["cause"] == "dns" and not states["mock-b"]["last_connect_failure"]
        said = 'no connection to cluster "nowhere" (dns): it has no host: its name does not resolve'
        assert said in world.gateway.log()
        told = '"connect_failure":"it has no host: its name does not resolve"'
        eventually(lambda: world.gateway.output().count(told), 2)


def test_refused_connection_is_reported(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    changed = settings()
    changed.add_cluster("closed", ("127.0.0.1", 2))
    changed.upstreams["closed"] = {}
    changed.add_model("closed-first", "closed", "mock-b")
    with open_world(changed.text()) as world:
        response = world.chat(model="closed-first")
        assert response.headers["x-sluice-attempts"] == "closed=connect_failure:refused, mock-b=success"
        states = {entry["cluster"]: entry for entry in call(world, "GET", "/gateway/upstreams", ADMIN).json()["data"]}
        last = states["closed"]["last_connect_failure"]
        assert last["cause"] == "refused" and "refused" in last["reason"]
        assert f'no connection to cluster "closed" (refused): {last["reason"]}' in world.gateway.log()
        eventually(lambda: world.gateway.output().count(f'"connect_failure":"{last["reason"]}"'), 1)


def test_client_leaves_mid_stream(wide_world: World) -> None:
    """Its request is counted once, as partial; the next request is served."""
    metrics = ("llm_usage_source_total", "llm_requests_total", "llm_attempts_total")
    before = [wide_world.counted(metric) for metric in metrics]
    wide_world.fault({"chunk_delay_ms": 100, "text": "word " * 100}, "mock-a")
    with _streaming(wide_world, model="a-first") as chunks:
        assert b"chat.completion.chunk" in next(chunks)
        next(chunks)
    labels = [("partial",), ("demo-user", "a-first", "mock-a", "200"), ("mock-a", "abandoned")]
    want = [Counter({each: 1}) for each in labels]
    eventually(lambda: [wide_world.counted(metric) - old for metric, old in zip(metrics, before)], want)
    wide_world.reset()
    assert wide_world.chat(model="a-first").status_code == 200


def test_client_leaves_before_the_answer(wide_world: World) -> None:
    """The request is dropped, and no other server is tried."""
    before = wide_world.counted("llm_attempts_total")
    wide_world.fault({"fault": "hang"})
    with pytest.raises(httpx.ReadTimeout):
        wide_world.http.post(CHAT, content=chat_body(model="a-first"), headers=BEARER, timeout=0.2)
    want = Counter({("mock-a", "abandoned"): 1})
    eventually(lambda: wide_world.counted("llm_attempts_total") - before, want)
    assert [server for server, _ in wide_world.entries()] == ["mock-a"]


def test_clients_leave_at_any_time(world: World) -> None:
    """Each request is counted once, whenever its client leaves."""
    before = world.counted("llm_requests_total").total()
    world.fault({"chunk_delay_ms": 5, "delay_ms": 5})
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: _leave(world, after=number % 40 / 1000), range(200)))
    world.settle()
    assert world.counted("llm_requests_total").total() - before == 200


@pytest.mark.parametrize("fault", ["reset_body", "truncate_body"])
def test_broken_stream(wide_world: World, fault: str) -> None:
    """After the first event no retry is possible; the stream must not look complete."""
    metrics = ("llm_usage_source_total", "llm_attempts_total")
    before = [wide_world.counted(metric) for metric in metrics]
    wide_world.fault({"fault": fault, "after_events": 3}, "mock-a")
    with pytest.raises(httpx.RemoteProtocolError):
        wide_world.chat(model="a-first", stream=True)
    want = [Counter({("partial",): 1}), Counter({("mock-a", "interrupted"): 1})]
    eventually(lambda: [wide_world.counted(metric) - old for metric, old in zip(metrics, before)], want)


def _ask(world: World, calls: int, at_once: int) -> list[httpx.Response]:
    """Every second call is streamed."""
    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(lambda number: world.chat(f"call {number}", stream=number % 2 == 1), range(calls)))


def _reported(world: World) -> Counter[tuple[str, ...]]:
    """The tokens in the journals, by the labels under which they are counted."""
    counts: Counter[tuple[str, ...]] = Counter()
    for name, entry in world.entries():
        for kind, count in zip(("input", "output"), tokens(entry["usage"])):
            counts["demo-user", "gpt-4o", name, kind] += count
    return counts


def _assert_own_only(name: str, entry: dict[str, Any]) -> None:
    """The request has the server's own key and model, and no other key anywhere."""
    assert entry["headers"]["authorization"] == f"Bearer {name}-secret"
    assert entry["body"]["model"] == f"gpt-4o-{name}"
    others = {demo.USER_KEY, *demo.PROVIDER_KEYS.values()} - {f"{name}-secret"}
    assert not any(key in json.dumps(entry) for key in others)


def _assert_original(entry: dict[str, Any], sent: bytes, model: str, stream: bool) -> None:
    """The second server got the client's request, except for the model and the request for usage."""
    _assert_own_only("mock-b", entry)
    body = sent.replace(f'"model":"{model}"'.encode(), b'"model":"gpt-4o-mock-b"')
    if stream:
        body = body.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
    assert entry["body"] == json.loads(body)
    assert entry["headers"]["content-length"] == str(len(body))


def _told(response: httpx.Response, status: int = 200) -> dict[str, str]:
    """The headers that name the answer's origin."""
    assert response.status_code == status
    return {name: value for name, value in response.headers.items() if name.startswith("x-sluice-")}


def _leave(world: World, after: float) -> None:
    """Requests a stream, and leaves after this many seconds, wherever the stream is then."""
    body = chat_body(stream=True)
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {BEARER['authorization']}\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", world.gateway.port)) as client:
        client.sendall(head.encode() + body)
        time.sleep(after)


@contextlib.contextmanager
def _streaming(world: World, **fields: Any) -> Iterator[Iterable[bytes]]:
    """The chunks of a stream as they arrive; the connection closes at the end of the block."""
    with httpx.Client(base_url=world.url, trust_env=False, timeout=10) as client:
        with client.stream("POST", CHAT, content=chat_body(stream=True, **fields), headers=BEARER) as response:
            assert response.status_code == 200
            yield response.iter_raw()
