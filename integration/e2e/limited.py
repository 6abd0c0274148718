"""Keys and models with limits, and the gateway's report of the rest."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Iterable, Mapping

import answers
import demo
from resilience import NEVER_EJECTED
from settings import Settings
from world import ADMIN, World, chat_body, eventually

SIGNING = {"SIGNING_SECRET": "a secret of thirty-two characters"}
# The same environment for all, so that these gateways can share an Envoy.
ENV = {**demo.ENVIRONMENT, **SIGNING}
# Dollars per million tokens.
PRICE = {"input": 2.5, "output": 10}
_WIDE = 1_000_000_000
# More than any test uses: everything is counted, nothing is refused.
WIDE: dict[str, Any] = {
    "requests_per_minute": _WIDE,
    "requests_per_day": _WIDE,
    "requests_per_month": _WIDE,
    "tokens_per_minute": _WIDE,
    "tokens_per_day": _WIDE,
    "tokens_per_month": _WIDE,
    "cost_per_day": 1000,
    "cost_per_month": 1000,
    "concurrency": 1000,
}


# The configured keys; their names are arbitrary.
KEYS: dict[str, dict[str, Any]] = {
    "hundred": {"requests_per_minute": 100},
    "waiting": {"requests_per_minute": 1},
    "é漢字 🔑": {"requests_per_minute": 5},
    "a;key=b;model=c": {"requests_per_minute": 5},
    'with "quotes" and \\': {"requests_per_minute": 5},
    "x" * 256: {"requests_per_minute": 5},
    "x" * 255: {"requests_per_minute": 5},
}
# The configured models.
MODELS: dict[str, dict[str, Any]] = {
    "hundred": {"requests_per_minute": 100},
    "counted": WIDE,
    "three": {"requests_per_minute": 3},
    "small": {"tokens_per_minute": 100},
}
# The limits of teams, by the value of the label `team`.
TEAMS: dict[str, dict[str, Any]] = {
    "four calls": {"requests_per_month": 4, "warn_at": 75},
    "a budget": {"cost_per_month": 0.0006, "warn_at": 1},
}


def limited(settings: Settings) -> Settings:
    """The demo's settings with these keys and models; no server leaves the pool, and keys can be issued."""
    settings.values("router")["ejection"] = NEVER_EJECTED
    auth = settings.values("auth")
    auth["virtual_keys"] = {"secrets": [{"env": name} for name in SIGNING]}
    settings.plugin("auth")["vm_config"]["environment_variables"]["host_env_keys"] += SIGNING
    for name, limits in KEYS.items():
        digest = hashlib.sha256(_key(name).encode()).hexdigest()
        auth["keys"].append({"id": name, "hash": f"sha256:{digest}", "limits": limits})
    auth["label_limits"] = [{"label": "team", "value": name, "limits": limits} for name, limits in TEAMS.items()]
    for name, limits in MODELS.items():
        settings.add_model(name, *(server.name for server in demo.SERVERS), limits=limits, price=PRICE)
    return settings


def bearer(name: str) -> dict[str, str]:
    """The headers of a client with that configured key."""
    return {"authorization": f"Bearer {_key(name)}"}


def _key(name: str) -> str:
    return f"sk-test-{name.encode().hex()}"


def begin_to_wait(world: World) -> None:
    """Uses up a minute's limit, so that the only test that waits for its end waits less."""
    assert world.send(chat_body(), headers=bearer("waiting")).status_code == 200


def issue(world: World, limits: Mapping[str, Any], **fields: Any) -> dict[str, str]:
    """The headers of a client with a new virtual key."""
    body = json.dumps({"limits": limits, **fields}).encode()
    response = world.send(body, path="/gateway/keys", headers=ADMIN)
    assert response.status_code == 200, response.text
    return {"authorization": f"Bearer {response.json()['key']}"}


def report(world: World, headers: Mapping[str, str], subject: str = "key", name: str | None = None) -> dict[str, Any]:
    """One subject's entry in `GET /gateway/limits`."""
    response = world.send(path="/gateway/limits", method="GET", headers=headers)
    assert response.status_code == 200 and response.json().keys() == {"scope", "subjects"}
    assert response.json()["scope"] == "envoy"
    found = [each for each in response.json()["subjects"] if each["subject"] == subject]
    (only,) = [each for each in found if name in (None, each.get("id"))]
    return only["limits"]


def used(world: World, headers: Mapping[str, str], *names: str) -> tuple[float, ...]:
    """How much the caller has used of these limits."""
    limits = report(world, headers)
    return tuple(limits[name]["used"] for name in names)


def settles_at(world: World, headers: Mapping[str, str], **want: float) -> None:
    """Asserts the caller's usage once all requests have ended."""
    world.settle()
    eventually(lambda: dict(zip(want, used(world, headers, *want))), want)


def estimate(body: bytes) -> int:
    """The estimate for a request before it is answered."""
    return -(-len(body) // 4) + json.loads(body).get("max_tokens", 0)


def tokens_of(entries: Iterable[tuple[str, dict[str, Any]]]) -> list[tuple[int, int]]:
    """Input and output tokens of each request in the journals."""
    return [answers.tokens(entry["usage"]) for _, entry in entries]


def microusd(usages: Iterable[tuple[int, int]]) -> int:
    """Their cost, rounded for each request: half a millionth up."""
    tenths = [int(input * PRICE["input"] * 10 + output * PRICE["output"] * 10) for input, output in usages]
    return sum((each + 5) // 10 for each in tenths)
