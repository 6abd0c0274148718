"""`previous_response_id` goes to the upstream that stores the response, in every worker."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import clients
import httpx
import openai
import pytest

import demo
from answers import openai_error
from conftest import OpenWorld
from settings import Settings
from world import BEARER, World

ADMIN = {"authorization": f"Bearer {demo.ADMIN_KEY}"}
PATH = "/v1/responses"


@pytest.fixture(scope="module")
def storing(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    with open_world(settings().text()) as world:
        yield world


def _ask(world: World, headers: dict[str, str] = BEARER, **fields: Any) -> httpx.Response:
    body = json.dumps({"model": "gpt-4o", "input": "Hello", **fields}).encode()
    return world.send(body, path=PATH, headers=headers)


def _id(answer: httpx.Response) -> str:
    if answer.headers["content-type"].startswith("application/json"):
        return answer.json()["id"]
    data = answer.text.split("data: ", 1)[1].split("\n", 1)[0]
    return json.loads(data)["response"]["id"]


@pytest.mark.parametrize("stream", [False, True])
def test_follow_up_goes_to_the_same_upstream(storing: World, stream: bool) -> None:
    for _ in range(4):
        first = _ask(storing, stream=stream)
        home = first.headers["x-sluice-cluster"]
        body = json.dumps({"model": "gpt-4o", "input": "And?", "previous_response_id": _id(first)}).encode()
        answers = clients.ask(storing.gateway.port, [body] * 8, 4, path=PATH)
        assert {answer.headers["x-sluice-cluster"] for answer in answers} == {home}


def test_conversation_stays_at_its_upstream(storing: World) -> None:
    home = _ask(storing, conversation="conv_1").headers["x-sluice-cluster"]
    again = [_ask(storing, conversation={"id": "conv_1"}).headers["x-sluice-cluster"] for _ in range(6)]
    assert again == [home] * 6


def test_id_of_another_key_is_unknown(storing: World) -> None:
    """The request is routed as if the id did not exist."""
    first = _ask(storing)
    clusters = {_ask(storing, ADMIN, previous_response_id=_id(first)).headers["x-sluice-cluster"] for _ in range(9)}
    assert len(clusters) == len(demo.SERVERS)


def test_upstream_is_ejected(storing: World) -> None:
    first = _ask(storing)
    home = first.headers["x-sluice-cluster"]
    storing.send(b"", path=f"/gateway/upstreams/{home}/eject", headers=ADMIN)
    answer = _ask(storing, previous_response_id=_id(first))
    assert (answer.status_code, openai_error(answer)["code"]) == (503, "stored_response_unavailable")
    assert _ask(storing).status_code == 200
    with openai.OpenAI(base_url=f"{storing.url}/v1", api_key=demo.USER_KEY, max_retries=0) as client:
        with pytest.raises(openai.InternalServerError, match="not available"):
            client.responses.create(model="gpt-4o", input="And?", previous_response_id=_id(first))
    storing.send(b"", path=f"/gateway/upstreams/{home}/restore", headers=ADMIN)
    assert _ask(storing, previous_response_id=_id(first)).headers["x-sluice-cluster"] == home


def test_upstream_fails(storing: World) -> None:
    """The client gets the failure; no other upstream is tried."""
    first = _ask(storing)
    home = first.headers["x-sluice-cluster"]
    storing.reset()
    storing.fault({"fault": "status", "status": 500, "times": 1}, home)
    answer = _ask(storing, previous_response_id=_id(first))
    assert answer.status_code == 500
    assert [name for name, _ in storing.entries()] == [home]
    storing.heal()
