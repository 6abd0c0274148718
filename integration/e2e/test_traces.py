"""Traces: the spans of envoy/examples/tracing.yaml, as a backend gets them."""

from __future__ import annotations

import json
import os
import urllib.error
from typing import Any, Iterator, Mapping

import pytest

import demo
import python_env
from child import ROOT, Child, fetch, free_port
from conftest import OpenWorld
from gateway import MockModels, render
from otlp import Receiver, Span
from world import BEARER, SECRETS, World, chat_body, eventually

EXAMPLE = ROOT / "envoy" / "examples" / "tracing.yaml"
PHOENIX_REQUIREMENTS = ROOT / "integration" / "requirements-phoenix.txt"
BACKEND = ("127.0.0.1", 6006)
AUTHORIZATION = "Basic cHVibGljOnNlY3JldA=="
PROMPT = "the-prompt-that-nobody-may-read"


def _example(models: Mapping[str, MockModels], backend: tuple[str, int]) -> str:
    """The file with this run's addresses."""
    addresses = {demo.LISTENER: ("127.0.0.1", 0), demo.ADMIN: ("127.0.0.1", 0), BACKEND: backend}
    addresses.update({server.address: models[server.name].address for server in demo.SERVERS})
    return render(EXAMPLE.read_text(), addresses)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def _traced(models: Mapping[str, MockModels], open_world: OpenWorld, receiver: Receiver) -> Iterator[World]:
    environment = {**demo.ENVIRONMENT, "TRACES_AUTHORIZATION": AUTHORIZATION}
    with open_world(_example(models, receiver.address), env=environment) as world:
        yield world


@pytest.fixture
def traced(_traced: World) -> World:
    _traced.reset()
    return _traced


def _span(receiver: Receiver, before: int) -> Span:
    """The only span since then."""
    eventually(lambda: len(receiver.spans()) - before, 1)
    return receiver.spans()[-1]


def _tags(span: Span, *prefixes: str) -> dict[str, Any]:
    return {name: value for name, value in span.tags.items() if name.startswith(prefixes)}


@pytest.mark.parametrize("stream", [False, True])
def test_tags(traced: World, receiver: Receiver, stream: bool) -> None:
    before = len(receiver.spans())
    request = chat_body("one two three", stream=stream, max_tokens=50, temperature=0.25)
    answer = traced.send(request, headers={**BEARER, "x-conversation-id": "conversation-7"})
    assert answer.status_code == 200
    span = _span(receiver, before)
    assert span.name == "chat gpt-4o"
    cluster, _ = traced.entry()
    output = 12
    tags = _tags(span, "gen_ai", "error", "user.", "sluice.c")
    begun = tags.pop("gen_ai.response.time_to_first_chunk", None)
    assert (begun is not None) == stream and (begun is None or 0 <= float(begun) < 5)
    assert tags.pop("gen_ai.response.id") in answer.text
    assert tags == {
        "gen_ai.conversation.id": "conversation-7",
        "gen_ai.request.stream": str(stream).lower(),
        "gen_ai.request.max_tokens": "50",
        "gen_ai.request.temperature": "0.25",
        "gen_ai.response.finish_reasons": "stop",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": f"gpt-4o-{cluster}",
        "gen_ai.usage.input_tokens": "3",
        "gen_ai.usage.output_tokens": str(output),
        "user.id": "demo-user",
        "sluice.cluster": cluster,
        "sluice.cost_microusd": str(round(3 * 2.5 + output * 10)),
    }
    assert (span.service, span.headers["authorization"]) == ("sluice", AUTHORIZATION)


def test_cut_stream(traced: World, receiver: Receiver) -> None:
    """The values known at its start, which with Anthropic include the input tokens."""
    before = len(receiver.spans())
    traced.fault({"fault": "reset_body", "after_events": 2})
    body = json.dumps({"model": "gpt-4o", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "one two"}]})
    with pytest.raises(Exception):
        traced.send(body.encode(), path="/v1/messages", headers={**BEARER, "anthropic-version": "2023-06-01"})
    tags = _tags(_span(receiver, before), "gen_ai", "error")
    assert (tags["error.type"], tags["gen_ai.provider.name"]) == ("interrupted", "anthropic")
    assert tags["gen_ai.usage.input_tokens"] == "2"


def test_refusals_and_failures(traced: World, receiver: Receiver) -> None:
    before = len(receiver.spans())
    assert traced.send(chat_body(PROMPT), headers={"x-api-key": "sk-wrong"}).status_code == 401
    assert traced.send(chat_body(PROMPT), path="/nowhere?key=sk-wrong").status_code == 404
    traced.fault({"fault": "status", "status": 500})
    assert traced.chat(PROMPT).status_code == 500
    traced.fault({"fault": "refuse"})
    assert traced.chat(PROMPT).status_code == 503
    eventually(lambda: len(receiver.spans()) - before, 4)
    found = sorted((span.tags["error.type"], span.tags["user.id"]) for span in receiver.spans()[before:])
    assert {span.name for span in receiver.spans()[before:]} == {"request", "chat gpt-4o"}
    assert found == [("401", "none"), ("404", "none"), ("500", "demo-user"), ("503", "demo-user")]
    assert [secret for secret in (*SECRETS, "sk-wrong", PROMPT) if secret in str([s.tags for s in receiver.spans()])] == []


def test_spans_carry_exact_tokens(traced: World, receiver: Receiver) -> None:
    """For a hundred mixed answers, the spans' sums equal the counters."""
    before, counted = len(receiver.spans()), traced.counted("llm_tokens_total")
    for number in range(100):
        assert traced.chat("word " * (number % 7 + 1), stream=bool(number % 2)).status_code == 200
    eventually(lambda: len(receiver.spans()) - before, 100)
    spans = receiver.spans()[before:]
    new = traced.counted("llm_tokens_total") - counted
    for kind in ("input", "output"):
        told = sum(int(span.tags[f"gen_ai.usage.{kind}_tokens"]) for span in spans)
        assert told == sum(count for labels, count in new.items() if labels[-1] == kind)


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A running Arize Phoenix."""
    if not os.environ.get("SLUICE_PHOENIX"):
        pytest.skip("Arize Phoenix takes 850 MB and minutes to install: set SLUICE_PHOENIX=1 to test against it")
    try:
        python = python_env.ensure(PHOENIX_REQUIREMENTS, "phoenix")
    except python_env.InstallFailed as failure:
        pytest.skip(f"Arize Phoenix cannot be installed: {failure}")
    port, directory = free_port(), tmp_path_factory.mktemp("phoenix")
    environment = {
        "PHOENIX_WORKING_DIR": str(directory),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "HOME": str(directory),
        "PATH": os.environ["PATH"],
    }
    command = [python, "-m", "phoenix.server.main", "serve"]
    child = Child("phoenix", command, directory / "phoenix.log", env=environment)
    try:
        child.wait_for(f"http://127.0.0.1:{port}/healthz", 180)
        yield port
    finally:
        child.stop()


def test_phoenix_computes_the_tokens(models: Mapping[str, MockModels], open_world: OpenWorld, phoenix: int) -> None:
    """The tokens that the backend shows are those that the gateway counted."""
    with open_world(_example(models, ("127.0.0.1", phoenix)), env={**demo.ENVIRONMENT, "TRACES_AUTHORIZATION": "none"}) as world:
        for number in range(6):
            assert world.chat("one two three", stream=bool(number % 2)).status_code == 200
        world.settle()
        counted = world.counted("llm_tokens_total")
        want = {kind: sum(n for labels, n in counted.items() if labels[-1] == kind) for kind in ("input", "output")}
        eventually(lambda: _phoenix_tokens(phoenix), {"prompt": want["input"], "completion": want["output"]}, 30)


def _phoenix_tokens(port: int) -> dict[str, float] | None:
    """The tokens Phoenix has computed for all spans of its default project."""
    query = "{projects{edges{node{name tokenCountPrompt tokenCountCompletion}}}}"
    try:
        body = json.dumps({"query": query}).encode()
        status, answer = fetch(f"http://127.0.0.1:{port}/graphql", "POST", body, {"content-type": "application/json"})
    except (OSError, urllib.error.URLError):
        return None
    data = json.loads(answer) if status == 200 else {}
    nodes = [edge["node"] for edge in (data.get("data") or {}).get("projects", {}).get("edges", [])]
    found = next((node for node in nodes if node["name"] == "default"), None)
    return found and {"prompt": found["tokenCountPrompt"], "completion": found["tokenCountCompletion"]}
