"""Failing classifiers: `deny` lets nothing pass unchecked, `allow` lets everything pass, and no request waits long."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping

import httpx
import pytest

import answers
from conftest import CLOSED_PORT, OpenWorld
from gateway import MockModels
from guarded import TOO_LARGE, Fake, Guarded, Way, check, guarded, in_flight, since, verdicts
from settings import Settings
from world import BEARER, eventually

TIMEOUT = 0.4
# Tolerance for a busy machine.
SLACK = 0.6
TEXT = "Good morning"
# Callers leave, models and classifiers answer: after this time all of it is finished.
LONG = 1.0


# One for each way to fail; tests/core/guard/answers.rs has every status and shape.
WAYS: dict[str, tuple[Way, str]] = {
    "slow": (Way(delay=1.0), "error_timeout"),
    "its body stalls": (Way(stall=True), "error_timeout"),
    "reset": (Way(reset="before"), "error_refused"),
    "reset within its body": (Way(reset="within"), "error_refused"),
    "503 of its own": (Way(status=503), "error_status"),
    "504 of its own": (Way(status=504), "error_status"),
    "redirect": (Way(status=302, headers={"location": "/"}), "error_status"),
    "nothing": (Way(body=b""), "error_shape"),
    "too large": (Way(body=b" " * TOO_LARGE), "error_shape"),
    "an error in a 200": (Way(body=b'{"error": {"message": "overloaded"}}'), "error_shape"),
}


@dataclass(frozen=True)
class Asked(Guarded):
    def ask(self, model: str, stream: bool = False, **fields: Any) -> tuple[httpx.Response, float]:
        """An answer and its duration."""
        start = time.monotonic()
        response = self.world.chat(TEXT, model=model, stream=stream, **fields)
        return response, time.monotonic() - start


@pytest.fixture(scope="module")
def _guarded(
    settings: Callable[[], Settings], models: Mapping[str, MockModels], open_world: OpenWorld
) -> Iterator[Asked]:
    """A model for each phase, policy and cluster, with a check of the same name."""
    with Fake() as fake:
        changed = settings()
        changed.add_cluster("classifier", fake.address)
        changed.add_cluster("closed", CLOSED_PORT)
        checks = []
        for cluster in ("classifier", "closed", "nowhere"):
            for phase in ("request", "response"):
                for policy in ("deny", "allow"):
                    name = f"{cluster}-{phase}-{policy}"
                    changed.add_model(name, "mock-a")
                    checks.append(check(name, cluster, phase=[phase], on_failure=policy, models=[name]))
        changed.add_model("told", "mock-a")
        checks.append(check("told", "classifier", phase=["request"], on_failure="deny", models=["told"]))
        guarded(changed, checks)
        with open_world(changed.text()) as world:
            yield Asked(world, fake)


@pytest.fixture
def guard(_guarded: Asked) -> Asked:
    _guarded.reset()
    return _guarded


def _assert_refused(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert answers.openai_error(response)["code"] == "guard_unavailable"


def _assert_filtered(response: httpx.Response) -> None:
    """A stream without text, that ends as if a filter had ended it."""
    assert response.status_code == 200 and answers.content(response) == ""
    *chunks, done = answers.events(response.content)
    assert done == "[DONE]"
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]][-1] == "content_filter"


def _probe(guard: Asked, cluster: str, verdict: str) -> None:
    """One exchange of each kind; each is counted once."""
    world = guard.world
    before = verdicts(world)
    for phase in ("request", "response"):
        for stream in (False, True):
            world.models["mock-a"].clear()
            response, seconds = guard.ask(f"{cluster}-{phase}-deny", stream)
            assert seconds < TIMEOUT + SLACK
            if phase == "request":
                _assert_refused(response)
                assert world.entries() == []
            elif stream:
                _assert_filtered(response)
            else:
                _assert_refused(response)
            response, seconds = guard.ask(f"{cluster}-{phase}-allow", stream)
            assert seconds < TIMEOUT + SLACK
            assert response.status_code == 200 and TEXT in answers.content(response)
            assert "content_filter" not in response.text
    want = {
        (f"{cluster}-{phase}-{policy}", phase, verdict): 2
        for phase in ("request", "response")
        for policy in ("deny", "allow")
    }
    eventually(lambda: since(before, verdicts(world)), want)
    eventually(lambda: in_flight(world), 0)


@pytest.mark.parametrize("way", WAYS)
def test_failures(guard: Asked, way: str) -> None:
    guard.fake.way, verdict = WAYS[way]
    _probe(guard, "classifier", verdict)


def test_log_has_the_reason(guard: Asked) -> None:
    """Once in each worker, not for each request."""
    guard.fake.way = Way(status=401, body=f"{TEXT}?".encode())
    for _ in range(20):
        _assert_refused(guard.ask("told")[0])
    log = guard.world.gateway.log()
    assert 1 <= log.count('the check "told" could not be made: its service answered with status 401') <= 2
    assert TEXT not in log


@pytest.mark.parametrize("cluster", ["closed", "nowhere"])
def test_no_classifier(guard: Asked, cluster: str) -> None:
    """Nothing listens there, or Envoy does not know the cluster."""
    _probe(guard, cluster, "error_refused")


@pytest.mark.parametrize("phase", ["request", "response"])
@pytest.mark.parametrize("stream", [False, True])
def test_client_leaves_before_the_classifier_answers(guard: Asked, phase: str, stream: bool) -> None:
    """The late answer or timeout is ignored; the next client is served."""
    for delay in (0.2, 1.0):
        guard.fake.way = Way(delay=delay)
        for _ in range(5):
            with pytest.raises(httpx.ReadTimeout):
                with httpx.Client(base_url=guard.world.url, timeout=0.1, trust_env=False) as client:
                    body = {"model": f"classifier-{phase}-deny", "messages": [{"role": "user", "content": TEXT}]}
                    client.post("/v1/chat/completions", json={**body, "stream": stream}, headers=BEARER)
    assert len(guard.fake.asked) == 10
    time.sleep(LONG)
    eventually(lambda: in_flight(guard.world), 0)
    guard.fake.reset()
    response, _ = guard.ask(f"classifier-{phase}-deny", stream)
    assert TEXT in answers.content(response)
