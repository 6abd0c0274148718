"""Attacks on the gateway's memory."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator, NamedTuple

import anthropic
import httpx
import httpx2
import openai
import pytest

import attacks
from answers import anthropic_error, openai_error
from conftest import OpenWorld
from guarded import guarded
from settings import Settings
from slow_server import KINDS, SlowServer
from world import BEARER, CHAT, MESSAGES, World, chat_body, eventually

MIB = 1 << 20
# Small budgets, which few attackers fill.
MEMORY, BODIES = 64 * MIB, 128 * MIB
LARGE = b"x" * (8 * MIB - 1024)
# SDKs take a second for such a body. `SLUICE_SDK_ROUNDS=20` is the long form.
SDK_ROUNDS = int(os.environ.get("SLUICE_SDK_ROUNDS", "2"))
# Attack, number of attackers, allowed results (-1: still running at the end, 0: cut off).
ATTACKS = {
    "chats": (60, {200, 503, -1, 0}),
    "events": (250, {503, -1}),
    "answers": (60, {503, -1}),
    "translated": (150, {200, 503, -1, 0}),
    "keyless": (40, {200, -1, 0}),
}


@pytest.fixture(scope="module")
def attacked(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    """A gateway of one worker with small budgets, and the attackers' servers."""
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(SlowServer(kind, 2)) for kind in KINDS]
        changed = attacks.with_servers(settings(), servers)
        variables = {"SLUICE_MEMORY": "64MiB", "SLUICE_BODIES": "128MiB"}
        for plugin in ("auth", "attempt"):
            changed.plugin(plugin)["vm_config"]["environment_variables"]["key_values"] = variables
        with open_world(changed.text()) as world:
            yield world


def grown(size: int) -> float:
    """The most memory that a repeated attack may leave a VM with."""
    return 1.05 * size + len(LARGE) + MIB


@pytest.mark.parametrize("name", ATTACKS)
def test_normal_callers_are_not_affected(attacked: World, name: str) -> None:
    attackers, statuses = ATTACKS[name]
    sizes: list[int] = []
    # the number of large bodies read at the same moment varies from run to run, so a second growth is the fault
    while len(sizes) < 2 or len(sizes) < 3 and sizes[-1] > grown(sizes[-2]):
        outcome = attacks.run(attacked, name, attackers, 5, innocents=5)
        assert outcome.failures == [] and outcome.innocent > 0
        assert set(outcome.attackers) <= statuses, outcome.attackers
        sizes.append(attacked.gateway.stats("llm_memory_bytes")["wasmcustom.llm_memory_bytes"])
    assert "unreachable" not in attacked.gateway.log()
    assert sizes[-1] <= MEMORY + len(LARGE)
    assert sizes[-1] <= grown(sizes[-2])


def test_refusals_are_clear(attacked: World) -> None:
    """More bodies than the budget has room for: the first one over it gets a `retry-after`."""
    outcome = attacks.run(attacked, "chats", 40, 4, innocents=1)
    assert outcome.attackers[503] > 0 and outcome.unclear == []
    assert attacked.counted("llm_memory_refused_total")[("body",)] > 0
    assert "sluice: memory: no room (body)" in attacked.gateway.log()


@pytest.mark.parametrize("path", ["/ping", "/healthz", "/v1/models", "/gateway/whoami"])
def test_paths_without_a_body_do_not_wait(world: World, path: str) -> None:
    def never_ends() -> Iterator[bytes]:
        yield b"x"
        while True:
            yield b""

    with httpx.Client(trust_env=False, timeout=10) as client:
        head = {**BEARER, "content-length": "1000000"}
        answer = client.request("GET", world.url + path, content=b"x" * 1_000_000, headers=head)
        assert answer.status_code == 200


def test_command_bodies_are_limited(world: World) -> None:
    answer = world.send(b"x" * 100_000, path="/gateway/upstreams/mock-a/eject", headers=BEARER)
    assert (answer.status_code, openai_error(answer)["code"]) == (413, "request_too_large")


class Refused(NamedTuple):
    """A gateway that refuses a large request at its headers, with this status. Yields the path prefix and the errors."""

    world: World
    prefix: str
    status: int
    openai: type[openai.APIStatusError]
    anthropic: type[anthropic.APIStatusError]


@pytest.fixture(scope="module", params=["auth", "guard", "router"])
def refused(settings: Callable[[], Settings], open_world: OpenWorld, request: pytest.FixtureRequest) -> Iterator[Refused]:
    """Its first filter refuses: `auth` because of the key, the others because of the path."""
    if request.param == "auth":
        with open_world(settings().text()) as whole:
            yield Refused(whole, "", 401, openai.AuthenticationError, anthropic.AuthenticationError)
        return
    joined = "guard+router+usage" if request.param == "guard" else "router+usage"
    mask = {"name": "mask", "api": "patterns", "phase": ["request"], "action": "mask"}
    with open_world(guarded(settings(), [mask]).split(joined).text()) as first:
        yield Refused(first, "/nowhere", 404, openai.NotFoundError, anthropic.NotFoundError)


def _http(library: ModuleType, http2: bool, length: bool) -> Any:
    """An HTTP client for an SDK, from the library that it uses. Over HTTP/2 it may omit the content length."""

    def forget(request: httpx.Request) -> None:
        del request.headers["content-length"]

    hooks = {"request": [] if length else [forget]}
    return library.Client(http1=not http2, http2=http2, trust_env=False, event_hooks=hooks)


WAYS = pytest.mark.parametrize(("http2", "length"), [(False, True), (True, True), (True, False)], ids=["HTTP/1.1", "HTTP/2", "no length"])


@WAYS
def test_openai_sdk_reads_the_refusal_of_a_large_request(refused: Refused, http2: bool, length: bool) -> None:
    for _ in range(SDK_ROUNDS):
        http = _http(httpx, http2, length)
        url = f"{refused.world.url}{refused.prefix}/v1"
        with openai.OpenAI(base_url=url, api_key="sk-wrong", http_client=http, max_retries=0, timeout=20) as client:
            with pytest.raises(refused.openai):
                client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": LARGE.decode()}])


@WAYS
def test_anthropic_sdk_reads_the_refusal_of_a_large_request(refused: Refused, http2: bool, length: bool) -> None:
    for _ in range(SDK_ROUNDS):
        http = _http(httpx2, http2, length)
        url = f"{refused.world.url}{refused.prefix}"
        with anthropic.Anthropic(base_url=url, api_key="sk-wrong", http_client=http, max_retries=0, timeout=20) as claude:
            with pytest.raises(refused.anthropic):
                claude.messages.create(model="gpt-4o", max_tokens=9, messages=[{"role": "user", "content": LARGE.decode()}])


@pytest.mark.parametrize("how", [["--http1.1"], ["--http2-prior-knowledge"], ["--http2-prior-knowledge", "-H", "content-length:"]])
def test_curl_reads_the_refusal_of_a_large_request(refused: Refused, tmp_path: Path, how: list[str]) -> None:
    body = tmp_path / "body.json"
    body.write_bytes(LARGE)
    command = ["curl", "-s", "-m", "20", *how, "-o", "/dev/null", "-w", "%{http_code}", "-H", "x-api-key: sk-wrong"]
    command += ["--data-binary", f"@{body}", f"{refused.world.url}{refused.prefix}{CHAT}"]
    found = [subprocess.run(command, capture_output=True, text=True, timeout=30).stdout for _ in range(20)]
    assert found == [str(refused.status)] * 20


@pytest.fixture(scope="module")
def full(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    """A gateway whose Envoy always exceeds its memory limit."""
    changed = settings()
    (monitor,) = changed.tree["overload_manager"]["resource_monitors"]
    monitor["typed_config"]["max_heap_size_bytes"] = 16 * MIB
    with open_world(changed.text()) as world:
        active = "overload.envoy.overload_actions.stop_accepting_requests.active"
        eventually(lambda: world.gateway.stats(re.escape(active))[active], 1)
        yield world


@pytest.mark.parametrize(("path", "error"), [(CHAT, openai_error), (MESSAGES, anthropic_error)])
def test_envoy_at_its_own_limit(full: World, path: str, error: Callable[[httpx.Response], dict]) -> None:
    """Its overload manager refuses a request before any filter sees it."""
    answer = full.send(chat_body(), path=path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "memory limit" in error(answer)["message"]
