"""OpenAI's embeddings from a server with Google's Gemini API."""

from __future__ import annotations

import json
import struct
from base64 import b64decode
from typing import Any, Callable, Iterator

import openai
import pytest

import demo
from answers import openai_error
from conftest import OpenWorld
from gateway import MockModels
from settings import FIRST, SECOND, Settings
from world import World, eventually

PATH = "/v1/embeddings"


@pytest.fixture(scope="module")
def _embeddings(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    with MockModels("google", api_key="mock-c-secret") as google, MockModels("other") as other:
        changed = settings()
        for server in (google, other):
            changed.add_cluster(server.name, server.address)
        changed.upstreams["google"] = {"dialects": ["gemini"], "host": "google.example", "credential": {"env": "MOCK_C_KEY"}}
        changed.upstreams["other"] = {"dialects": ["openai"]}
        changed.upstreams["strict"] = {**changed.upstreams.pop("mock-c"), "cluster": "mock-c", "dialects": ["gemini"], "translate": False}
        for model in changed.models:
            for target in model["targets"]:
                target["upstream"] = {"mock-c": "strict"}.get(target["upstream"], target["upstream"])
        changed.models.append({"name": "embed", "targets": [{"upstream": "google", "model": "gemini-embedding-001"}]})
        changed.models.append({"name": "both", "strategy": "priority", "targets": [
            {"upstream": "other", "model": "ada", "tier": 1}, {"upstream": "google", "model": "gemini-embedding-001", "tier": 2}]})
        changed.models.append({"name": "never", "targets": [{"upstream": "strict"}]})
        with open_world(changed.text(), {"google": google, "other": other}) as world:
            yield world


@pytest.fixture
def embeddings(_embeddings: World) -> World:
    _embeddings.reset()
    return _embeddings


@pytest.fixture
def client(embeddings: World) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{embeddings.url}/v1", api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:
        yield client


def test_openai_sdk(embeddings: World, client: openai.OpenAI) -> None:
    """Its vectors are Base64, if the caller does not say otherwise."""
    answer = client.embeddings.create(model="embed", input=["Hello", "Wörld \"x\""], dimensions=8)
    floats = client.embeddings.create(model="embed", input=["Hello", "Wörld \"x\""], dimensions=8, encoding_format="float")
    assert [item.embedding for item in answer.data] == [item.embedding for item in floats.data]
    assert [len(item.embedding) for item in answer.data] == [8, 8] and answer.data[0].embedding != answer.data[1].embedding
    assert [item.index for item in answer.data] == [0, 1] and answer.model == "gemini-embedding-001"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    first, second = embeddings.models["google"].requests()
    assert first["path"] == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert (first["headers"]["x-goog-api-key"], first["headers"]["host"]) == ("mock-c-secret", "google.example")
    assert first["body"] == second["body"] == {"requests": [
        {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}, "outputDimensionality": 8} for text in ("Hello", "Wörld \"x\"")]}


def test_one_text(embeddings: World) -> None:
    answer = embeddings.send(json.dumps({"model": "embed", "input": "Hello", "encoding_format": "base64", "user": "u"}).encode(), path=PATH)
    (item,) = answer.json()["data"]
    assert len(struct.unpack("<16f", b64decode(item["embedding"]))) == 16
    assert answer.headers["x-sluice-dropped"] == "user"
    eventually(lambda: [line["sluice"]["source"] for line in embeddings.logged() if line.get("sluice", {}).get("model") == "embed"][-1:], ["estimated"])


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "embed", "input": [1, 2]}, 400, "input"),
        ({"model": "embed", "input": [[1], [2]]}, 400, "input"),
        ({"model": "embed", "input": "a", "encoding_format": "hex"}, 400, "encoding_format"),
        ({"model": "never", "input": "a"}, 404, "model"),
    ],
)
def test_refusals(embeddings: World, fields: dict[str, Any], status: int, param: str) -> None:
    answer = embeddings.send(json.dumps(fields).encode(), path=PATH)
    assert (answer.status_code, openai_error(answer)["param"]) == (status, param)
    assert embeddings.entries() == []


def test_a_failure_elsewhere(embeddings: World, client: openai.OpenAI) -> None:
    embeddings.fault({"fault": "status", "status": 503}, "other")
    assert len(client.embeddings.create(model="both", input="Hello").data[0].embedding) == 16
    assert [(name, entry["path"]) for name, entry in embeddings.entries()] == [
        ("google", "/v1beta/models/gemini-embedding-001:batchEmbedContents"), ("other", PATH)]
    embeddings.reset()
    embeddings.fault({"fault": "status", "status": 500}, "google")
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model="embed", input="Hello")
