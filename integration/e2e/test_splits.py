"""Filters may share an entry or have their own: the result is the same."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Callable, Iterator

import pytest

import answers
from callers import basic, user_entry
from conftest import OpenWorld
from guarded import Fake, check, guarded
from settings import Settings
from world import BEARER, CHAT, MESSAGES, World, chat_body, eventually, pieces

FILTERS = ("auth", "guard", "router", "usage")
MAIL = "ann@example.com"
FILLING = "x " * 40_000  # more than the filters keep of a body
LARGE = f"{FILLING}{MAIL}"
PASSWORD = "open sesame 9f2c"
KEY = "sk-split"
CHECKS = [
    {"name": "masks", "api": "patterns", "phase": ["request"], "action": "mask", "models": ["mask"]},
    {"name": "restores", "api": "patterns", "phase": ["request"], "action": "restore", "models": ["restore"]},
    check("blocks", models=["block"]),
    check("answers", models=["answer"], phase=["response"]),
]


def _ways() -> Iterator[tuple[str, ...]]:
    """Adjacent filters joined or separate, in all combinations."""
    for signs in itertools.product("+ ", repeat=len(FILTERS) - 1):
        yield tuple("".join(itertools.chain(*itertools.zip_longest(FILTERS, signs, fillvalue=""))).split())


@pytest.mark.parametrize("entries", list(_ways()), ids=" ".join)
def test_every_split_gives_the_same_result(settings: Callable[[], Settings], open_world: OpenWorld, entries: tuple[str, ...]) -> None:
    with Fake() as fake:
        changed = settings()
        changed.add_cluster("classifier", fake.address)
        for model in ("mask", "restore", "block", "answer"):
            changed.add_model(model, "mock-a")
        changed.add_model("limited", "mock-a", limits={"requests_per_minute": 1})
        auth = changed.values("auth")
        auth["users"] = [user_entry("alice", PASSWORD, 1000)]
        auth["keys"].append({"id": "split", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}", "limits": {"requests_per_minute": 1}})
        guarded(changed, CHECKS)
        if len(entries) > 1:
            changed.split(*entries)
        with open_world(changed.text()) as world:
            _hides(world)
            _blocks(world)
            _limits(world)
            _counts(world)


def _hides(world: World) -> None:
    """Personal data from the server, not from the client, in bodies that the filters keep and in others."""
    for body in (chat_body(MAIL, model="mask"), pieces(chat_body(LARGE, model="mask"))):
        assert answers.content(world.send(body)).endswith("<EMAIL_ADDRESS>")
    assert world.send(chat_body(MAIL, model="mask"), headers=basic("alice", PASSWORD)).status_code == 200
    for stream in (False, True):
        assert answers.content(world.chat(LARGE, model="restore", stream=stream)).endswith(LARGE)
    assert len(world.entries()) == 5 and MAIL not in json.dumps(world.journals())


def _blocks(world: World) -> None:
    for text in ("venom", f"{FILLING}venom"):
        refused = world.chat(text, model="block")
        assert (refused.status_code, answers.openai_error(refused)["code"]) == (400, "content_filter")
        for stream in (False, True):
            assert "venom" not in answers.content(world.chat(text, model="answer", stream=stream))
    assert world.chat(LARGE, model="block").status_code == 200


def _limits(world: World) -> None:
    for headers, model in ((BEARER, "limited"), ({"x-api-key": KEY}, "gpt-4o")):
        statuses = [world.send(chat_body(model=model), headers=headers).status_code for _ in range(2)]
        assert statuses == [200, 429]
    told = world.send(chat_body(model="gpt-4o"), headers={"x-api-key": KEY})
    assert told.headers["x-ratelimit-remaining-requests"] == "0"


def _counts(world: World) -> None:
    """Each request once, with its answer's usage, for every caller."""
    before = world.counted("llm_tokens_total")
    assert all(world.chat("Hello", stream=stream).status_code == 200 for stream in (False, True))

    def tokens() -> dict[str, int]:
        found = world.counted("llm_tokens_total") - before
        return {kind: sum(value for labels, value in found.items() if labels[-1] == kind) for kind in ("input", "output")}

    eventually(tokens, {"input": 2, "output": 20})


def test_auth_after_another_filter(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """It cannot know what the earlier filter has passed, so nothing passes. Clients, stats and the log say why."""
    changed = settings().split("router", "auth", "usage")
    with open_world(changed.text()) as world:
        for path, error in ((CHAT, answers.openai_error), (MESSAGES, answers.anthropic_error)):
            refused = [world.send(chat_body(max_tokens=9), path=path) for _ in range(3)]
            assert [answer.status_code for answer in refused] == [500] * 3 and world.entries() == []
            assert "`auth` comes after another of Sluice's filters" in error(refused[0])["message"]
        assert answers.openai_error(world.chat())["code"] == "filter_order"
        lines = [line for line in world.gateway.log().splitlines() if "`auth` comes after another of Sluice's filters" in line]
        assert len(lines) in (1, 2), "one for each worker"
        assert "put it first (`sluice check` shows the line)" in lines[0]

        def refused_calls() -> int:
            return sum(value for labels, value in world.counted("llm_requests_total").items() if labels[3] == "500")

        eventually(refused_calls, 7)
