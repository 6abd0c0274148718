"""One key's invented model names do not affect other keys: their calls are counted under their own names.

`SLUICE_INVENTED_NAMES=20000` is the long form, with a thousand calls of other keys.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any, Callable, Iterator

import pytest

import clients
from conftest import OpenWorld
from gateway import MockModels
from limited import PRICE, WIDE, microusd, report, tokens_of
from resilience import NEVER_EJECTED_ALONE
from settings import Settings
from table import Table
from world import ADMIN, World, chat_body, eventually

INVENTED = int(os.environ.get("SLUICE_INVENTED_NAMES", "2000"))
CALLS = INVENTED // 20
NEIGHBOURS = 10
# The model names that one server knows; the other accepts any.
KNOWN = ("strict-one", "strict-two")
USAGE = "/gateway/usage"


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer sk-{key}"}


@pytest.fixture(scope="module")
def shared_world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    """Two servers behind models that accept any name, and keys with limits and labels."""
    changed = settings()
    keys = [("greedy", "raiders")] + [(f"neighbour-{number}", f"team-{number % 2}") for number in range(NEIGHBOURS)]
    for key, team in keys:
        digest = hashlib.sha256(f"sk-{key}".encode()).hexdigest()
        changed.values("auth")["keys"].append({"id": key, "hash": f"sha256:{digest}", "labels": {"team": team}, "limits": WIDE})
    with ExitStack() as running:
        servers = {
            "strict": running.enter_context(MockModels("strict", models=KNOWN)),
            "lenient": running.enter_context(MockModels("lenient")),
        }
        for name, server in servers.items():
            changed.add_cluster(name, server.address)
            changed.upstreams[name] = {"ejection": NEVER_EJECTED_ALONE}
            changed.models.append({"name": f"{name}-*", "targets": [{"upstream": name}], "price": PRICE})
        with open_world(changed.text(), servers) as world:
            yield world


def _rows(world: World, by: str, **how: Any) -> dict[str, dict[str, int]]:
    told = world.send(method="GET", path=f"{USAGE}?by={by}", **{"headers": ADMIN, **how}).json()
    return {row.pop(by): row for row in told["data"]}


def test_invented_names_do_not_hide_other_keys(shared_world: World, request: pytest.FixtureRequest) -> None:
    world = shared_world
    names = ["strict-one", "strict-two", "lenient-one", "gpt-4o"]
    visits, want = [], Counter()
    start = time.monotonic()
    for number in range(INVENTED + CALLS):
        if number % 21 < 20:
            # half of the names succeed, half are refused
            body, key = chat_body(model=f"{('strict', 'lenient')[number % 2]}-invented-{number}"), "greedy"
        else:
            turn = number // 21
            body, key = chat_body(model=names[turn % 4]), f"neighbour-{turn % NEIGHBOURS}"
            want[(key, names[turn % 4])] += 1
        visits.append(lambda client, body=body, key=key: client.ask(body, headers=_bearer(key)))
    found = clients.each(world.gateway.port, 20, visits)
    seconds = time.monotonic() - start
    statuses = Counter(answer.status_code for answer in found)
    assert statuses == {200: INVENTED // 2 + CALLS, 404: INVENTED // 2}, statuses
    world.settle()

    # the totals: every other key, every model, every team
    keys = {key: sum(count for (each, _), count in want.items() if each == key) for key, _ in want}
    eventually(lambda: {key: row["requests"] for key, row in _rows(world, "key").items() if key in keys}, keys)
    invented = lambda: [row["requests"] for name, row in _rows(world, "model").items() if name == "other" or "invented" in name]  # noqa: E731
    eventually(lambda: sum(invented()), INVENTED)
    models = {name: sum(count for (_, each), count in want.items() if each == name) for name in names}
    rows = _rows(world, "model")
    assert {name: rows[name]["requests"] for name in names} == models
    told_apart = [name for name in rows if "invented" in name]
    assert not [name for name in told_apart if name.startswith("strict")], "no target has answered these"
    assert len(told_apart) <= 200, "a hundred for each of two workers"
    assert rows["other"]["requests"] == INVENTED - sum(rows[name]["requests"] for name in told_apart)
    teams = Counter()
    for key, count in keys.items():
        teams[f"team-{int(key[-1]) % 2}"] += count
    teams["raiders"] = INVENTED
    assert {team: row["requests"] for team, row in _rows(world, "label:team").items() if team != "none"} == teams
    own = _rows(world, "label:team", headers=_bearer("neighbour-1"))
    assert own.keys() == {"team-1"}, "a user sees its own"

    # the stats
    counted = Counter()
    for (key, model, _, _), count in world.counted("llm_requests_total").items():
        counted[(key, model)] += count
    assert {labels: counted[labels] for labels in want} == want
    assert sum(count for (key, _), count in counted.items() if key == "other") == 0

    # the limits: exact requests, tokens and money of each key
    journal: dict[str, list[Any]] = {}
    for server, entry in world.entries():
        journal.setdefault(entry["body"]["model"], []).append((server, entry))
    by_model = {name: tokens_of(journal[target])[0] for name, target in _targets(journal)}
    for key in keys:
        mine = report(world, _bearer(key))
        tokens = sum(count * sum(by_model[name]) for (each, name), count in want.items() if each == key)
        cost = sum(count * microusd([by_model[name]]) for (each, name), count in want.items() if each == key)
        assert mine["requests_per_minute"]["used"] == keys[key] or seconds > 30
        assert (mine["tokens_per_day"]["used"], round(mine["cost_per_day"]["used"] * 1e6)) == (tokens, cost), key
    table = Table(f"{INVENTED} invented names of one key, {seconds:.1f} s", ["calls", "without their name", "limits off"])
    table.put("neighbours", "calls", sum(want.values()))
    table.put("neighbours", "without their name", sum(want.values()) - sum(rows[name]["requests"] for name in names))
    table.put("neighbours", "limits off", 0)
    table.put("greedy", "calls", INVENTED)
    table.put("greedy", "without their name", rows["other"]["requests"])
    table.show(request.config)


def _targets(journal: dict[str, Any]) -> list[tuple[str, str]]:
    """Calls each model by its own name, and by the names that the servers know."""
    gpt = next(name for name in journal if name.startswith("gpt-4o"))
    return [(name, name) for name in ("strict-one", "strict-two", "lenient-one")] + [("gpt-4o", gpt)]


def test_access_log_has_the_requested_name(shared_world: World) -> None:
    """Whatever label it is counted under."""
    before = len(shared_world.logged())
    assert shared_world.send(chat_body(model="strict-unheard"), headers=_bearer("neighbour-0")).status_code == 404

    def told() -> list[tuple[str, str]]:
        records = (line.get("sluice", {}) for line in shared_world.logged(before))
        return [(record["model"], record["label_team"]) for record in records if record.get("requested_model") == "strict-unheard"]

    eventually(told, [("other", "team-0")])
