"""Keys that may only offer certain tools: refused in every dialect, whatever hides the name, and served as before otherwise."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Callable, Iterator

import httpx
import openai
import pytest

from callers import see_variables
from conftest import OpenWorld
from settings import Settings
from sockets import bearer, refused
from world import ADMIN, BEARER, World

READER, ALL, NAMED = "sk-tools-reader", "sk-tools-all", "sk-tools-named"
FUNCTION = {"type": "object", "properties": {}}


def openai_tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": FUNCTION}}


def chat(*tools: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    messages = [{"role": "user", "content": "Hello"}]
    return "/v1/chat/completions", {"model": "gpt-4o", "messages": messages, **({"tools": tools} if tools else {}), **fields}


def responses(*tools: Any) -> tuple[str, dict[str, Any]]:
    return "/v1/responses", {"model": "gpt-4o", "input": "Hello", "tools": tools}


def messages(*tools: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    body = {"model": "gpt-4o", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}], "tools": tools}
    return "/v1/messages", {**body, **fields}


def gemini(*tools: Any) -> tuple[str, dict[str, Any]]:
    return "/v1beta/models/gpt-4o:generateContent", {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], "tools": tools}


def ollama(*tools: Any) -> tuple[str, dict[str, Any]]:
    return "/api/chat", {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "stream": False, "tools": tools}


ALLOWED = {
    "chat": chat(openai_tool("get_time")),
    "chat without tools": chat(),
    "responses": responses({"type": "function", "name": "get_time", "parameters": FUNCTION, "strict": False}),
    "messages": messages({"name": "get_time", "input_schema": FUNCTION}),
    "gemini": gemini({"functionDeclarations": [{"name": "get_time"}]}),
    "ollama": ollama(openai_tool("get_time")),
}
REFUSED: dict[str, tuple[tuple[str, dict[str, Any]], str, str]] = {
    "chat": (chat(openai_tool("get_time"), openai_tool("delete_all")), "tools[1].function.name", "delete_all"),
    "denied": (chat(openai_tool("get_secret")), "tools[0].function.name", "get_secret"),
    "functions": (chat(functions=[{"name": "delete_all"}]), "functions[0].name", "delete_all"),
    "search": (chat(web_search_options={}), "web_search_options", "web_search"),
    "responses": (responses({"type": "function", "name": "delete_all", "parameters": FUNCTION}), "tools[0].name", "delete_all"),
    "web_search": (responses({"type": "web_search"}), "tools[0].type", "web_search"),
    "code_interpreter": (responses({"type": "code_interpreter", "container": {"type": "auto"}}), "tools[0].type", "code_interpreter"),
    "mcp": (responses({"type": "mcp", "server_label": "crm", "server_url": "https://x.example"}), "tools[0].server_label", "mcp"),
    "messages": (messages({"name": "delete_all", "input_schema": FUNCTION}), "tools[0].name", "delete_all"),
    "server tool": (messages({"type": "web_search_20250305", "name": "web_search"}), "tools[0].type", "web_search_20250305"),
    "mcp servers": (messages(mcp_servers=[{"type": "url", "url": "https://x.example", "name": "crm"}]), "mcp_servers[0].name", "mcp"),
    "gemini": (gemini({"functionDeclarations": [{"name": "delete_all"}]}), "tools[0].functionDeclarations[0].name", "delete_all"),
    "googleSearch": (gemini({"googleSearch": {}}), "tools[0].googleSearch", "googleSearch"),
    "codeExecution": (gemini({"code_execution": {}}), "tools[0].code_execution", "code_execution"),
    "ollama": (ollama(openai_tool("delete_all")), "tools[0].function.name", "delete_all"),
}


def _key(name: str, key: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "hash": "sha256:" + hashlib.sha256(key.encode()).hexdigest(), **fields}


@pytest.fixture(scope="module")
def _world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    see_variables(changed, "KEY_SECRET")
    auth = changed.values("auth")
    auth["virtual_keys"] = {"secrets": [{"env": "KEY_SECRET"}]}
    auth["keys"].append(_key("reader", READER, tools={"allow": ["get_*"], "deny": ["get_secret"]}))
    auth["keys"].append(_key("all", ALL))
    auth["keys"].append(_key("named", NAMED, models=["gpt-4o", "/v1/threads*"], tools={"allow": []}))
    auth["tools"] = {"deny": ["mcp*"]}
    changed.values("router")["paths"] = [{"path": "/v1/threads*", "upstream": "mock-a"}]
    with open_world(changed.text()) as world:
        yield world


@pytest.fixture
def world(_world: World) -> World:
    _world.reset()
    return _world


def send(world: World, request: tuple[str, Any], key: str = READER) -> httpx.Response:
    path, body = request
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return world.send(content, path=path, headers={"authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"})


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed(world: World, name: str) -> None:
    response = send(world, ALLOWED[name])
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("name", REFUSED)
def test_refused(world: World, name: str) -> None:
    request, place, tool = REFUSED[name]
    response = send(world, request)
    assert response.status_code == 403
    error = response.json()["error"]
    message = error if isinstance(error, str) else error["message"]
    assert message == f"This key may not offer the tool `{tool}` ({place})."
    if request[0] == "/v1/messages":
        assert error["type"] == "permission_error" and response.json()["type"] == "error"
    elif request[0].startswith("/v1beta"):
        assert error["status"] == "PERMISSION_DENIED" and error["details"][0]["reason"] == "TOOL_NOT_ALLOWED"
    elif request[0].startswith("/v1/"):
        assert (error["code"], error["param"]) == ("tool_not_allowed", "tools")
    assert not world.entries()


def test_other_keys(world: World) -> None:
    """Without lists of its own a key may offer everything but what nobody may."""
    for name in ("chat", "denied", "functions", "ollama"):
        assert send(world, REFUSED[name][0], ALL).status_code == 200, name
    for name in ("mcp", "mcp servers"):
        assert send(world, REFUSED[name][0], ALL).status_code == 403, name


@pytest.mark.parametrize(
    "tools",
    [
        r'[{"type":"function","function":{"name":"\u0064elete_all"}}]',
        r'[{"type":"function","function":{"name":"get_time","name":"delete_all"}}]',
        r'[{"type":"function","function":{"name":"delete_all","name":"get_time"}}]',
        r'[{"type":"function","function":{"name":"get_time"},"Function":{"Name":"delete_all"}}]',
        r'[{"type":"function"}]',
        r'{"type":"function","function":{"name":"get_time"}}',
        r'[[{"type":"function","function":{"name":"get_time"}}]]',
    ],
)
def test_hidden(world: World, tools: str) -> None:
    body = f'{{"model":"gpt-4o","messages":[{{"role":"user","content":"Hello"}}],"tools":{tools}}}'
    response = send(world, ("/v1/chat/completions", body.encode()))
    assert (response.status_code, response.json()["error"]["code"]) == (403, "tool_not_allowed")
    assert not world.entries()


def test_unread(world: World) -> None:
    """What nobody reads is refused, unless the key's `models` name the path. (The mock does not know the path.)"""
    runs = ("/v1/threads/runs", {"tools": [{"type": "code_interpreter"}]})
    response = send(world, runs)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "tools_unchecked")
    assert send(world, runs, NAMED).status_code == 404
    assert world.send(path="/v1/threads/1", method="GET", headers=bearer(READER)).status_code == 404
    for key in (READER, ALL):
        assert refused(world, headers=bearer(key)) == (403, "tools_unchecked")


def test_twice(world: World) -> None:
    """Two lists of tools, of which servers could read either, are refused for every key."""
    body = b'{"model":"gpt-4o","messages":[],"tools":[],"tools":[{"type":"function","function":{"name":"delete_all"}}]}'
    response = send(world, ("/v1/chat/completions", body), ALL)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "ambiguous_parameter")


def test_virtual_key(world: World) -> None:
    wanted = {"id": "vk", "tools": {"allow": ["get_time"]}}
    issued = world.http.post("/gateway/keys", headers=ADMIN, json=wanted)
    assert issued.status_code == 200, issued.text
    key = issued.json()["key"]
    assert send(world, ALLOWED["chat"], key).status_code == 200
    assert send(world, REFUSED["chat"][0], key).status_code == 403
    whoami = world.http.get("/gateway/whoami", headers={"authorization": f"Bearer {key}"}).json()
    assert whoami["tools"] == {"allow": ["get_time"]}
    assert "tools" not in world.http.get("/gateway/whoami", headers=BEARER).json()
    wrong = world.http.post("/gateway/keys", headers=ADMIN, json={"tools": {"allow": ["a*b"]}})
    assert wrong.status_code == 400 and "at the end" in wrong.text


def test_sdk(world: World) -> None:
    with openai.OpenAI(base_url=f"{world.url}/v1", api_key=READER, max_retries=0) as client:
        tools: Any = [openai_tool("delete_all")]
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], tools=tools)
        assert refused.value.code == "tool_not_allowed"
