"""Configured keys: their permissions, the errors that SDKs raise, and the gateway's own paths."""

from __future__ import annotations

import re
import statistics
import time
from typing import Any, Callable, Iterator

import anthropic
import ollama
import openai
import pytest

import clients
import demo
from answers import anthropic_error, openai_error
from callers import bearer, call, identify, key_entry, see_variables, watched
from conftest import OpenWorld
from settings import Settings
from world import ADMIN, BEARER, MESSAGES, World, chat_body

NARROW, OLD, SHORT, NOTHING = "sk-narrow-5b1d", "sk-old-77aa", "sk-short-90ce", "sk-nothing-13fe"
HELLO: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
EMBEDDING = "text-embedding-3-small"
# The gateway must be running by then, even on a slow machine.
LIFE_OF_SHORT = 20


@pytest.fixture(scope="module")
def _keyed(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    see_variables(changed)
    changed.values("auth").pop("virtual_keys")
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + LIFE_OF_SHORT))
    changed.values("auth")["keys"] += [
        key_entry("narrow", NARROW, models=["gpt-*"], labels={"team": "search"}),
        key_entry("old", OLD, expires="2020-01-01T00:00:00Z"),
        key_entry("short", SHORT, expires=soon),
        key_entry("nothing", NOTHING, models=[]),
    ]
    with watched(open_world, changed, [NARROW, OLD, SHORT, NOTHING]) as (world, _):
        # once, and first, because it expires soon
        assert identify(world, bearer(SHORT))[0] == 200
        yield world


@pytest.fixture
def keyed(_keyed: World) -> World:
    _keyed.reset()
    return _keyed


def _openai(world: World, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{world.url}/v1", api_key=key, max_retries=0, timeout=10)


def _anthropic(world: World, key: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=world.url, api_key=key, max_retries=0, timeout=10)


@pytest.mark.parametrize(("key", "code"), [("sk-nobody", "invalid_api_key"), (OLD, "expired_api_key")])
def test_authentication_error(keyed: World, key: str, code: str) -> None:
    with _openai(keyed, key) as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(**HELLO)
    assert (caught.value.status_code, caught.value.code) == (401, code)
    assert key not in str(caught.value.body)
    with _anthropic(keyed, key) as claude, pytest.raises(anthropic.AuthenticationError) as refused:
        claude.messages.create(**HELLO, max_tokens=9)
    assert refused.value.body["error"]["type"] == "authentication_error"
    assert keyed.entries() == []


def test_permission_error_names_the_model(keyed: World) -> None:
    with _openai(keyed, NARROW) as client, pytest.raises(openai.PermissionDeniedError) as caught:
        client.embeddings.create(model=EMBEDDING, input="one")
    assert (caught.value.status_code, caught.value.code, caught.value.param) == (403, "model_not_allowed", "model")
    assert f"`{EMBEDDING}`" in caught.value.message and "gpt-*" in caught.value.message
    with _anthropic(keyed, NARROW) as claude, pytest.raises(anthropic.PermissionDeniedError) as refused:
        claude.messages.create(**{**HELLO, "model": EMBEDDING}, max_tokens=9)
    assert refused.value.body["error"]["type"] == "permission_error"
    assert keyed.entries() == []
    with _openai(keyed, NARROW) as client:
        assert client.chat.completions.create(**HELLO).choices[0].message.content
        assert client.chat.completions.create(**{**HELLO, "model": "gpt-4o-latest"}).choices[0].message.content
    with _openai(keyed, NOTHING) as client, pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(**HELLO)


def test_key_expires_while_the_gateway_runs(keyed: World) -> None:
    deadline = time.monotonic() + LIFE_OF_SHORT + 5
    while (found := identify(keyed, bearer(SHORT)))[0] == 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found == (401, "expired_api_key")


def test_models_of_the_key(keyed: World) -> None:
    """The openai and anthropic SDKs, and Ollama's client, only see models that the key may use."""
    every = {"gpt-4o", EMBEDDING}
    for key, want in [(demo.USER_KEY, every), (NARROW, {"gpt-4o"}), (NOTHING, set())]:
        with _openai(keyed, key) as client:
            assert {model.id for model in client.models.list()} >= want
            assert {model.id for model in client.models.list()} & every == want
            for name in every:
                if name in want:
                    assert client.models.retrieve(name).id == name
                else:
                    with pytest.raises(openai.NotFoundError) as caught:
                        client.models.retrieve(name)
                    assert caught.value.code == "model_not_found"
        with _anthropic(keyed, key) as claude:
            assert {model.id for model in claude.models.list()} & every == want
        tags = ollama.Client(host=keyed.url, headers=bearer(key)).list()
        assert {model.model for model in tags.models} & every == want
    for refused in ("/v1/models", "/v1/models/gpt-4o", "/tags"):
        assert openai_error(keyed.send(path=refused, method="GET", headers={}))["code"] == "invalid_api_key"
    answer = keyed.send(path="/api/tags", method="GET", headers={})
    assert answer.status_code == 401 and isinstance(answer.json()["error"], str)  # in Ollama's format
    assert keyed.entries() == []


def test_ollama_chat(keyed: World) -> None:
    answer = ollama.Client(host=keyed.url, headers=bearer(NARROW)).chat(**HELLO)
    assert answer.message.content.endswith("You said: Hello")


def test_without_a_key(keyed: World) -> None:
    for headers in ({}, bearer("sk-nobody"), BEARER):
        assert keyed.send(path="/ping", method="GET", headers=headers).text == "pong"
        assert keyed.send(path="/healthz", method="GET", headers=headers).json() == {"status": "ok"}
        assert keyed.send(path="/healthz", method="HEAD", headers=headers).status_code == 200
    assert keyed.entries() == []


def test_whoami(keyed: World) -> None:
    status, caller = identify(keyed, bearer(NARROW))
    assert (status, caller["id"], caller["role"], caller["models"]) == (200, "narrow", "user", ["gpt-*"])
    assert (caller["labels"], caller["expires_at"]) == ({"team": "search"}, None)
    assert identify(keyed, ADMIN)[1]["role"] == "admin"
    assert identify(keyed, {"x-api-key": NARROW})[1] == caller
    # an invalid key does not hide a valid one
    assert identify(keyed, {"x-api-key": NARROW, "authorization": "Bearer x"})[1] == caller
    assert identify(keyed, {})[0] == 401


ADMIN_PATHS = [
    ("GET", "/gateway/keys"),
    ("POST", "/gateway/keys"),
    ("DELETE", "/gateway/keys/narrow"),
    ("GET", "/gateway/upstreams"),
    ("POST", "/gateway/upstreams/mock-a/eject"),
    ("POST", "/gateway/upstreams/mock-a/restore"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_PATHS)
def test_admin_paths(keyed: World, method: str, path: str) -> None:
    """A user gets 403, a caller without a key 401, and nothing changes."""
    for headers, status, code in [(BEARER, 403, "admin_only"), ({}, 401, "invalid_api_key"), (bearer(OLD), 401, "expired_api_key")]:
        answer = call(keyed, method, path, headers)
        assert (answer.status_code, openai_error(answer)["code"]) == (status, code)
    assert identify(keyed, bearer(NARROW))[0] == 200
    assert keyed.counted("llm_ejected")[("mock-a",)] == 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/ping", "GET"),
        ("PUT", "/gateway/keys", "GET, POST"),
    ],
)
def test_wrong_method(keyed: World, method: str, path: str, allowed: str) -> None:
    answer = call(keyed, method, path, ADMIN)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert openai_error(answer)["code"] == "method_not_allowed"


def test_without_a_secret_no_virtual_keys_are_issued(keyed: World) -> None:
    answer = call(keyed, "POST", "/gateway/keys", ADMIN, {})
    assert (answer.status_code, openai_error(answer)["code"]) == (404, "virtual_keys_disabled")


def test_revoking_a_configured_key(keyed: World) -> None:
    """It needs no virtual keys, and applies to every worker at once."""
    assert identify(keyed, bearer(NOTHING))[0] == 200
    answer = call(keyed, "DELETE", "/gateway/keys/nothing", ADMIN).json()
    assert (answer["id"], answer["revoked"], answer["known"]) == ("nothing", True, True)
    assert re.fullmatch(r'revoked: \[\{id: "nothing", before: "[^"]+"\}\]', answer["config"])
    assert {identify(keyed, bearer(NOTHING)) for _ in range(30)} == {(401, "invalid_api_key")}
    listed = {entry["id"]: entry["revoked"] for entry in call(keyed, "GET", "/gateway/keys", ADMIN).json()["data"]}
    assert listed == {"demo-admin": False, "demo-user": False, "narrow": False, "nothing": True, "old": False, "short": False}


def test_prefix(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """The gateway's own paths can be moved."""
    changed = settings()
    changed.values("auth")["gateway_prefix"] = "/_llm/own"
    with open_world(changed.text()) as world:
        assert call(world, "GET", "/_llm/own/whoami", BEARER).json()["id"] == "demo-user"
        assert len(call(world, "GET", "/_llm/own/upstreams", ADMIN).json()["data"]) == len(demo.SERVERS)
        gone = call(world, "GET", "/gateway/whoami", BEARER)
        assert (gone.status_code, openai_error(gone)["code"]) == (404, "unknown_url")
        assert call(world, "GET", "/v1/models", BEARER).status_code == 200
        assert call(world, "GET", "/healthz", {}).status_code == 200
        # World.reset uses the usual path; nothing is ejected here


def test_anthropic_shape_without_a_key(keyed: World) -> None:
    for headers, kind in [({}, "authentication_error"), (bearer(OLD), "authentication_error")]:
        answer = keyed.send(chat_body(), path=MESSAGES, headers=headers)
        assert (answer.status_code, anthropic_error(answer)["type"]) == (401, kind)


def test_refusal_time(keyed: World) -> None:
    """It does not show how much of a key was right. (The statistic for 50,000 keys: tests/core/keys/timing.rs.)"""
    right = demo.USER_KEY
    shares = {"none": "", "half": right[: len(right) // 2], "all but one": right[:-1]}
    wrong = {name: bearer(share + "!" * (len(right) - len(share))) for name, share in shares.items()}

    async def visit(client: clients.Client) -> dict[str, list[float]]:
        times: dict[str, list[float]] = {name: [] for name in wrong}
        for number in range(400):
            for name in sorted(wrong, key=lambda each: hash((each, number))):
                answer = await client.ask(b"", path=MESSAGES, headers=wrong[name])
                assert answer.status_code == 401
                times[name].append(answer.seconds)
        return times

    def ratio() -> float:
        (times,) = clients.each(keyed.gateway.port, 1, [visit])
        medians = {name: statistics.median(each) * 1e6 for name, each in times.items()}
        print("median of a refusal by shared prefix:", ", ".join(f"{name} {time:.0f} us" for name, time in medians.items()))
        return max(medians.values()) / min(medians.values())

    # a leak would show in every round, the noise of a busy machine does not
    assert min(ratio() for _ in range(3)) < 1.25
