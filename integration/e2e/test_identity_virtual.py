"""Virtual keys: issued by one gateway, accepted by every gateway with the secret, and revoked."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import random
import subprocess
import time
from typing import Any, Callable, Iterator

import openai
import pytest
import yaml

import clients
from answers import openai_error
from callers import KEY_SECRETS, Watch, bearer, call, identify, see_variables, user_entry, watched
from child import TOOL
from conftest import OpenWorld
from settings import Settings
from world import ADMIN, BEARER, World, chat_body

FIRST, SECOND = KEY_SECRETS.values()
CAP = 30 * 24 * 3600
MUTATIONS = 300


def _configured(settings: Settings, *variables: str, **fields: Any) -> Settings:
    see_variables(settings, *variables)
    own = {"secrets": [{"env": name} for name in variables], "max_expires_in": "30d"}
    settings.values("auth").update(virtual_keys=own, **fields)
    return settings


@pytest.fixture(scope="module")
def _issuing(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[tuple[World, Watch]]:
    users = [user_entry("carol", "wonderland-4c1e", 1000)]
    changed = _configured(settings(), "KEY_SECRET", users=users)
    with watched(open_world, changed, [FIRST]) as both:
        yield both


@pytest.fixture
def issuing(_issuing: tuple[World, Watch]) -> World:
    _issuing[0].reset()
    return _issuing[0]


@pytest.fixture
def issue(_issuing: tuple[World, Watch]) -> Callable[..., dict[str, Any]]:
    def issued(**wanted: Any) -> dict[str, Any]:
        answer = call(_issuing[0], "POST", "/gateway/keys", ADMIN, wanted)
        assert answer.status_code == 200, answer.text
        _issuing[1].add(answer.json()["key"])
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    return issued


def test_issued_and_used_at_once(issuing: World, issue: Callable[..., dict]) -> None:
    issued = issue(id="team-a", models=["gpt-*"], expires_in=3600, labels={"team": "a"}, limits={"requests_per_minute": 1000})
    assert issued["key"].startswith("sk-sluice-")
    assert abs(issued["expires_at"] - time.time() - 3600) < 5
    want = {name: value for name, value in issued.items() if name not in ("key", "kind", "revoked")}
    assert want["limits"] == {"requests_per_minute": 1000} and want["labels"] == {"team": "a"}
    for _ in range(20):  # any worker
        assert identify(issuing, bearer(issued["key"])) == (200, want)
    answer = issuing.send(chat_body(), headers=bearer(issued["key"]))
    assert (answer.status_code, answer.headers["x-ratelimit-limit-requests"]) == (200, "1000")
    refused = issuing.send(chat_body(model="text-embedding-3-small"), headers=bearer(issued["key"]))
    assert (refused.status_code, openai_error(refused)["code"]) == (403, "model_not_allowed")
    with openai.OpenAI(base_url=f"{issuing.url}/v1", api_key=issued["key"], max_retries=0) as client:
        assert [model.id for model in client.models.list() if "embedding" in model.id] == []
    assert call(issuing, "GET", "/gateway/keys", bearer(issued["key"])).status_code == 403


@pytest.mark.parametrize(("wanted", "seconds"), [("12h", 43200), (None, CAP)])
def test_expiry(issuing: World, issue: Callable[..., dict], wanted: Any, seconds: int) -> None:
    issued = issue(**({} if wanted is None else {"expires_in": wanted}))
    assert issued["id"].startswith("vk-") and abs(issued["expires_at"] - time.time() - seconds) < 5
    assert identify(issuing, bearer(issued["key"]))[0] == 200


def test_key_expires(issuing: World, issue: Callable[..., dict]) -> None:
    issued = issue(expires_in=1)
    time.sleep(1.3)
    assert {identify(issuing, bearer(issued["key"])) for _ in range(10)} == {(401, "expired_api_key")}


# Those that the configuration decides, and one of the rest: tests/core/keys/issue.rs has them all.
MISTAKES: list[tuple[Any, str | None, str]] = [
    ({"expires_in": "31d"}, "expires_in", str(CAP)),
    ({"id": "demo-user"}, "id", "configured"),
    ({"id": "carol"}, "id", "configured"),
    ({"limits": {"requests_per_hour": 1}}, "limits", "requests_per_hour"),
]


@pytest.mark.parametrize(("wanted", "param", "words"), MISTAKES, ids=str)
def test_mistakes_name_the_field(issuing: World, wanted: Any, param: str | None, words: str) -> None:
    answer = call(issuing, "POST", "/gateway/keys", ADMIN, wanted)
    assert answer.status_code == 400
    error = openai_error(answer)
    assert error["param"] == param and words in error["message"]


def test_broken_requests(issuing: World) -> None:
    for body in (b"{", b"null", b"\xff", b"[" * 5000):
        answer = issuing.send(body, path="/gateway/keys", headers=ADMIN)
        assert answer.status_code == 400 and openai_error(answer)


def test_mutated_keys(issuing: World, issue: Callable[..., dict]) -> None:
    """Every change to a key makes it invalid."""
    issued = issue(id="mutated", role="user")
    key, chance = issued["key"], random.Random(4)
    mutants: set[str] = set()
    while len(mutants) < MUTATIONS:
        mutants |= {_mutated(key, chance)} - {key}
    mutants |= {_forged(key, secret) for secret in (b"", SECOND.encode(), b"0" * 32)}
    visits = [
        lambda client, mutant=mutant: client.ask(chat_body(), headers={"authorization": f"Bearer {mutant}"})
        for mutant in mutants
    ]
    answers = clients.each(issuing.gateway.port, 8, visits)
    assert {answer.status_code for answer in answers} == {401}
    assert issuing.entries() == []
    assert identify(issuing, bearer(key))[0] == 200


def _mutated(key: str, chance: random.Random) -> str:
    place = chance.randrange(len(key))
    letter = chance.choice("ABCabc019-_.=+/ ")
    other = chance.randrange(len(key))
    changed = chance.choice(
        [
            key[:place] + letter + key[place + 1 :],
            key[:place] + letter + key[place:],
            key[:place] + key[place + 1 :],
            key[:place],
            key[: min(place, other)] + key[max(place, other) :],
            key + letter,
            key + "=" * chance.randrange(1, 3),
            key.swapcase(),
        ]
    )
    return changed.strip() or "x"


def _forged(key: str, secret: bytes) -> str:
    """The claims of an administrator, signed with another secret."""
    payload = key.removeprefix("sk-sluice-").partition(".")[0]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["role"] = "admin"
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    tag = hmac.digest(secret, f"sluice-key-v1.{payload}".encode(), "sha256")
    return f"sk-sluice-{payload}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


def test_list(issuing: World, issue: Callable[..., dict]) -> None:
    issue(id="listed", models=["gpt-4o"], labels={"team": "b"})
    answer = call(issuing, "GET", "/gateway/keys", ADMIN).json()
    entries = {entry["id"]: entry for entry in answer["data"]}
    assert (answer["object"], answer["has_more"]) == ("list", False)
    assert (entries["listed"]["kind"], entries["listed"]["labels"]) == ("virtual", {"team": "b"})
    assert {"demo-user", "demo-admin", "carol"} <= {name for name, entry in entries.items() if entry["kind"] == "configured"}
    assert "sk-sluice-" not in json.dumps(answer)


def test_fleet(
    issuing: World, issue: Callable[..., dict], settings: Callable[[], Settings], open_world: OpenWorld
) -> None:
    """Another gateway accepts the key at once. It is revoked there, also after a restart, if the answer to the revocation is
    pasted into its configuration."""
    issued, other = issue(id="traveller"), issue(id="companion")
    with open_world(_configured(settings(), "KEY_SECRET").text()) as second:
        assert identify(second, bearer(issued["key"]))[1]["id"] == "traveller"
        assert second.send(chat_body(), headers=bearer(issued["key"])).status_code == 200
    answer = call(issuing, "DELETE", "/gateway/keys/traveller", ADMIN).json()
    # on every worker, at once
    assert {identify(issuing, bearer(issued["key"])) for _ in range(60)} == {(401, "invalid_api_key")}
    assert identify(issuing, bearer(other["key"]))[0] == 200
    assert {entry["id"]: entry["revoked"] for entry in _list(issuing)}["traveller"] is True
    again = issue(id="traveller")
    assert [identify(issuing, bearer(key))[0] for key in (issued["key"], again["key"])] == [401, 200]
    assert answer["known"] is True and answer["until"] >= issued["expires_at"]
    pasted = yaml.safe_load(answer["config"])
    changed = _configured(settings(), "KEY_SECRET", **pasted)
    with open_world(changed.text()) as second:
        assert identify(second, bearer(issued["key"])) == (401, "invalid_api_key")
        assert [identify(second, bearer(key))[0] for key in (other["key"], again["key"])] == [200, 200]
        # this gateway has issued none of them
        unknown = call(second, "DELETE", "/gateway/keys/companion", ADMIN)
        assert (unknown.status_code, unknown.json()["known"]) == (200, False) and "warning" in unknown.json()
        assert {identify(second, bearer(other["key"]))[0] for _ in range(20)} == {401}


def test_revoking_ones_own_key_needs_force(issuing: World, issue: Callable[..., dict]) -> None:
    """Only `force=true` revokes the caller's own key; and a revocation can be undone."""
    own = issue(id="root", role="admin")["key"]
    path = "/gateway/keys/root"
    answer = call(issuing, "DELETE", path, bearer(own))
    assert (answer.status_code, openai_error(answer)["code"]) == (409, "own_key")
    assert identify(issuing, bearer(own))[0] == 200
    assert call(issuing, "DELETE", f"{path}?force=maybe", bearer(own)).status_code == 400
    assert call(issuing, "DELETE", f"{path}?force=true", bearer(own)).status_code == 200
    assert {identify(issuing, bearer(own))[0] for _ in range(20)} == {401}
    for changed in (True, False):
        answer = call(issuing, "POST", f"{path}/restore", ADMIN)
        assert (answer.status_code, answer.json()["changed"]) == (200, changed)
    assert {identify(issuing, bearer(own))[0] for _ in range(20)} == {200}
    assert call(issuing, "POST", f"{path}/restore", BEARER).status_code == 403


def test_a_restart_forgets(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Issued keys stay valid by their signatures; run-time revocations are lost. Keys can be revoked, restored and issued again."""
    text = _configured(settings(), "KEY_SECRET").text()
    path = "/gateway/keys/root"

    def issued(world: World, **wanted: Any) -> str:
        return call(world, "POST", "/gateway/keys", ADMIN, wanted).json()["key"]

    def statuses(world: World, *keys: str) -> list[set[int]]:
        return [{identify(world, bearer(key))[0] for _ in range(10)} for key in keys]

    with open_world(text) as world:
        root, user = issued(world, id="root", role="admin"), issued(world, id="user")
        assert call(world, "DELETE", "/gateway/keys/user", bearer(user)).status_code == 403
        assert call(world, "DELETE", "/gateway/keys/user", ADMIN).json()["known"] is True
        assert statuses(world, root, user) == [{200}, {401}]
    with open_world(text) as world:
        # without the line from the answer, the revocation is lost, too
        assert statuses(world, root, user) == [{200}, {200}]
        refused = call(world, "DELETE", path, bearer(root))
        assert (refused.status_code, openai_error(refused)["code"]) == (409, "own_key")
        answer = call(world, "DELETE", f"{path}?force=true", bearer(root))
        assert (answer.status_code, answer.json()["known"]) == (200, False) and answer.json()["warning"]
        assert statuses(world, root) == [{401}]
        assert call(world, "POST", f"{path}/restore", ADMIN).json()["changed"] is True
        assert statuses(world, root) == [{200}]
        # revoked before it is issued again: the old key is invalid, the new one is valid
        assert call(world, "DELETE", path, ADMIN).json()["known"] is False
        anew = issued(world, id="root", role="admin")
        assert statuses(world, root, anew) == [{401}, {200}]
        again = call(world, "DELETE", path, ADMIN).json()
        assert again["known"] is True and "warning" not in again
        assert statuses(world, root, anew, issued(world, id="root")) == [{401}, {401}, {200}]
        # a configured key alone
        own = call(world, "DELETE", "/gateway/keys/demo-admin", ADMIN)
        assert (own.status_code, openai_error(own)["code"]) == (409, "own_key")
        forced = call(world, "DELETE", "/gateway/keys/demo-admin?force=true", ADMIN)
        assert (forced.status_code, forced.json()["known"]) == (200, True)
        assert call(world, "GET", "/gateway/keys", ADMIN).status_code == 401


def test_rotation_keeps_the_name(issuing: World, issue: Callable[..., dict]) -> None:
    """Immediately, and repeatedly: each key lives until its own revocation."""
    keys = []
    for _ in range(4):
        keys.append(issue(id="leaky")["key"])
        assert [identify(issuing, bearer(key))[0] for key in keys] == [401] * (len(keys) - 1) + [200]
        assert call(issuing, "DELETE", "/gateway/keys/leaky", ADMIN).status_code == 200
    assert [identify(issuing, bearer(key))[0] for key in keys] == [401] * 4


def _list(world: World) -> list[dict[str, Any]]:
    return call(world, "GET", "/gateway/keys", ADMIN).json()["data"]


def test_revocation_under_load(issuing: World, issue: Callable[..., dict]) -> None:
    """No request sent after the revocation's answer passes, on any open connection."""
    key = issue(id="busy")["key"]
    headers = {"authorization": f"Bearer {key}"}
    answered: list[float] = []

    async def visit(client: clients.Client, number: int) -> tuple[float, int]:
        if number == 60:
            await asyncio.to_thread(lambda: call(issuing, "DELETE", "/gateway/keys/busy", ADMIN).raise_for_status())
            answered.append(time.monotonic())
            return 0.0, 0
        start = time.monotonic()
        return start, (await client.ask(chat_body(), headers=headers)).status_code

    visits = [lambda client, number=number: visit(client, number) for number in range(400)]
    results = clients.each(issuing.gateway.port, 16, visits)
    before = {status for start, status in results if 0 < start < answered[0]}
    after = {status for start, status in results if start >= answered[0]}
    assert 200 in before and after == {401}


def test_rotation(issuing: World, issue: Callable[..., dict], settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """The new secret signs, the previous one still verifies. Once it is removed, its keys are invalid."""
    old = issue(id="before-rotation")["key"]
    with open_world(_configured(settings(), "NEW_SECRET", "KEY_SECRET").text()) as world:
        new = call(world, "POST", "/gateway/keys", ADMIN, {"id": "after-rotation"}).json()["key"]
        assert [identify(world, bearer(key))[0] for key in (old, new)] == [200, 200]
    assert identify(issuing, bearer(new)) == (401, "invalid_api_key")
    with open_world(_configured(settings(), "NEW_SECRET").text()) as world:
        assert [identify(world, bearer(key))[0] for key in (old, new)] == [401, 200]


def test_signed_offline(issuing: World) -> None:
    """The command-line tool signs valid keys; the same secret signs nothing else."""
    command = [TOOL, "key", "sign", "--id", "offline", "--models", "gpt-4o", "--expires-in", "1h", "--label", "team=c"]
    for secret, want in [(FIRST, 200), (SECOND, 401)]:
        environment = {**os.environ, "SLUICE_KEY_SECRET": secret}
        key = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()
        status, caller = identify(issuing, bearer(key))
        assert status == want
        if want == 200:
            assert (caller["id"], caller["models"], caller["labels"]) == ("offline", ["gpt-4o"], {"team": "c"})
            assert call(issuing, "DELETE", "/gateway/keys/offline", ADMIN).json()["known"] is False
            assert {identify(issuing, bearer(key)) for _ in range(20)} == {(401, "invalid_api_key")}


def test_users_do_not_issue(issuing: World) -> None:
    assert call(issuing, "POST", "/gateway/keys", BEARER, {}).status_code == 403
