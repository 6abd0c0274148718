"""WebSocket: OpenAI's Realtime API, and the WebSocket mode of its Responses API."""

from __future__ import annotations

import json
from typing import Any, Callable, Mapping

import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import demo
from conftest import OpenWorld
from guarded import guarded
from limited import issue, report
from settings import Settings
from sockets import CREATE, LIMITED, LISTED, POOR, REALTIME, RESPONSES, SINGLE, bearer, closed, configured, hear, line_of, open_socket, refused, respond, say
from world import ADMIN, BEARER, SECRETS, World


def test_realtime(sockets: World) -> None:
    """The query names the target's model, the target gets its own key, and tokens are those that the server reports."""
    with open_socket(sockets) as client:
        session = hear(client)["session"]
        usages = [respond(client), respond(client)]
    (server, entry) = sockets.entry()
    assert session["model"] == f"gpt-4o-{server}" and entry["path"] == f"/v1/realtime?model=gpt-4o-{server}"
    assert entry["headers"]["authorization"] == f"Bearer {demo.PROVIDER_KEYS[f'MOCK_{server[-1].upper()}_KEY']}"
    assert "sec-websocket-extensions" not in entry["headers"] and demo.USER_KEY not in json.dumps(entry)
    line = line_of(sockets, client)
    tokens = {kind: sum(usage[f"{kind}_tokens"] for usage in usages) for kind in ("input", "output")}
    assert {kind: line[f"{kind}_tokens"] for kind in tokens} == tokens == {kind: entry["usage"][f"{kind}_tokens"] for kind in tokens}
    assert line["model"] == "gpt-4o" and line["cluster"] == server
    assert line["source"] == "reported" and "error" not in line


def test_the_sdks_realtime_client(sockets: World) -> None:
    sockets_url = f"ws://127.0.0.1:{sockets.gateway.port}/v1"
    with openai.OpenAI(base_url=f"{sockets.url}/v1", websocket_base_url=sockets_url, api_key=demo.USER_KEY) as sdk:
        with sdk.realtime.connect(model="gpt-4o") as connection:
            assert connection.recv().type == "session.created"
            connection.response.create()
            for event in connection:
                if event.type == "response.done":
                    break


def test_a_browsers_key(sockets: World) -> None:
    """Browsers can send their key as a subprotocol only."""
    protocols = ["realtime", f"openai-insecure-api-key.{demo.USER_KEY}", "openai-beta.realtime-v1"]
    with open_socket(sockets, headers={}, subprotocols=protocols) as client:
        assert client.subprotocol == "realtime"
        assert hear(client)["type"] == "session.created"
    (_, entry) = sockets.entry()
    assert entry["headers"]["sec-websocket-protocol"] == "realtime, openai-beta.realtime-v1"
    assert not any(secret in json.dumps(entry) for secret in (demo.USER_KEY,))
    with pytest.raises(InvalidStatus) as failed:
        open_socket(sockets, headers={}, subprotocols=["realtime", "openai-insecure-api-key.sk-wrong"])
    assert failed.value.response.status_code == 401


@pytest.mark.parametrize(
    "path, headers, want",
    [
        (REALTIME, {}, (401, "invalid_api_key")),
        (REALTIME, bearer("sk-wrong"), (401, "invalid_api_key")),
        ("/v1/realtime", BEARER, (400, "missing_required_parameter")),
        ("/v1/realtime?model=", BEARER, (400, "missing_required_parameter")),
        ("/v1/realtime?model=none", BEARER, (404, "model_not_found")),
        ("/v1/realtime?model=cheap", bearer(LISTED), (403, "model_not_allowed")),
        (demo.CHAT_PATH, BEARER, (426, "upgrade_required")),
    ],
)
def test_refused_before_the_upgrade(sockets: World, path: str, headers: Mapping[str, str], want: tuple[int, str]) -> None:
    assert refused(sockets, path, headers) == want
    assert not sockets.entries()


def test_plain_http_where_only_a_socket_is_served(sockets: World) -> None:
    answer = sockets.send(path=REALTIME, method="GET")
    assert (answer.status_code, answer.json()["error"]["code"]) == (426, "upgrade_required")


def test_no_upstream_for_responses(world: World) -> None:
    assert refused(world, RESPONSES) == (426, "upgrade_required")


@pytest.mark.parametrize("status", [400, 403, 404, 426, 429, 500, 503])
def test_a_refused_upgrade_is_tried_elsewhere(sockets: World, status: int) -> None:
    sockets.fault({"fault": "status", "status": status}, "mock-a")
    with open_socket(sockets, "/v1/realtime?model=in-turn") as client:
        assert hear(client)["session"]["model"] == "gpt-4o-mock-b"
        assert respond(client)["output_tokens"] > 0
    assert [entry["status"] for entry in sockets.models["mock-a"].requests()] == [status]


@pytest.mark.parametrize("fault", [{"fault": "reset"}, {"fault": "refuse"}])
def test_a_broken_server_is_left(sockets: World, fault: Mapping[str, Any]) -> None:
    sockets.fault(fault, "mock-a")
    with open_socket(sockets, "/v1/realtime?model=in-turn") as client:
        assert hear(client)["session"]["model"] == "gpt-4o-mock-b"


def test_the_last_refusal_is_the_clients(sockets: World) -> None:
    sockets.fault({"fault": "status", "status": 404})
    with pytest.raises(InvalidStatus) as failed:
        open_socket(sockets, "/v1/realtime?model=in-turn")
    assert failed.value.response.status_code == 404 and json.loads(failed.value.response.body)["error"]
    sockets.fault({"fault": "garbage"})  # Envoy itself refuses a 2xx here
    with pytest.raises(InvalidStatus) as failed:
        open_socket(sockets, "/v1/realtime?model=in-turn")
    assert (failed.value.response.status_code, json.loads(failed.value.response.body)["error"]["code"]) == (502, "upstream_bad_response")


def test_responses(sockets: World) -> None:
    """Each `response.create` names its model, which the key must be allowed to use."""
    with open_socket(sockets, RESPONSES, bearer(LISTED)) as client:
        usages = [respond(client, model="gpt-4o", input="Hello"), respond(client, model="gpt-4o", input="Hello again")]
        say(client, {**CREATE, "model": "gpt-5", "input": "secret words"})
        assert closed(client) == (1008, "this key may not use the model gpt-5")
    (server, entry) = sockets.entry()
    assert server == "mock-a" and len(entry["body"]) == 2 and "secret words" not in json.dumps(entry)
    line = line_of(sockets, client)
    assert line["input_tokens"] == sum(usage["input_tokens"] for usage in usages)
    assert not any(secret in sockets.everything_shown() for secret in (LISTED, "secret words"))


def test_a_revoked_key(sockets: World) -> None:
    headers = issue(sockets, {})
    with open_socket(sockets, headers=headers) as client:
        hear(client)
        respond(client)
        key = sockets.send(path="/gateway/whoami", method="GET", headers=headers).json()["id"]
        sockets.send(path=f"/gateway/keys/{key}", method="DELETE", headers=ADMIN).raise_for_status()
        say(client, CREATE)
        assert closed(client) == (1008, "the API key has been revoked")
    assert len(sockets.entry()[1]["body"]) == 1


def test_each_response_counts_as_a_request(sockets: World) -> None:
    """The upgrade is the first of three."""
    with open_socket(sockets, headers=bearer(LIMITED)) as client:
        hear(client)
        respond(client), respond(client)
        say(client, {"type": "input_audio_buffer.clear"})
        assert hear(client)["type"] == "ack"
        say(client, CREATE)
        code, reason = closed(client)
        assert code == 1008 and "requests_per_minute" in reason or "equests" in reason, reason


def test_tokens_are_charged_while_the_socket_is_open(sockets: World) -> None:
    with open_socket(sockets, headers=bearer(POOR)) as client:
        hear(client)
        used = respond(client)["total_tokens"]
        assert report(sockets, bearer(POOR))["tokens_per_day"]["used"] == used
        while used < 30:
            used += respond(client)["total_tokens"]
        say(client, {"type": "input_audio_buffer.append", "audio": "AAAA"})
        assert closed(client) == (1008, "a limit of the key is used up")
    assert refused(sockets, headers=bearer(POOR))[0] == 429


def test_concurrency(sockets: World) -> None:
    """An open socket takes one of the key's slots."""
    with open_socket(sockets, headers=bearer(SINGLE)) as client:
        hear(client)
        assert refused(sockets, headers=bearer(SINGLE))[0] == 429
    sockets.settle()
    with open_socket(sockets, headers=bearer(SINGLE)) as client:
        assert hear(client)["type"] == "session.created"


def test_a_price(sockets: World) -> None:
    """The query's model has the price; in the Responses API it is the last that was named."""
    with open_socket(sockets, "/v1/realtime?model=cheap") as client:
        hear(client)
        tokens = respond(client)["total_tokens"]
    assert line_of(sockets, client)["cost_microusd"] > 0 and tokens
    with open_socket(sockets, RESPONSES) as client:
        tokens = respond(client, model="cheap")["total_tokens"]
    assert 0 < line_of(sockets, client)["cost_microusd"] <= tokens * 1_000_000


@pytest.mark.parametrize("action", ["block", "flag"])
def test_a_guard(settings: Callable[[], Settings], open_world: OpenWorld, action: str) -> None:
    """One that could block, mask or restore refuses what it cannot read."""
    changed = configured(settings())
    rule = {"name": "pii", "api": "patterns", "entities": ["EMAIL_ADDRESS"], "phase": ["request"], "action": action, "models": ["gpt-4o"]}
    with open_world(guarded(changed, [rule]).text()) as world:
        if action == "block":
            assert refused(world) == (403, "guard_unchecked")
            assert refused(world, RESPONSES) == (403, "guard_unchecked")
            with open_socket(world, "/v1/realtime?model=in-turn") as client:
                assert hear(client)["type"] == "session.created"
            return
        with open_socket(world) as client:
            assert respond(client)["output_tokens"] > 0


def test_filters_in_their_own_entries(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    with open_world(configured(settings()).separate().text()) as world:
        with open_socket(world, RESPONSES, bearer(LISTED)) as client:
            respond(client, model="gpt-4o")
            say(client, {**CREATE, "model": "gpt-5"})
            assert closed(client)[0] == 1008


def test_the_server_closes(sockets: World) -> None:
    with open_socket(sockets) as client:
        hear(client)
        say(client, {"type": "test.close"})
        with pytest.raises(ConnectionClosed):
            while True:
                client.recv(timeout=5)
    sockets.settle()
    assert not [labels for labels, value in sockets.series("llm_ejected") if value]
    assert not any(secret in json.dumps(line_of(sockets, client)) for secret in SECRETS)
