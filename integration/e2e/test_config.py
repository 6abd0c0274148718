"""A configuration either works, or the error says what is wrong; and filters work without each other."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import demo
import updates
from answers import content
from child import ChildFailed
from conftest import CLOSED_PORT, LIMITED_KEY, OpenWorld
from gateway import Gateway, MockModels, render
from guarded import guarded
from settings import Settings, lead_to, long_form, with_tokens
from world import ADMIN, BEARER, CHAT, MESSAGES, World, chat_body, eventually

Edit = Callable[[Settings], Any]


def _misspelled_upstream(settings: Settings) -> None:
    settings.upstreams["openai"] = settings.upstreams.pop("mock-b")
    settings.models[0]["targets"][1]["upstream"] = "opnai"


def _settings_for_usage(settings: Settings) -> None:
    settings.values("usage")["colour"] = "blue"


def _settings_for_attempt(settings: Settings) -> None:
    settings.values("attempt")["keys"] = []


def _unknown_root_id(settings: Settings) -> None:
    settings.plugin("usage")["root_id"] = "useage"


def _text_instead_of_settings(settings: Settings) -> None:
    string = "type.googleapis.com/google.protobuf.StringValue"
    settings.plugin("auth")["configuration"] = {"@type": string, "value": "keys: []"}


# One for each filter, for what Envoy itself reads, and for secrets; tests/core/config has every mistake. A change of the settings, and
# the message that Envoy must log.
MISTAKES: dict[str, tuple[Edit, tuple[str, ...]]] = {
    "upstream misspelled": (_misspelled_upstream, ("router.models[0].targets[1].upstream", '"opnai"', 'did you mean "openai"?')),
    "environment variable not set": (
        lambda s: s.upstreams["mock-a"]["credential"].update(env="OPENAI_API_KEY"),
        ('router.upstreams.mock-a.credential.env', "OPENAI_API_KEY", "not set", "host_env_keys"),
    ),
    "variable missing in host_env_keys": (
        lambda s: s.plugin("router")["vm_config"]["environment_variables"]["host_env_keys"].remove("MOCK_B_KEY"),
        ("mock-b.credential.env", "MOCK_B_KEY", "host_env_keys"),
    ),
    "key instead of a variable": (
        lambda s: s.upstreams["mock-a"]["credential"].update(env="sk-this-is-a-secret"),
        ("router.upstreams.mock-a.credential.env", "not the name of an environment variable"),
    ),
    "key instead of its hash": (
        lambda s: s.values("auth")["keys"][0].update(hash="sk-this-is-a-secret"),
        ("auth.keys[0].hash", "sha256sum"),
    ),
    "half a weight": (
        lambda s: s.models[0]["targets"][2].update(weight=0.5),
        ("router.models[0].targets[2].weight", "0.5 is not a whole number"),
    ),
    "settings for usage": (_settings_for_usage, ("usage.colour", "no such field")),
    "settings for attempt": (_settings_for_attempt, ("attempt.keys", "no such field")),
    "unknown root_id": (_unknown_root_id, ("root_id", '"useage"', "auth, guard, router, usage and attempt")),
    "filters in another order": (
        lambda s: s.plugin("usage").update(root_id="router+auth+usage"),
        ("the configuration is refused: root_id", '"router+auth+usage"', "in this order"),
    ),
    "settings for a filter that is not there": (
        lambda s: s.plugin("usage")["configuration"]["value"].update(guard={"checks": []}),
        ("auth+router+usage.guard", "add it to root_id, as in auth+guard+router+usage"),
    ),
    "check of a model that is not there": (
        lambda s: guarded(s, [{"name": "pii", "api": "patterns", "phase": ["request"], "action": "flag", "models": ["gpt-4"]}]),
        ("guard.checks[0].models[0]", 'no model "gpt-4"', 'did you mean "gpt-4o"?'),
    ),
    "field of Envoy's misspelled": (
        lambda s: s.plugin("auth").update(allow_on_header_stop_iteration=True),
        ("unknown fields", "allow_on_header_stop_iteration"),
    ),
    "neither Struct nor JSON": (_text_instead_of_settings, ("auth", "nor JSON")),
}


# On a connection of its own.
ALONE = {"connection": "close"}
# These are tested with a real start as well, which takes seconds.
AT_START = ("upstream misspelled",)
# What starts in an Envoy of its own, test_identity_oidc.py and test_traces.py start as well.
EXAMPLES = sorted({*(demo.ENVOY_YAML.parent / "examples").glob("*.yaml")} - {demo.ENVOY_YAML.parent / "examples" / name for name in ("oauth2.yaml", "tracing.yaml")})


def _assert_says(said: str, changed: Settings, name: str) -> None:
    assert all(words in said for words in MISTAKES[name][1]), said
    assert "this-is-a-secret" not in said.replace(changed.text(), "")


@pytest.mark.parametrize("name", AT_START)
def test_mistake_refuses_to_start(settings: Callable[[], Settings], name: str) -> None:
    changed = settings()
    MISTAKES[name][0](changed)
    with pytest.raises(ChildFailed) as caught:
        Gateway(changed.text()).start().stop()
    _assert_says(str(caught.value), changed, name)


@pytest.fixture(scope="module")
def updated(settings: Callable[[], Settings], open_world: OpenWorld, tmp_path_factory: Any) -> Iterator[tuple[World, Path]]:
    """A gateway that reads its listeners from a file."""
    path = tmp_path_factory.mktemp("listeners") / "listeners.json"
    with open_world(updates.to_file(settings(), path).text(), arguments=["--reject-unknown-dynamic-fields"]) as world:
        yield world, path


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_refuses_an_update(updated: tuple[World, Path], settings: Callable[[], Settings], name: str) -> None:
    """The running configuration stays."""
    world, path = updated
    changed = settings()
    MISTAKES[name][0](changed)
    _assert_says(updates.update(world, path, changed), changed, name)
    assert world.chat().status_code == 200


def test_update(updated: tuple[World, Path], settings: Callable[[], Settings]) -> None:
    """A change without a restart: new connections use it, existing ones keep the old configuration. No state is lost."""
    world, path = updated
    world.send(path="/gateway/upstreams/mock-a/eject", headers=ADMIN).raise_for_status()
    assert {world.chat().status_code for _ in range(10)} == {200}
    eventually(lambda: _used(world) >= 10, True)
    before = _used(world)
    changed = settings()
    changed.add_model("new", "mock-b")
    for listened, want in [(changed, 200), (settings(), 404)]:
        updates.update(world, path, listened)
        eventually(lambda: world.send(chat_body(model="new"), headers={**BEARER, **ALONE}).status_code, want)
    eventually(lambda: _used(world) > before, True)
    upstreams = {each["cluster"]: each["state"] for each in _shown(world, "/gateway/upstreams")}
    assert upstreams == {"mock-a": "ejected", "mock-b": "healthy", "mock-c": "healthy"}


def _used(world: World) -> int:
    """The sum of all requests so far."""
    return sum(row["requests"] for row in _shown(world, "/gateway/usage?by=key"))


def _shown(world: World, path: str) -> list[dict[str, Any]]:
    """The gateway's list for operators."""
    return world.send(method="GET", path=path, headers={**ADMIN, **ALONE}).json()["data"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_start_and_route(path: Path, open_world: OpenWorld, tmp_path: Path) -> None:
    """Envoy and the filters accept every example, and every model of it finds its clusters, which lead to a closed port here."""
    example = Settings(render(long_form(path), {demo.LISTENER: ("127.0.0.1", 0), demo.ADMIN: ("127.0.0.1", 0)}))
    for cluster in example.tree["static_resources"]["clusters"]:
        lead_to(cluster, CLOSED_PORT)
    if "guard" in example.plugin("router")["root_id"]:
        for check in example.values("guard")["checks"]:
            check["on_failure"] = "allow"  # the classifiers have that port too
    with open_world(with_tokens(example.text(), tmp_path)) as world:
        for model in example.models:
            name = model["name"].replace("*", "x")
            paths = (CHAT, MESSAGES, "/api/chat", f"/v1beta/models/{name}:generateContent")
            statuses = {world.send(chat_body(model=name), path=path).status_code for path in paths}
            assert statuses <= {404, 503} and 503 in statuses, (name, statuses)
            eventually(lambda: _outcomes(world), {"connect_failure"})


def _outcomes(world: World) -> set[str]:
    return {outcome for _, outcome in world.counted("llm_attempts_total")}


def test_settings_as_json_text(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """A StringValue with JSON means the same as a Struct."""
    changed = settings()
    for plugin in (changed.plugin("auth"), changed.plugin("attempt")):
        string = "type.googleapis.com/google.protobuf.StringValue"
        plugin.setdefault("configuration", {"value": {}})
        plugin["configuration"] = {"@type": string, "value": json.dumps(plugin["configuration"]["value"])}
    with open_world(changed.text()) as world:
        assert world.chat().status_code == 200


def test_without_auth(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Every client may call, client keys are still removed, and failed attempts are still retried."""
    changed = settings().separate()
    changed.remove_filter("auth")
    with open_world(changed.text()) as world:
        world.fault({"fault": "status", "status": 503}, "mock-a", "mock-c")
        for headers in ({}, BEARER, {"x-api-key": "sk-stranger", "x-envoy-max-retries": "0"}):
            assert world.send(chat_body(stream=True), headers=headers).status_code == 200
        assert len(world.journals()["mock-b"]) == 3
        assert "sk-stranger" not in json.dumps(world.journals())
        eventually(lambda: world.counted("llm_requests_total"), Counter({("anonymous", "gpt-4o", "mock-b", "200"): 3}))
        assert world.send(b"{").json()["error"]["code"] == "invalid_json"
        assert world.send(chat_body(), path="/v1/nowhere").status_code == 404


def test_without_usage(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    changed = settings().separate()
    changed.remove_filter("usage")
    with open_world(changed.text()) as world:
        assert world.chat().status_code == world.chat(stream=True).status_code == 200
        assert world.series("llm_requests_total") == []


def test_with_guard(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """It has no checks yet: everything passes unchanged."""
    changed = settings().separate()
    changed.add_filter("guard", before="router")
    with open_world(changed.text()) as world:
        for stream in (False, True):
            response = world.chat("x" * 100_000, stream=stream)
            assert content(response).endswith("x" * 100_000)


def test_attempt_alone_sends_nothing(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Without `router` no credential is chosen for the request, so it is not sent."""
    changed = settings().separate()
    for name in ("auth", "router", "usage"):
        changed.remove_filter(name)
    route = changed.manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    route.pop("inline_cluster_specifier_plugin")
    route["retry_policy"].pop("refresh_cluster_on_retry")
    route["cluster"] = "mock-a"
    with open_world(changed.text()) as world:
        assert world.chat().status_code == 500
        assert world.entries() == []


def test_upstream_without_matcher_line(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Without comment 4's line, the client gets an error; the request does not go to another cluster."""
    changed = settings()
    changed.upstreams["mock-b"]["cluster"] = "forgotten"
    changed.add_model("forgotten", "mock-b")
    with open_world(changed.text()) as world:
        assert world.chat(model="forgotten").status_code >= 500
        assert world.entries() == []


def test_names(wide_world: World) -> None:
    """An alias, a prefix, and a wildcard."""
    cases = [
        ("gpt-4o", "gpt-4o", {"gpt-4o-mock-a", "gpt-4o-mock-b", "gpt-4o-mock-c"}),
        ("gpt-4o-latest", "gpt-4o", {"gpt-4o-mock-a", "gpt-4o-mock-b", "gpt-4o-mock-c"}),
        ("prefixed-", "prefixed-", {"gpt-4o-mock-b"}),
        ("prefixed-x", "prefixed-x", {"gpt-4o-mock-b"}),
        ("gpt-4o-mock-c", "gpt-4o-mock-c", {"gpt-4o-mock-c"}),
    ]
    for asked, label, targets in cases:
        before = wide_world.counted("llm_requests_total")
        assert wide_world.chat(model=asked).status_code == 200, asked
        name, entry = wide_world.entry()
        assert entry["body"]["model"] in targets
        want = Counter({("demo-user", label, name, "200"): 1})
        eventually(lambda: wide_world.counted("llm_requests_total") - before, want)
        wide_world.reset()


def test_unknown_name_goes_to_the_wildcard(wide_world: World) -> None:
    """The provider decides whether it knows the name."""
    response = wide_world.chat(model="whatever/this is: ü")
    name, entry = wide_world.entry()
    assert (response.status_code, name, entry["body"]["model"]) == (404, "mock-c", "whatever/this is: ü")


def test_models_of_a_key(wide_world: World) -> None:
    headers = {"authorization": f"Bearer {LIMITED_KEY}"}
    cases = [
        ("gpt-4o", CHAT, 200),
        ("prefixed-1", CHAT, 200),
        ("a-first", CHAT, 403),
        ("gpt-4o-latest", CHAT, 403),
        ("text-embedding-3-small", "/v1/embeddings", 403),
        ("only-a", "/v1beta/models/only-a:generateContent", 403),
    ]
    for model, path, status in cases:
        response = wide_world.send(chat_body(model=model), path=path, headers=headers)
        assert response.status_code == status, model
        if status == 403:
            error = response.json()["error"]
            if path.startswith("/v1beta/"):
                [details] = error["details"]
                assert (details["reason"], details["metadata"]) == ("MODEL_NOT_ALLOWED", {"param": "model"})
                continue
            assert (error["code"], error["param"]) == ("model_not_allowed", "model")
            assert "gpt-4o, prefixed-*" in error["message"]


def test_two_listeners_do_not_mix(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """They share a VM, but each has its own models."""
    changed = settings()
    other = settings()
    other.models[:] = [{"name": "other", "targets": [{"upstream": "mock-b", "model": "gpt-4o-mock-b"}]}]
    (listener,) = other.tree["static_resources"]["listeners"]
    listener["name"] = "other"
    changed.tree["static_resources"]["listeners"].append(listener)
    with open_world(changed.text()) as world:
        statuses = world.gateway.ask("/listeners?format=json")["listener_statuses"]
        ports = {each["name"]: each["local_address"]["socket_address"]["port_value"] for each in statuses}
        cases = [("gateway", "gpt-4o", 200), ("other", "other", 200), ("other", "gpt-4o", 404), ("gateway", "other", 404)]
        for name, model, status in cases:
            url = f"http://127.0.0.1:{ports[name]}{CHAT}"
            response = world.http.post(url, content=chat_body(model=model), headers=BEARER)
            assert response.status_code == status, (name, model)


def test_server_that_refuses_stream_options(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    with MockModels("picky") as picky:
        changed = settings()
        changed.add_cluster("picky", picky.address)
        changed.upstreams["picky"] = {"include_usage": False}
        changed.models.append({"name": "picky", "targets": [{"upstream": "picky"}]})
        with open_world(changed.text(), {"picky": picky}) as world:
            assert world.chat(model="picky", stream=True).status_code == 200
            _, entry = world.entry()
            assert entry["body"].keys() == {"model", "messages", "stream"}
            assert "authorization" not in entry["headers"]
            eventually(lambda: world.counted("llm_usage_source_total"), Counter({("estimated",): 1}))
