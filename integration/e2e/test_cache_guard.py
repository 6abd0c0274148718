"""The guard's checks of answers also apply to answers from the cache: in each dialect, as JSON and as streams.

The entry is kept while the classifier likes it. Then the classifier changes its mind, or fails. A model without a cache shows
what the client of a hit must get.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterator

import httpx
import pytest

from conftest import OpenWorld
from dialects import DIALECTS, Dialect
from echo import Echo
from guarded import CATEGORY, Fake, Guarded, Way, check, guarded
from settings import Settings
from world import BEARER, eventually

MAIL = "jane.doe@example.com"
# The guard reads it in slices, and a stream of it in many windows. An echo has it three times.
LONG = "All of this is fine, and so is the rest. " * 2_500
SHORT = "All of this is fine."
BLOCKED = Way(body=lambda texts: json.dumps({"results": [_flag()] * len(texts)}).encode())
BROKEN = Way(reset="before")


def _flag() -> dict[str, Any]:
    return {"flagged": True, "categories": {CATEGORY: True}, "category_scores": {CATEGORY: 1.0}}


@pytest.fixture(scope="module", params=["joined", "separate"])
def _guarded(request: pytest.FixtureRequest, settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[Guarded]:
    with Echo() as echo, Fake() as fake:
        changed = settings()
        changed.add_cluster("echo", echo.address)
        changed.add_cluster("classifier", fake.address)
        changed.upstreams["echo"] = {"dialects": ["openai", "anthropic", "ollama", "gemini"]}
        # echoes call a tool
        cache = {"always": True, "tools": True, "max_entry": "1MiB"}
        for policy in ("deny", "allow", "mask", "restore"):
            changed.models.append({"name": policy, "targets": [{"upstream": "echo"}], "cache": cache})
            changed.models.append({"name": f"plain-{policy}", "targets": [{"upstream": "echo"}]})
        both = lambda policy: [policy, f"plain-{policy}"]
        checks = [
            check(policy, phase=["response"], on_failure=policy, models=both(policy), timeout="5s") for policy in ("deny", "allow")
        ]
        patterns = {"api": "patterns", "entities": ["EMAIL_ADDRESS"]}
        checks.append({"name": "mask", **patterns, "phase": ["response"], "action": "mask", "models": both("mask")})
        checks.append({"name": "restore", **patterns, "phase": ["request"], "action": "restore", "models": both("restore")})
        guarded(changed, checks, max_text="16MiB")
        if request.param == "separate":
            changed.separate()
        with open_world(changed.text()) as world:
            yield Guarded(world, fake)


@pytest.fixture
def gateway(_guarded: Guarded) -> Guarded:
    _guarded.reset()
    return _guarded


def _body(dialect: Dialect, model: str, text: str, stream: bool) -> bytes:
    if "{verb}" in dialect.path:
        body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    else:
        field = {"/v1/responses": "input", "/v1/completions": "prompt"}.get(dialect.path)
        body = {"model": model, "stream": stream, "seed": 2_000}
        body |= {field: text} if field else {"messages": [{"role": "user", "content": text}]}
        body |= {"max_tokens": 100} if dialect.path == "/v1/messages" else {}
    return json.dumps(body).encode()


def _ask(gateway: Guarded, name: str, model: str, text: str, stream: bool) -> httpx.Response:
    dialect = DIALECTS[name]
    path = dialect.path_of(model, stream)
    headers = {**BEARER, "anthropic-version": "2023-06-01"}
    return gateway.world.send(_body(dialect, model, text, stream), path=path, headers=headers)


def _events(answer: httpx.Response) -> list[str]:
    """A stream's events without what depends on how many they are."""
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("event:")]
    return [re.sub(r'"sequence_number":\d+| ', "", line) for line in lines]


def _keep(gateway: Guarded, name: str, model: str, text: str) -> None:
    """Has the cache keep an answer."""
    first = _ask(gateway, name, model, text, False)
    assert (first.status_code, first.headers["x-sluice-cache"]) == (200, "miss"), first.text[:500]


@pytest.mark.parametrize("text", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("name", DIALECTS)
def test_a_hit_is_checked(gateway: Guarded, name: str, stream: bool, text: str) -> None:
    """Blocked, failed with `deny`, failed with `allow`: a hit is answered as an answer of a model server would be."""
    text = f"{name} {stream} {text}"
    for policy in ("deny", "allow"):
        _keep(gateway, name, policy, text)
    for way, policies in ((BLOCKED, ("deny",)), (BROKEN, ("deny", "allow"))):
        for policy in policies:
            gateway.fake.reset()
            gateway.fake.way = way
            # a model server's stream has an event for each character
            want = _ask(gateway, name, f"plain-{policy}", SHORT if stream else text, stream)
            assert gateway.fake.asked
            gateway.fake.asked.clear()
            found = _ask(gateway, name, policy, text, stream)
            assert gateway.fake.asked, "a hit is checked"
            assert found.status_code == want.status_code
            assert found.headers["content-type"] == want.headers["content-type"]
            if policy == "allow":
                assert text[-20:] in found.text and found.headers["x-sluice-cache"] == "hit"
                continue
            assert SHORT[:12] not in found.text
            if not stream:
                assert found.content == want.content
                assert ("x-sluice-cache" in found.headers) == (found.status_code == 200)
            else:
                assert _events(found)[-1] == _events(want)[-1]
    # nothing of that has changed the entry
    gateway.fake.reset()
    again = _ask(gateway, name, "deny", text, stream)
    assert again.headers["x-sluice-cache"] == "hit" and text[-20:] in again.text


@pytest.mark.parametrize("text", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("name", DIALECTS)
def test_values_in_a_hit(gateway: Guarded, name: str, stream: bool, text: str) -> None:
    """Each hit is masked; and each caller gets its own values restored."""
    text = f"{name} {stream} {text} Write to "
    _keep(gateway, name, "mask", text + MAIL)
    masked = _ask(gateway, name, "mask", text + MAIL, stream)
    assert "EMAIL_ADDRESS" in masked.text and MAIL not in masked.text
    _keep(gateway, name, "restore", text + MAIL)
    hit = _ask(gateway, name, "restore", text + "bob@example.org", stream)
    assert hit.headers["x-sluice-cache"] == "hit"
    assert "bob@example.org" in hit.text and MAIL not in hit.text and "EMAIL_ADDRESS" not in hit.text
    assert hit.text.replace("bob@example.org", MAIL) == _ask(gateway, name, "restore", text + MAIL, stream).text


def test_a_blocked_hit_is_recorded(gateway: Guarded) -> None:
    """The log has the status that the client got, and what was found."""
    _keep(gateway, "chat", "deny", "recorded")
    gateway.fake.way = BROKEN
    before = len(gateway.world.logged())
    refused = _ask(gateway, "chat", "deny", "recorded", False)
    assert refused.status_code >= 500
    hits = lambda: [line for line in gateway.world.logged(before) if line["sluice"].get("cache") == "hit"]
    eventually(lambda: len(hits()), 1)
    (line,) = hits()
    assert line["status"] == refused.status_code
    assert line["sluice"]["error"] == str(refused.status_code)
