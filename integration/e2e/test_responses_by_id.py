"""A stored response is read, cancelled and deleted by its id, at its upstream, and only with the key that made it."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from typing import Any, Callable, Iterator, Mapping

import httpx
import openai
import pytest

import demo
from answers import openai_error
from callers import key_entry
from conftest import OpenWorld
from guarded import guarded
from settings import Settings
from upstream import Upstream
from world import ADMIN, BEARER, World, eventually

PATH = "/v1/responses"
STRANGER = {"authorization": "Bearer sk-stranger"}
MASK = {"name": "pii", "api": "patterns", "phase": ["response"], "action": "mask"}
SAID = "Write to jo@example.com."


class Keeper(Upstream):
    """A server that stores its responses. A response of the model `failed` has failed, which is not the server's failure."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name
        self.stored: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.status = 200

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answers like OpenAI."""
        method, path = headers[":method"], headers[":path"]
        self.asked.append((method, path))
        status, reply, kind = self.status, {}, "application/json"
        if status == 200:
            status, reply = self._made(json.loads(body)) if path == PATH else self._found(method, path)
        data = json.dumps(reply).encode()
        if "stream=true" in path and status == 200:
            event = {"type": "response.completed", "response": reply}
            data, kind = b"event: response.completed\ndata: " + json.dumps(event).encode() + b"\n\n", "text/event-stream"
        head = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(data)}", "", ""]
        writer.write("\r\n".join(head).encode() + data)
        await writer.drain()
        return True

    def _made(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        number = f"resp_{self.name}{len(self.stored)}"
        content = [{"type": "output_text", "text": SAID, "annotations": []}]
        output = [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}]
        usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
        response = {"id": number, "object": "response", "status": "completed", "model": request["model"]}
        self.stored[number] = {**response, "output": output, "usage": usage, "error": None}
        return 200, self.stored[number]

    def _found(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        number, _, verb = path.partition("?")[0].removeprefix(f"{PATH}/").partition("/")
        found = self.stored.get(number)
        if found is None:
            return 404, {"error": {"message": "no such response", "type": "invalid_request_error", "param": None, "code": None}}
        if verb == "input_items":
            return 200, {"object": "list", "data": [{"type": "message", "role": "user", "content": SAID}], "has_more": False}
        if verb == "cancel":
            return 200, {**found, "status": "cancelled"}
        if method == "DELETE":
            del self.stored[number]
            return 200, {"id": number, "object": "response", "deleted": True}
        return 200, found


@pytest.fixture(scope="module")
def keepers() -> Iterator[dict[str, Keeper]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(Keeper(name)) for name in ("one", "two")}  # type: ignore[misc]


def _changed(settings: Settings, keepers: Mapping[str, Keeper]) -> Settings:
    for name, keeper in keepers.items():
        settings.add_cluster(name, keeper.address)
        settings.upstreams[name] = {"dialects": ["openai"]}
    targets = [{"upstream": name} for name in keepers]
    settings.models.append({"name": "kept", "targets": targets, "strategy": "weighted"})
    settings.values("auth")["keys"].append(key_entry("stranger", "sk-stranger"))
    return settings


@pytest.fixture(scope="module")
def world(settings: Callable[[], Settings], open_world: OpenWorld, keepers: dict[str, Keeper]) -> Iterator[World]:
    with open_world(_changed(settings(), keepers).text()) as world:
        yield world


@pytest.fixture(autouse=True)
def _healthy(keepers: dict[str, Keeper]) -> None:
    for keeper in keepers.values():
        keeper.status = 200
        keeper.asked.clear()


def _made(world: World) -> dict[str, Any]:
    body = json.dumps({"model": "kept", "input": "Hello"}).encode()
    answer = world.send(body, path=PATH)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _ask(world: World, method: str, path: str, headers: Mapping[str, str] = BEARER) -> httpx.Response:
    return world.send(path=f"{PATH}/{path}", method=method, headers=headers)


def _home(keepers: Mapping[str, Keeper], number: str) -> tuple[Keeper, Keeper]:
    """The server that stores it, and the other one."""
    one, two = keepers.values()
    return (one, two) if number.startswith(f"resp_{one.name}") else (two, one)


def test_requests_go_to_the_storing_upstream(world: World, keepers: dict[str, Keeper]) -> None:
    for _ in range(6):
        made = _made(world)
        number = made["id"]
        home, other = _home(keepers, number)
        other.asked.clear()
        assert _ask(world, "GET", f"{number}?include[]=x").json() == made
        assert _ask(world, "GET", f"{number}/input_items?limit=2").json()["object"] == "list"
        assert _ask(world, "POST", f"{number}/cancel").json()["status"] == "cancelled"
        assert _ask(world, "DELETE", number).json()["deleted"] is True
        gone = _ask(world, "GET", number)
        assert (gone.status_code, openai_error(gone)["message"]) == (404, "no such response")
        assert home.asked[-2:] == [("DELETE", f"{PATH}/{number}"), ("GET", f"{PATH}/{number}")]
        assert ("GET", f"{PATH}/{number}?include[]=x") in home.asked
        assert other.asked == []


def test_sdk(world: World) -> None:
    with openai.OpenAI(base_url=f"{world.url}/v1", api_key=demo.USER_KEY, max_retries=0) as client:
        number = client.responses.create(model="kept", input="Hello").id
        assert client.responses.retrieve(number).output_text == SAID
        assert len(client.responses.input_items.list(number).data) == 1
        assert client.responses.cancel(number).status == "cancelled"
        *_, last = client.responses.retrieve(number, stream=True)
        assert last.type == "response.completed" and last.response.id == number
        client.responses.delete(number)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(number)
        with pytest.raises(openai.NotFoundError, match="known to the gateway"):
            client.responses.retrieve("resp_unknown")


@pytest.mark.parametrize(("method", "verb"), [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")])
def test_only_its_key_can_use_it(world: World, keepers: dict[str, Keeper], method: str, verb: str) -> None:
    number = _made(world)["id"]
    home, _ = _home(keepers, number)
    for path in (number, "resp_nowhere"):
        refused = _ask(world, method, path + verb, STRANGER)
        assert (refused.status_code, openai_error(refused)["code"]) == (404, "response_not_found")
    assert _ask(world, method, number + verb, {}).status_code == 401
    assert number in home.stored and home.asked == [("POST", PATH)]
    assert _ask(world, method, number + verb, ADMIN).status_code == 200


def test_wrong_methods(world: World) -> None:
    for method, path, allowed in [("PUT", "resp_1", "GET, DELETE"), ("GET", "resp_1/cancel", "POST")]:
        answer = _ask(world, method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_no_other_upstream_is_tried(world: World, keepers: dict[str, Keeper]) -> None:
    number = _made(world)["id"]
    home, other = _home(keepers, number)
    other.asked.clear()
    home.status = 500
    assert _ask(world, "GET", number).status_code == 500
    home.status = 200
    world.send(b"", path=f"/gateway/upstreams/{home.name}/eject", headers=ADMIN).raise_for_status()
    answer = _ask(world, "GET", number)
    assert (answer.status_code, openai_error(answer)["code"]) == (503, "stored_response_unavailable")
    world.send(b"", path=f"/gateway/upstreams/{home.name}/restore", headers=ADMIN).raise_for_status()
    assert _ask(world, "GET", number).status_code == 200
    assert other.asked == []


def test_requests_use_no_tokens(world: World) -> None:
    number = _made(world)["id"]
    world.settle()
    tokens, requests = world.counted("llm_tokens_total"), sum(world.counted("llm_requests_total").values())
    for path in (number, f"{number}?stream=true", f"{number}/input_items"):
        assert _ask(world, "GET", path).status_code == 200
    eventually(lambda: sum(world.counted("llm_requests_total").values()), requests + 3)
    assert world.counted("llm_tokens_total") == tokens


def test_stored_responses_are_checked(
    settings: Callable[[], Settings], open_world: OpenWorld, keepers: dict[str, Keeper]
) -> None:
    """A check of answers cannot be bypassed by reading the answer later."""
    changed = guarded(_changed(settings(), keepers), [MASK])
    with open_world(changed.text()) as world:
        number = _made(world)["id"]
        for path in (number, f"{number}?stream=true", f"{number}/input_items"):
            answer = _ask(world, "GET", path)
            assert answer.status_code == 200 and "jo@example.com" not in answer.text, path
            assert "<EMAIL_ADDRESS>" in answer.text
        assert _ask(world, "DELETE", number).json()["deleted"] is True
