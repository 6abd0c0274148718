"""The guard's actions, its checks, and its cost."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator

import pytest

import answers
from conftest import OpenWorld
from guarded import Fake, Guarded, Way, check, guarded, in_flight, verdicts
from settings import Settings
from world import ADMIN, BEARER, World, chat_body, eventually, pieces

BAD = "this is venom"
MAIL = "ann@example.com"
MAX_IN_FLIGHT = 4
MIB = 1 << 20
MASK = {"name": "mask-check", "api": "patterns", "phase": ["response"], "action": "mask", "models": ["mask"]}
EARLY = {"name": "early-check", "api": "patterns", "phase": ["request"], "action": "flag", "models": ["uneven"]}
LOCAL = {"name": "local-check", "api": "patterns", "phase": ["request"], "action": "mask", "models": ["local"]}
# By model; each has its own check.
CHECKS: dict[str, dict[str, Any]] = {
    "block": {},
    "answer": {"phase": ["response"]},
    "flag": {"action": "flag"},
    "dry": {"dry_run": True},
    "admins": {"keys": ["demo-admin"]},
    "system": {"roles": ["system"]},
    "slow-1": {"models": ["parallel"]},
    "slow-2": {"models": ["parallel"]},
    "slow-3": {"models": ["parallel"]},
    "late": {"models": ["uneven"]},
    "busy": {"timeout": "5s"},
}
MODELS = [*(name for name, fields in CHECKS.items() if "models" not in fields), "parallel", "uneven", "mask", "local", "free"]


# Joined with the other filters, and as a separate entry.
EITHER_WAY = pytest.mark.parametrize("_guarded", ["joined", "separate"], indirect=True)


@pytest.fixture(scope="module")
def _guarded(
    request: pytest.FixtureRequest, settings: Callable[[], Settings], open_world: OpenWorld
) -> Iterator[Guarded]:
    with Fake() as fake:
        changed = settings()
        changed.add_cluster("classifier", fake.address)
        for model in MODELS:
            changed.add_model(model, "mock-a")
        checks = [check(f"{name}-check", **{"models": [name], **fields}) for name, fields in CHECKS.items()]
        guarded(changed, [*checks, EARLY, MASK, LOCAL], max_in_flight=MAX_IN_FLIGHT)
        if getattr(request, "param", "joined") == "separate":
            changed.separate()
        with open_world(changed.text()) as world:
            yield Guarded(world, fake)


@pytest.fixture
def guard(_guarded: Guarded) -> Guarded:
    _guarded.reset()
    return _guarded


@pytest.fixture
def world(guard: Guarded) -> World:
    return guard.world


def _counted(world: World, *want: str) -> None:
    eventually(lambda: verdicts(world).get(want, 0) > 0, True)


@EITHER_WAY
def test_request_is_blocked(world: World) -> None:
    response = world.chat(BAD, model="block")
    assert response.status_code == 400
    error = answers.openai_error(response)
    assert (error["code"], error["param"]) == ("content_filter", "messages")
    assert error["message"] == "The request was blocked by the check `block-check`: toxicity."
    assert world.entries() == [] and world.chat("Hello", model="block").status_code == 200
    _counted(world, "block-check", "request", "block")


@EITHER_WAY
def test_answer_is_blocked(world: World) -> None:
    """The text is removed, the usage stays."""
    answer = world.chat(BAD, model="answer").json()
    assert "venom" not in json.dumps(answer) and answer["usage"]["completion_tokens"] > 0
    assert [choice["finish_reason"] for choice in answer["choices"]] == ["content_filter"]
    assert "Hello" in answers.content(world.chat("Hello", model="answer"))


@EITHER_WAY
@pytest.mark.parametrize("stream", [False, True])
def test_answer_is_masked(world: World, stream: bool) -> None:
    text = answers.content(world.chat(f"write to {MAIL}, please", model="mask", stream=stream))
    assert "write to <EMAIL_ADDRESS>, please" in text and MAIL not in text
    (entry,) = world.journals()["mock-a"]
    assert MAIL in json.dumps(entry)  # requests are not checked
    _counted(world, "mask-check", "response", "mask")


@EITHER_WAY
@pytest.mark.parametrize("stream", [False, True])
def test_flags(world: World, stream: bool) -> None:
    response = world.chat(BAD, model="flag", stream=stream)
    assert BAD in answers.content(response)
    assert response.headers["x-sluice-guard"] == "flag-check:toxicity"
    assert "x-sluice-guard" not in world.chat("Hello", model="flag").headers
    _counted(world, "flag-check", "request", "flag")


def test_dry_run(world: World) -> None:
    response = world.chat(BAD, model="dry")
    assert BAD in answers.content(response) and "x-sluice-guard" not in response.headers
    _counted(world, "dry-check", "request", "would_block")


@EITHER_WAY
def test_scope_of_checks(guard: Guarded) -> None:
    """By model, by key, and by role."""
    world, body = guard.world, chat_body(BAD, model="admins")
    assert world.chat(BAD, model="free").status_code == 200
    assert world.send(body, headers=BEARER).status_code == 200
    assert guard.fake.asked == []
    assert world.send(body, headers=ADMIN).status_code == 400
    assert world.chat(BAD, model="system").status_code == 200
    messages = [{"role": "system", "content": BAD}, {"role": "user", "content": "Hello"}]
    assert world.chat(model="system", messages=messages).status_code == 400
    assert guard.fake.asked[1:] == [[BAD]]


@EITHER_WAY
def test_checks_run_in_parallel(guard: Guarded) -> None:
    guard.fake.way = Way(delay=0.25)
    start = time.monotonic()
    assert guard.world.chat("Hello", model="parallel").status_code == 200
    seconds = time.monotonic() - start
    assert len(guard.fake.asked) == 3 and seconds < 0.6, seconds
    print(f"three checks of 250 ms each: {seconds * 1000:.0f} ms")


def test_each_check_has_its_own_timeout(guard: Guarded) -> None:
    guard.fake.way = Way(delay=0.2)
    assert guard.world.chat("Hello", model="uneven").status_code == 200

    def are_slow() -> dict[str, bool]:
        buckets = guard.world.series("llm_guard_duration_ms_bucket")
        reached = {name: [float(labels["le"]) for labels, count in buckets if labels["check"] == name and count] for name in names}
        return {name: min(bounds) > 100 for name, bounds in reached.items() if bounds}

    names = ("late-check", "early-check")
    eventually(are_slow, {"late-check": True, "early-check": False})


def test_too_many_callouts(guard: Guarded) -> None:
    """Each worker allows this many; further ones are refused at once, and the count returns to zero."""
    guard.fake.way = Way(delay=1.0)
    with ThreadPoolExecutor(30) as threads:
        responses = list(threads.map(lambda number: guard.world.chat(f"{number}", model="busy"), range(30)))
    served = [response for response in responses if response.status_code == 200]
    refused = [response for response in responses if response.status_code == 503]
    assert MAX_IN_FLIGHT <= len(served) <= 2 * MAX_IN_FLIGHT and len(served) + len(refused) == 30
    assert all(answers.openai_error(response)["code"] == "guard_unavailable" for response in refused)
    assert all(response.headers["retry-after"] == "1" for response in refused)
    _counted(guard.world, "busy-check", "request", "error_busy")
    eventually(lambda: in_flight(guard.world), 0)


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies(world: World, chunked: bool) -> None:
    filler = "word " * 200_000
    body = chat_body(f"{filler}{MAIL} {filler}", model="local", max_tokens=1)
    response = world.send(pieces(body) if chunked else body)
    assert response.status_code == 200
    (entry,) = world.journals()["mock-a"]
    sent = json.dumps(entry)
    assert MAIL not in sent and f"{filler}<EMAIL_ADDRESS> {filler}" in sent


HOSTILE = {
    "digits": "4111 1111 1111 1112 ",
    "mail": "a.b-c@d.e-f.",
    "ats": "a@",
    "dots": "1.2.3.",
    "colons": "fe80:",
    "dashes": "123-45-",
    "keys": "sk-ghp_AKIA",
    "accounts": "DE00 0000 0000 ",
    "addresses that are some": "a@b.cc ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_almost_matches_are_linear(world: World, name: str) -> None:
    """A MiB with real or apparent personal data at every byte takes about four times as long as a quarter of it."""

    def seconds(size: int) -> float:
        text = (HOSTILE[name] * (size // len(HOSTILE[name]) + 1))[:size]
        body = {model: chat_body(text, model=model, max_tokens=1) for model in ("local", "free")}
        took = {"local": [], "free": []}
        for _ in range(3):
            for model in took:
                start = time.monotonic()
                assert world.send(body[model]).status_code in (200, 400)
                took[model].append(time.monotonic() - start)
        return max(min(took["local"]) - min(took["free"]), 0.001)

    quarter, whole = seconds(MIB // 4), seconds(MIB)
    print(f"{name}: {quarter * 1000:.0f} ms for 256 KiB, {whole * 1000:.0f} ms for 1 MiB")
    assert whole < 8 * quarter + 0.1


def test_guard_without_checks_costs_nothing(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Compares a chain with an empty guard and one without a guard. Requests alternate, and only the fastest ones count, because
    the others waited for other processes."""
    with open_world(settings().text()) as without, open_world(guarded(settings(), []).text()) as idle:
        took: dict[str, list[float]] = {"without": [], "idle": []}
        for _ in range(400):
            for name, world in (("without", without), ("idle", idle)):
                start = time.perf_counter()
                assert world.chat().status_code == 200
                took[name].append(time.perf_counter() - start)
    quick = {name: sorted(each)[len(each) // 5] * 1e6 for name, each in took.items()}
    print(f"microseconds, maximum of the fastest fifth: {quick}")
    assert quick["idle"] < 1.15 * quick["without"] + 50
