"""Each attempt must find its own request. Envoy starts attempts by itself, and filters between Sluice's and Envoy's router may
delay some requests and pass others."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable


import clients
from conftest import OpenWorld
from resilience import NEVER_EJECTED, hold
from settings import Settings
from world import World, chat_body

FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUNDS = 40
UPLOADS = 8


def test_bypassing_filters_exposes_no_credential(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """A route without Sluice's filters also has an attempt, while another filter holds a different request."""
    changed = settings()
    hold(changed, "held", milliseconds=20, percent=100)
    disabled = {"@type": FILTER_CONFIG, "disabled": True, "config": {}}
    past = {"match": {"prefix": "/past/"}, "route": {"cluster": "mock-a"}}
    _routes(changed).insert(0, {**past, "typed_per_filter_config": {"sluice": disabled, "held": disabled}})
    with open_world(changed.text()) as world:
        answers = asyncio.run(_pairs(world))
        assert Counter(answer.status_code for answer, _ in answers) == {200: ROUNDS}
        assert Counter(answer.status_code for _, answer in answers) == {500: ROUNDS}
        assert not any("past" in entry["path"] for _, entry in world.entries())


async def _pairs(world: World) -> list[tuple[clients.Answer, clients.Answer]]:
    """The answers to a held request, and to one that bypasses the filters meanwhile."""
    client, stranger = clients.Client(world.gateway.port), clients.Client(world.gateway.port)
    answers = []
    for number in range(ROUNDS):
        held = asyncio.create_task(client.ask(chat_body(f"held {number}")))
        await asyncio.sleep(0.006)
        past = await stranger.ask(chat_body(f"past {number}"), path="/past/v1/chat/completions", headers={})
        answers.append((await held, past))
    return answers


def test_retries_from_envoys_own_policy(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Retries that the filters did not request also find their request. A model's only server is tried again."""
    changed = settings()
    changed.values("router")["ejection"] = NEVER_EJECTED
    changed.add_model("only-a", "mock-a")
    _routes(changed)[0]["route"]["retry_policy"]["retry_on"] += ",5xx"
    _routes(changed)[0]["route"]["retry_policy"]["num_retries"] = 2
    with open_world(changed.text()) as world:
        world.fault({"fault": "status", "status": 503}, "mock-a")
        assert world.chat(model="only-a").status_code == 503
        bodies = [json.dumps(entry["body"]) for _, entry in world.entries()]
        assert len(bodies) > 1 and len(set(bodies)) == 1


def test_split_filters_under_load(settings: Callable[[], Settings], open_world: OpenWorld, tmp_path: Path) -> None:
    """While requests run, a new configuration gives each filter its own entry: at another listener, then at the same."""
    joined, apart = _listener(settings()), _listener(settings().separate())
    listeners = tmp_path / "listeners.json"
    _put(listeners, [joined])
    changed = settings()
    changed.tree["static_resources"]["listeners"] = []
    changed.tree["node"] = {"id": "test", "cluster": "test"}
    source = {"resource_api_version": "V3", "path_config_source": {"path": str(listeners)}}
    changed.tree["dynamic_resources"] = {"lds_config": source}
    with open_world(changed.text()) as world:
        (listener,) = world.gateway.ask("/listeners?format=json")["listener_statuses"]
        port = listener["local_address"]["socket_address"]["port_value"]
        for new in ([joined, {**apart, "name": "other"}], [apart]):
            answers = asyncio.run(_uploads(port, lambda new=new: _put(listeners, new)))
            assert [answer.status_code for answer in answers] == [200] * UPLOADS


async def _uploads(port: int, meanwhile: Callable[[], None]) -> list[clients.Answer]:
    """The answers to requests that are running when something happens."""
    uploads = [clients.Client(port) for _ in range(UPLOADS)]
    body = chat_body("x" * 2000)
    for client in uploads:
        await client.send(body, share=0.5)
    await asyncio.sleep(0.3)
    meanwhile()
    await asyncio.sleep(1.5)
    return [await client.ask_rest(body, share=0.5) for client in uploads]


def test_attempt_timeout_starts_after_the_body(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """The time to receive the body does not count: an attempt that is reset in time has not timed out."""
    changed = settings()
    changed.values("router")["ejection"] = NEVER_EJECTED
    changed.add_model("hasty", "mock-a", retry={"per_try_timeout": "1s"})
    body = chat_body(model="hasty")

    async def visit(client: clients.Client) -> int:
        await client.send(body, share=0)
        await asyncio.sleep(0.3)
        return (await client.ask_rest(body, share=0)).status_code

    with open_world(changed.text()) as world:
        world.fault({"fault": "reset", "delay_ms": 800}, "mock-a")
        assert clients.each(world.gateway.port, 4, [visit] * 8) == [503] * 8
        assert world.counted("llm_attempts_total") == {("mock-a", "reset"): 8}


def _routes(settings: Settings) -> list[dict[str, Any]]:
    return settings.manager["route_config"]["virtual_hosts"][0]["routes"]


def _listener(settings: Settings) -> dict[str, Any]:
    return copy.deepcopy(settings.tree["static_resources"]["listeners"][0])


def _put(file: Path, listeners: list[dict[str, Any]]) -> None:
    """Makes Envoy load these listeners, by moving the file into place."""
    resources = [{"@type": LISTENER, **listener} for listener in listeners]
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"version_info": str(time.time()), "resources": resources}))
    new.rename(file)
