"""Failing clusters leave the pool, for all workers at once, and return after one probe. Operators can see and control this."""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Iterator, Mapping

import httpx
import pytest

import clients
import demo
from answers import openai_error
from conftest import OpenWorld
from resilience import UNLIMITED_RETRIES, add_group
from settings import Settings
from world import World, chat_body, eventually

ADMIN = {"authorization": f"Bearer {demo.ADMIN_KEY}"}
BROKEN = {"fault": "status", "status": 503}
# The ejection time of clusters whose probes are tested, and the duration of a probe.
WINDOW, PROBE = 0.3, 0.1
# Each test has its own pair of clusters; `NAME-a` is tried first, `NAME-b` second.
GROUPS: dict[str, Mapping[str, Any]] = {
    "row": {"consecutive_failures": 3, "time": "60s"},
    "probed": {"consecutive_failures": 2, "time": f"{WINDOW}s", "max_time": f"{WINDOW}s"},
    "ratio": {"consecutive_failures": 100_000, "failure_percent": 50, "min_requests": 10},
    "paused": {"consecutive_failures": 100_000},
    "paused-long": {"consecutive_failures": 100_000, "max_retry_after": "20s"},
    "locked": {},
    "hand": {},
    "still": {},
}
TRIO = "gone"


@pytest.fixture(scope="module")
def _pool_world(settings: Callable[[], Settings], models: Any, open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    changed.values("router")["retry"] = UNLIMITED_RETRIES
    for name, ejection in GROUPS.items():
        add_group(changed, name, [models["mock-a"], models["mock-b"]], ejection=ejection)
    add_group(changed, "spare", [models["mock-c"]], ejection={})
    add_group(changed, "main", [models["mock-a"], models["mock-b"]], ejection={}, fallbacks=["spare"])
    add_group(changed, TRIO, [models[server.name] for server in demo.SERVERS])
    with open_world(changed.text()) as world:
        yield world


@pytest.fixture
def pool_world(_pool_world: World) -> World:
    _pool_world.heal()
    return _pool_world


def test_failures_in_a_row(pool_world: World) -> None:
    """After the third failure no worker tries it."""
    pool_world.fault(BROKEN, "mock-a")
    assert [_call(pool_world, "row") for _ in range(10)] == ["row-b"] * 10
    assert len(pool_world.journals()["mock-a"]) == 3
    out = _upstream(pool_world, "row-a")
    assert 50 < out.pop("until") - time.time() < 61
    assert out.pop("latency_ms") is None
    assert out.pop("until_rfc3339").endswith("Z") and out.pop("last_connect_failure") is None
    assert out.pop("models") == []
    want = {"cluster": "row-a", "upstream": "row-a", "state": "ejected", "reason": "consecutive_failures"}
    assert out == {**want, "in_flight": 0, "uses": 3, "consecutive_failures": 3}
    # the last answer may arrive before its attempt has ended
    eventually(lambda: _upstream(pool_world, "row-b")["uses"], 10)
    healthy = _upstream(pool_world, "row-b")
    latency = healthy.pop("latency_ms")  # from the worker that answers, which may have no attempts yet
    assert latency is None or 0 < latency < 1000
    want = {"cluster": "row-b", "upstream": "row-b", "state": "healthy", "reason": None, "until": None}
    want.update(until_rfc3339=None, last_connect_failure=None, models=[])
    assert healthy == {**want, "in_flight": 0, "uses": 10, "consecutive_failures": 0}
    eventually(lambda: [_gauge(pool_world, "row-a"), _gauge(pool_world, "row-b")], [1, 0])
    eventually(lambda: _ejections(pool_world, "row"), {("row-a", "consecutive_failures"): 1})


def test_one_probe_at_a_time(pool_world: World) -> None:
    """Under load, from both workers: one request in each window is a probe, the others go elsewhere."""
    pool_world.fault({"delay_ms": 40}, "mock-b")
    pool_world.fault({**BROKEN, "delay_ms": int(PROBE * 1000)}, "mock-a")
    assert set(_load(pool_world, "probed", seconds=1.8)) == {"probed-b"}
    arrivals = [entry["at_ms"] / 1000 for entry in pool_world.journals()["mock-a"]]
    gaps = [later - earlier for earlier, later in zip(arrivals, arrivals[1:])]
    probes = [gap for gap in gaps if gap > WINDOW / 2]
    assert len(probes) >= 3, gaps
    assert gaps[-len(probes) :] == probes, "other requests arrived between two probes"
    assert min(probes) > WINDOW + PROBE - 0.05
    assert _upstream(pool_world, "probed-a")["reason"] == "consecutive_failures"

    pool_world.fault({}, "mock-a")
    answering = _load(pool_world, "probed", seconds=0.8)
    assert "probed-a" in answering and answering[-1] == "probed-a"
    eventually(lambda: _gauge(pool_world, "probed-a"), 0)
    assert _upstream(pool_world, "probed-a")["state"] == "healthy"


def test_share_of_failures(pool_world: World) -> None:
    """Every second call fails, so never two in a row."""
    for number in range(20):
        pool_world.fault(BROKEN if number % 2 else {}, "mock-a")
        _call(pool_world, "ratio")
        time.sleep(0.06)  # until the other worker knows about a success
        if _upstream(pool_world, "ratio-a")["state"] == "ejected":
            break
    assert number >= 9
    assert _upstream(pool_world, "ratio-a")["reason"] == "failure_ratio"
    eventually(lambda: _ejections(pool_world, "ratio"), {("ratio-a", "failure_ratio"): 1})


def test_retry_after(pool_world: World) -> None:
    """No requests go to it for the requested time; after that it is tried again."""
    pool_world.fault({"fault": "status", "status": 429, "headers": {"retry-after": "1"}, "times": 1}, "mock-a")
    asked = time.time()
    assert [_call(pool_world, "paused") for _ in range(5)] == ["paused-b"] * 5
    out = _upstream(pool_world, "paused-a")
    assert (out["state"], out["reason"]) == ("ejected", "retry_after")
    assert asked + 0.9 < out["until"] < asked + 1.5
    assert len(pool_world.journals()["mock-a"]) == 1
    time.sleep(max(0, out["until"] - time.time()) + 0.05)
    assert _upstream(pool_world, "paused-a")["state"] == "half_open"
    assert _call(pool_world, "paused") == "paused-a"
    assert _upstream(pool_world, "paused-a")["state"] == "healthy"


def test_retry_after_has_a_limit(pool_world: World) -> None:
    pool_world.fault({"fault": "status", "status": 429, "headers": {"retry-after": "86400"}}, "mock-a")
    assert _call(pool_world, "paused-long") == "paused-long-b"
    assert 15 < _upstream(pool_world, "paused-long-a")["until"] - time.time() <= 20


def test_a_provider_that_refuses_the_key(pool_world: World) -> None:
    """One failure is enough: the provider will refuse every request with this key."""
    pool_world.fault({"fault": "status", "status": 401}, "mock-a")
    clients.ask(pool_world.gateway.port, [chat_body(model="locked")], 1)
    assert [_call(pool_world, "locked") for _ in range(5)] == ["locked-b"] * 5
    assert len(pool_world.journals()["mock-a"]) == 1
    assert _upstream(pool_world, "locked-a")["reason"] == "credential"
    eventually(lambda: _ejections(pool_world, "locked"), {("locked-a", "credential"): 1})


def test_manual_ejection(pool_world: World) -> None:
    assert _call(pool_world, "hand") == "hand-a"
    entry = _order(pool_world, "hand-a", "eject", {"time": "10m"}).json()
    assert (entry["cluster"], entry["state"], entry["reason"]) == ("hand-a", "ejected", "manual")
    assert 590 < entry["until"] - time.time() < 601
    assert [_call(pool_world, "hand") for _ in range(4)] == ["hand-b"] * 4
    eventually(lambda: _gauge(pool_world, "hand-a"), 1)
    assert _order(pool_world, "hand-a", "restore").json()["state"] == "healthy"
    assert [_call(pool_world, "hand") for _ in range(4)] == ["hand-a"] * 4
    eventually(lambda: _gauge(pool_world, "hand-a"), 0)
    assert _order(pool_world, "hand-a", "eject").json()["until"] is None, "until it is restored"
    assert _call(pool_world, "hand") == "hand-b"
    _order(pool_world, "hand-a", "restore")
    eventually(lambda: _ejections(pool_world, "hand"), {("hand-a", "manual"): 2})


def test_all_are_out(pool_world: World) -> None:
    """The cluster that returns soonest is tried; otherwise the caller would get no answer at all."""
    for letter, minutes in (("a", 30), ("b", 20), ("c", 10)):
        _order(pool_world, f"gone-{letter}", "eject", {"time": f"{minutes}m"})
    assert [_call(pool_world, "gone") for _ in range(4)] == ["gone-c"] * 4
    _order(pool_world, "gone-b", "eject", {"time": "5m"})
    assert [_call(pool_world, "gone") for _ in range(4)] == ["gone-b"] * 4
    for letter in "abc":
        _order(pool_world, f"gone-{letter}", "restore")
    assert _call(pool_world, "gone") == "gone-a"


def test_fallbacks_come_before_ejected_targets(pool_world: World) -> None:
    """No ejected target is tried while a fallback is healthy, even if the fallback is slow to fail."""
    pool_world.fault({**BROKEN, "delay_ms": 2000}, "mock-a", "mock-b")
    for letter in "ab":
        _order(pool_world, f"main-{letter}", "eject", {"time": "5m"})
    begun = time.monotonic()
    assert [_call(pool_world, "main") for _ in range(10)] == ["spare-c"] * 10
    assert time.monotonic() - begun < 2
    journals = pool_world.journals()
    assert [len(journals[name]) for name in ("mock-a", "mock-b", "mock-c")] == [0, 0, 10]
    # if the fallback is out too, the one that returns soonest is tried
    pool_world.fault({}, "mock-a", "mock-b")
    _order(pool_world, "spare-c", "eject", {"time": "10m"})
    _order(pool_world, "main-b", "eject", {"time": "1m"})
    assert _call(pool_world, "main") == "main-b"
    for cluster in ("main-a", "main-b", "spare-c"):
        _order(pool_world, cluster, "restore")


def test_list_of_upstreams(pool_world: World) -> None:
    """It has every upstream, with all fields."""
    listed = pool_world.http.get("/gateway/upstreams", headers=ADMIN)
    assert (listed.status_code, listed.headers["content-type"]) == (200, "application/json")
    assert listed.json().keys() == {"object", "data"} and listed.json()["object"] == "list"
    names = [server.name for server in demo.SERVERS] + [f"{name}-{letter}" for name in GROUPS for letter in "ab"]
    names += [f"{TRIO}-{letter}" for letter in "abc"] + ["main-a", "main-b", "spare-c"]
    assert sorted(each["cluster"] for each in listed.json()["data"]) == sorted(names)
    fields = {"cluster", "upstream", "state", "reason", "until", "until_rfc3339", "in_flight", "uses", "consecutive_failures"}
    fields |= {"latency_ms", "last_connect_failure", "models"}
    assert all(each.keys() == fields for each in listed.json()["data"])


def test_mistakes_of_operators(pool_world: World) -> None:
    assert _order(pool_world, "nobody", "eject").status_code == 404
    for body in ({"time": "soon"}, {"time": 5}, {"tme": "5m"}):
        response = _order(pool_world, "still-a", "eject", body)
        assert response.status_code == 400
        openai_error(response)
    assert _upstream(pool_world, "still-a")["state"] == "healthy"


def test_max_ejected_percent(settings: Callable[[], Settings], models: Any, open_world: OpenWorld) -> None:
    """One of three may be out: of several failed ones, those that return soonest are tried."""
    changed = settings()
    ejection = {"consecutive_failures": 1, "time": "60s", "max_ejected_percent": 34}
    changed.values("router").update(retry=UNLIMITED_RETRIES, ejection=ejection)
    with open_world(changed.text()) as world:
        world.fault({**BROKEN, "delay_ms": 20})
        assert clients.ask(world.gateway.port, [chat_body()], 1)[0].status_code == 503
        world.heal()
        assert {each["state"] for each in _upstreams(world).values()} == {"ejected"}
        last = max(_upstreams(world).values(), key=lambda each: each["until"])["cluster"]
        asked = {_call(world, "gpt-4o") for _ in range(12)}
        assert len(asked) == 2 and last not in asked


def _call(world: World, model: str) -> str:
    """The cluster that answers a call on a new connection, so any worker may get it."""
    (answer,) = clients.ask(world.gateway.port, [chat_body(model=model)], 1)
    assert answer.text() is not None, (answer.status_code, answer.content)
    return answer.headers["x-sluice-cluster"]


def _load(world: World, model: str, seconds: float) -> list[str]:
    """The clusters that answer when many clients call for some time."""
    end = time.monotonic() + seconds

    def bodies() -> Iterator[bytes]:
        while time.monotonic() < end:
            yield chat_body(model=model)

    answers = clients.ask(world.gateway.port, bodies(), 16)
    assert all(answer.text() for answer in answers)
    return [answer.headers["x-sluice-cluster"] for answer in answers]


def _upstreams(world: World) -> dict[str, dict[str, Any]]:
    """The gateway's list of upstreams, by cluster."""
    listed = world.http.get("/gateway/upstreams", headers=ADMIN)
    assert listed.status_code == 200, listed.text
    return {each["cluster"]: each for each in listed.json()["data"]}


def _upstream(world: World, cluster: str) -> dict[str, Any]:
    return _upstreams(world)[cluster]


def _order(world: World, cluster: str, verb: str, body: Any = None) -> httpx.Response:
    """Ejects or restores a cluster, as an operator."""
    content = json.dumps(body).encode() if body else None
    return world.send(content, path=f"/gateway/upstreams/{cluster}/{verb}", headers=ADMIN)


def _gauge(world: World, cluster: str) -> int | None:
    """Whether it is out, according to the metric."""
    return world.counted("llm_ejected").get((cluster,))


def _ejections(world: World, group: str) -> dict[tuple[str, ...], int]:
    """The ejections of a group's clusters, by reason."""
    counted = world.counted("llm_ejections_total")
    return {labels: count for labels, count in counted.items() if labels[0].startswith(f"{group}-") and count}
