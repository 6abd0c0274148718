"""Answers that a guard checks, flags, cannot read, or cannot hold: what the client gets, and what is recorded."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import httpx
import pytest

import answers
from conftest import OpenWorld
from guarded import Fake, check, guarded, since, verdicts
from player import Played, Player
from settings import Settings
from world import BEARER, World, chat_body, eventually

BAD = "this is venom"
GOOD = "Good morning."
MAIL = "ann@example.com"
USAGE = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
# The guard holds 4 MiB of an answer.
LARGE = "Good morning. " * 700_000
LARGE_IN_PIECES = "large/65536"
POLICIES = ("allow", "deny")
RESTORE = {"name": "restore", "api": "patterns", "phase": ["request"], "action": "restore"}


def _whole(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()


def _stream(text: str) -> bytes:
    """Many windows of the same text, without a last event."""
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": f"{text}. "}}]}] * 60
    chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": USAGE}]
    return b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


JSON, SSE = "application/json", "text/event-stream"
TRAILERS = {"x-checksum": "1"}
PLAYED = {
    "good": Played(JSON, _whole(GOOD)),
    "bad": Played(JSON, _whole(BAD)),
    "bad-stream": Played(SSE, _stream(BAD)),
    "large": Played(JSON, _whole(LARGE)),
    "encoded": Played(JSON, _whole(GOOD), headers={"content-encoding": "br"}),
    "late-end": Played(SSE, _stream(GOOD), pause=0.05),
    "secrets": Played(SSE, _stream(f"{GOOD} <EMAIL_ADDRESS_1>")),
    "trailers": Played(JSON, _whole(GOOD), trailers=TRAILERS),
    "trailers-stream": Played(SSE, _stream(GOOD), trailers=TRAILERS),
}


def _add_player(settings: Settings, player: Player, *models: str) -> dict[str, Any]:
    """Routes these models to the player; returns its cluster."""
    settings.upstreams["player"] = {"cluster": "player", "dialects": ["openai"], "forward_headers": ["x-answer"]}
    for model in models:
        settings.add_model(model, "player")
    return settings.add_cluster("player", player.address)


@pytest.fixture(scope="module")
def _world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    """A model for each policy, and one with a value to restore, all served by the player."""
    with Fake() as fake, Player(PLAYED) as player:
        changed = settings()
        changed.add_cluster("classifier", fake.address)
        cluster = _add_player(changed, player, *POLICIES, "flag", "block", "restore")
        options = {"enable_trailers": True}
        http = {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"}
        http["explicit_http_config"] = {"http_protocol_options": options}  # type: ignore[assignment]
        cluster["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http}
        changed.manager["http_protocol_options"] = options
        checks = [check(policy, phase=["response"], models=[policy], on_failure=policy) for policy in POLICIES]
        checks.append(check("flag", phase=["request", "response"], models=["flag"], action="flag"))
        checks.append(check("block", phase=["request", "response"], models=["block"]))
        checks.append({**RESTORE, "models": ["restore"]})
        with open_world(guarded(changed, checks).text()) as world:
            yield world


@pytest.fixture
def world(_world: World) -> World:
    _world.settle()
    return _world


def _ask(world: World, model: str, answer: str, text: str = "Hello", stream: bool = False) -> httpx.Response:
    return world.send(chat_body(text, model=model, stream=stream), headers={**BEARER, "x-answer": answer})


def _recorded(world: World, since_line: int) -> dict[str, Any]:
    """The record of the only request since then."""
    eventually(lambda: len(world.logged()), since_line + 1)
    return world.logged()[-1]["sluice"]


def test_flagged_answer(world: World) -> None:
    """The answer's header names the flag, and the log has it once for request and answer together."""
    before = len(world.logged())
    response = _ask(world, "flag", "bad")
    assert response.content == _whole(BAD)
    assert response.headers["x-sluice-guard"] == "flag:toxicity"
    assert _recorded(world, before)["guard_flags"] == "flag:toxicity"
    response = _ask(world, "flag", "bad", text=BAD)
    assert response.headers["x-sluice-guard"] == "flag:toxicity"
    assert "x-sluice-guard" not in _ask(world, "flag", "good").headers
    eventually(lambda: len(world.logged()), before + 3)
    assert [line["sluice"].get("guard_flags") for line in world.logged(before)] == ["flag:toxicity"] * 2 + [None]


def test_flagged_stream(world: World) -> None:
    """Its headers have been sent, so only the log has the flag, once for all windows."""
    before, counted = len(world.logged()), verdicts(world)
    response = _ask(world, "flag", "bad-stream", stream=True)
    assert answers.content(response) == f"{BAD}. " * 60
    assert _recorded(world, before)["guard_flags"] == "flag:toxicity"
    eventually(lambda: since(counted, verdicts(world)).get(("flag", "response", "flag"), 0) > 1, True)


@pytest.mark.parametrize("answer, text", [("good", BAD), ("bad", "Hello"), ("bad-stream", "Hello")])
def test_blocked_answers_are_recorded(world: World, answer: str, text: str) -> None:
    before = len(world.logged())
    response = _ask(world, "block", answer, text=text, stream="stream" in answer)
    assert response.status_code == (400 if text == BAD else 200)
    record = _recorded(world, before)
    assert record["guard_blocked"] == "block:toxicity" and "guard_flags" not in record
    assert "venom" not in json.dumps(record)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("answer, verdict", [("large", "too_large"), ("encoded", "shape")])
def test_uncheckable_answers(world: World, policy: str, answer: str, verdict: str) -> None:
    before = verdicts(world)
    response = _ask(world, policy, LARGE_IN_PIECES if answer == "large" else answer)
    if policy == "allow":
        assert response.status_code == 200
        if answer != "encoded":
            assert response.content == PLAYED[answer].body
    else:
        assert response.status_code == 503
        assert answers.openai_error(response)["code"] == "guard_unavailable"
    eventually(lambda: since(before, verdicts(world)), {(policy, "response", f"error_{verdict}"): 1})


def test_late_end(world: World) -> None:
    """Windows that are released between the last piece and the end."""
    for _ in range(12):
        response = _ask(world, "deny", "late-end", stream=True)
        assert answers.content(response) == f"{GOOD}. " * 60 and response.text.endswith("data: [DONE]\n\n")


def test_more_than_envoy_buffers(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """The stream is cut; the next one is served."""
    with Fake() as fake, Player(PLAYED) as player:
        changed = settings()
        changed.manager["route_config"]["virtual_hosts"][0]["request_body_buffer_limit"] = 4096
        changed.tree["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"] = 4096
        changed.add_cluster("classifier", fake.address)
        _add_player(changed, player, "both")
        with open_world(guarded(changed, [check("deny", phase=["response"]), RESTORE]).text()) as world:
            for _ in range(10):
                with pytest.raises(httpx.RemoteProtocolError):
                    _ask(world, "both", "secrets", text=f"I am {'a' * 60}@{'b' * 60}.example.com", stream=True)
            assert _ask(world, "both", "good").content == PLAYED["good"].body


def test_large_answers_in_a_row(world: World) -> None:
    """Envoy ends a stream at once when it would have to buffer too much, even while a filter runs."""
    for policy in POLICIES * 5:
        assert _ask(world, policy, LARGE_IN_PIECES).status_code == (200 if policy == "allow" else 503)
    assert _ask(world, "deny", "good").status_code == 200


def test_request_that_grows_too_large(world: World) -> None:
    """Its placeholders are longer than the values, or it has more findings than the guard allows."""
    longer = "x " * 3_000_000 + "a@b.cc " * 200_000
    more = "a@b.cc " * ((8 << 20) // 7 - 100)
    for text, code in [(longer, "request_too_large"), (more, "guard_text_too_large")] * 2:
        response = _ask(world, "restore", "good", text=text)
        assert response.status_code == 413
        assert answers.openai_error(response)["code"] == code
    assert _ask(world, "restore", "good", text="a@b.cc").content == PLAYED["good"].body


def test_unrestorable_answer(world: World) -> None:
    """The answer is too large to read, so the client's values are missing."""
    assert _ask(world, "restore", LARGE_IN_PIECES, text=f"I am {MAIL}").status_code == 503
    assert _ask(world, "restore", LARGE_IN_PIECES).content == PLAYED["large"].body


@pytest.mark.parametrize("model", ["flag", *POLICIES])
@pytest.mark.parametrize("stream", [False, True])
def test_trailers(world: World, model: str, stream: bool) -> None:
    """The last piece of the body is not marked as the last one."""
    name = "trailers-stream" if stream else "trailers"
    response = _ask(world, model, name, stream=stream)
    assert response.status_code == 200
    assert answers.content(response) == (f"{GOOD}. " * 60 if stream else GOOD)
