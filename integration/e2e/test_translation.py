"""Clients of one dialect at servers with another, with the providers' own SDKs."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Iterator

import anthropic
import openai
import pytest

import demo
from conftest import OpenWorld
from gateway import MockModels
from resilience import NEVER_EJECTED, UNLIMITED_RETRIES
from settings import Settings
from world import BEARER, MESSAGES, World, eventually

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TEXTS = {f"mock-{letter}": f"Hello from mock-{letter}. You said: Hello" for letter in "abcd"}
FROM_A, FROM_B, FROM_C, FROM_D = TEXTS.values()
# Headers and values that only the intended server may see.
FOREIGN = {
    "mock-a": {"x-api-key", "anthropic-version", "anthropic-beta", "x-goog-api-key"},
    "mock-b": {"authorization", "openai-organization", "x-goog-api-key"},
    "mock-c": {"authorization", "openai-organization", "x-api-key", "anthropic-version"},
    # Ollama needs no key here
    "mock-d": {"authorization", "openai-organization", "x-api-key", "anthropic-version", "x-goog-api-key"},
}
FAULTS: dict[str, dict[str, Any]] = {
    "500": {"fault": "status", "status": 500},
    "429": {"fault": "status", "status": 429, "headers": {"retry-after": "1"}},
    "refused": {"fault": "refuse"},
    "reset": {"fault": "reset"},
    "error event": {"fault": "error_event"},
    "empty": {"fault": "empty_stream"},
    "garbage": {"fault": "garbage"},
    "cut": {"fault": "truncate_body"},
}
# Other faults are not noticed without translation: JSON is not read then, and a stream has begun.
RETRIED = [(name, False) for name in ("500", "429", "refused", "reset", "cut")] + [(name, True) for name in FAULTS if name != "cut"]


@pytest.fixture(scope="module")
def bedrock() -> Iterator[MockModels]:
    """Another model server."""
    with MockModels("mock-d", models=["gpt-4o-mock-d"]) as server:
        yield server


@pytest.fixture(scope="module")
def _translating(settings: Callable[[], Settings], open_world: OpenWorld, bedrock: MockModels) -> Iterator[World]:
    changed = settings()
    changed.upstreams["mock-a"].update(dialects=["openai"], responses_api=False)
    changed.upstreams["mock-b"]["dialects"] = ["anthropic"]
    changed.upstreams["mock-c"]["dialects"] = ["gemini"]
    changed.add_cluster("mock-d", bedrock.address)
    changed.upstreams["mock-d"] = {"dialects": ["converse"]}
    for upstream in changed.upstreams.values():
        upstream["strict_end"] = True
    for dialect in ("anthropic", "gemini", "converse"):
        changed.upstreams[f"strict-{dialect}"] = {"dialects": [dialect], "translate": False}
        changed.models.append({"name": f"{dialect}-only", "targets": [{"upstream": f"strict-{dialect}"}]})
    changed.upstreams["strict-openai"] = {"dialects": ["openai"], "translate": False, "responses_api": False}
    changed.models.append({"name": "openai-only", "targets": [{"upstream": "strict-openai"}]})
    target = {name: {"upstream": name, "model": f"gpt-4o-{name}"} for name in TEXTS}
    tiers = [{**target["mock-a"], "tier": 0}, {**target["mock-b"], "tier": 1}]
    changed.models.extend(
        [
            {"name": "gpt", "targets": [target["mock-a"]]},
            {"name": "claude", "targets": [target["mock-b"]]},
            {"name": "short", "max_output_tokens": 3, "targets": [target["mock-b"]]},
            {"name": "gemini", "targets": [target["mock-c"]]},
            {"name": "nova", "targets": [target["mock-d"]]},
            {"name": "either", "targets": [target["mock-a"], target["mock-b"]]},
            {"name": "gpt-first", "strategy": "priority", "targets": tiers},
        ]
    )
    for last in TEXTS:
        order = [*(TEXTS.keys() - {last}), last]
        targets = [{**target[name], "tier": tier} for tier, name in enumerate(order)]
        changed.models.append({"name": f"{last}-last", "strategy": "priority", "targets": targets})
    changed.values("router").update(retry=UNLIMITED_RETRIES, ejection=NEVER_EJECTED)
    with open_world(changed.text(), {"mock-d": bedrock}) as world:
        yield world


@pytest.fixture
def translating(_translating: World) -> World:
    _translating.reset()
    return _translating


@pytest.fixture
def client(translating: World) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{translating.url}/v1", api_key=demo.USER_KEY, organization="org", max_retries=0, timeout=10
    ) as client:
        yield client


@pytest.fixture
def claude(translating: World) -> Iterator[anthropic.Anthropic]:
    headers = {"anthropic-beta": "some-beta"}
    with anthropic.Anthropic(
        base_url=translating.url, api_key=demo.USER_KEY, default_headers=headers, max_retries=0, timeout=10
    ) as client:
        yield client


def test_chat_on_anthropic(client: openai.OpenAI, translating: World) -> None:
    before = translating.counted("llm_tokens_total")
    raw = client.chat.completions.with_raw_response.create(model="claude", messages=HELLO, seed=7)
    answer = raw.parse()
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (FROM_B, "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1, 10)
    assert raw.headers["x-sluice-dropped"] == "seed"
    assert raw.headers["content-length"] == str(len(raw.content))
    server, entry = translating.entry()
    assert (server, entry["path"]) == ("mock-b", MESSAGES)
    assert entry["headers"]["x-api-key"] == "mock-b-secret"
    assert not FOREIGN[server] & entry["headers"].keys()
    want = Counter({("demo-user", "claude", "mock-b", "input"): 1, ("demo-user", "claude", "mock-b", "output"): 10})
    eventually(lambda: translating.counted("llm_tokens_total") - before, want)


@pytest.mark.parametrize("asked", [False, True])
def test_chat_stream_on_anthropic(client: openai.OpenAI, translating: World, asked: bool) -> None:
    before = translating.counted("llm_tokens_total")
    options = {"stream_options": {"include_usage": True}} if asked else {}
    chunks = list(client.chat.completions.create(model="claude", messages=HELLO, stream=True, **options))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == FROM_B
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [11] * asked
    want = Counter({("demo-user", "claude", "mock-b", "input"): 1, ("demo-user", "claude", "mock-b", "output"): 10})
    eventually(lambda: translating.counted("llm_tokens_total") - before, want)


def test_chat_on_gemini(client: openai.OpenAI, translating: World) -> None:
    before = translating.counted("llm_tokens_total")
    answer = client.chat.completions.create(model="gemini", messages=HELLO)
    assert (answer.choices[0].message.content, answer.usage.total_tokens) == (FROM_C, 11)
    chunks = list(client.chat.completions.create(model="gemini", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == FROM_C
    paths = [entry["path"] for entry in translating.journals()["mock-c"]]
    path = "/v1beta/models/gpt-4o-mock-c"
    assert paths == [f"{path}:generateContent", f"{path}:streamGenerateContent?alt=sse"]
    want = Counter({("demo-user", "gemini", "mock-c", "input"): 2, ("demo-user", "gemini", "mock-c", "output"): 20})
    eventually(lambda: translating.counted("llm_tokens_total") - before, want)


def test_chat_on_converse(client: openai.OpenAI, translating: World) -> None:
    before = translating.counted("llm_tokens_total")
    raw = client.chat.completions.with_raw_response.create(model="nova", messages=HELLO, seed=7)
    answer = raw.parse()
    assert (answer.choices[0].message.content, answer.usage.total_tokens, answer.model) == (FROM_D, 11, "gpt-4o-mock-d")
    assert raw.headers["x-sluice-dropped"] == "seed"
    chunks = list(client.chat.completions.create(model="nova", messages=HELLO, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == FROM_D
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [11]
    paths = [entry["path"] for entry in translating.journals()["mock-d"]]
    assert paths == ["/model/gpt-4o-mock-d/converse", "/model/gpt-4o-mock-d/converse-stream"]
    want = Counter({("demo-user", "nova", "mock-d", "input"): 2, ("demo-user", "nova", "mock-d", "output"): 20})
    eventually(lambda: translating.counted("llm_tokens_total") - before, want)


@pytest.mark.parametrize("last", TEXTS)
@pytest.mark.parametrize(("name", "stream"), RETRIED)
def test_faults_across_four_dialects(client: openai.OpenAI, translating: World, name: str, stream: bool, last: str) -> None:
    """Three of a model's targets fail, each with another dialect. The journals show that no server sees another server's headers."""
    translating.fault(FAULTS[name], *(TEXTS.keys() - {last}))
    chat: Any = client.chat.completions.create(model=f"{last}-last", messages=HELLO, stream=stream)
    texts = [chunk.choices[0].delta.content or "" for chunk in chat if chunk.choices] if stream else [chat.choices[0].message.content]
    assert "".join(texts) == TEXTS[last]
    answer: Any = client.responses.create(model=f"{last}-last", input="Hello", stream=stream)
    if stream:
        *_, end = answer
        answer = end.response
    assert (answer.status, answer.output_text) == ("completed", TEXTS[last])
    entries = translating.entries()
    assert {server for server, _ in entries} == ({last} if name == "refused" else TEXTS.keys())
    for server, entry in entries:
        assert not FOREIGN[server] & entry["headers"].keys(), server


def test_message_on_openai(claude: anthropic.Anthropic, translating: World) -> None:
    answer = claude.messages.create(model="gpt", messages=HELLO, max_tokens=64, system="Be kind.")
    assert (answer.content[0].text, answer.stop_reason) == (FROM_A, "end_turn")
    server, entry = translating.entry()
    assert (server, entry["path"]) == ("mock-a", demo.CHAT_PATH)
    assert entry["headers"]["authorization"] == "Bearer mock-a-secret"
    assert not FOREIGN[server] & entry["headers"].keys()


def test_message_stream_on_openai(claude: anthropic.Anthropic, translating: World) -> None:
    before = translating.counted("llm_tokens_total")
    with claude.beta.messages.stream(model="gpt", messages=HELLO, max_tokens=64) as stream:
        assert "".join(stream.text_stream) == FROM_A
        final = stream.get_final_message()
    assert (final.usage.input_tokens, final.usage.output_tokens, final.stop_reason) == (1, 10, "end_turn")
    want = Counter({("demo-user", "gpt", "mock-a", "input"): 1, ("demo-user", "gpt", "mock-a", "output"): 10})
    eventually(lambda: translating.counted("llm_tokens_total") - before, want)


@pytest.mark.parametrize(("model", "server"), [("gpt", "mock-a"), ("claude", "mock-b"), ("gemini", "mock-c"), ("nova", "mock-d")])
def test_responses(client: openai.OpenAI, translating: World, model: str, server: str) -> None:
    text = TEXTS[server]
    before = translating.counted("llm_tokens_total")
    raw = client.responses.with_raw_response.create(model=model, input="Hello", truncation="auto")
    answer = raw.parse()
    assert (answer.output_text, answer.status, answer.usage.total_tokens) == (text, "completed", 11)
    assert raw.headers["x-sluice-dropped"] == "truncation"
    with client.responses.stream(model=model, input="Hello") as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(pieces) == final.output_text == text and len(pieces) > 1
    assert final.usage == answer.usage
    paths = {"mock-a": {demo.CHAT_PATH}, "mock-b": {MESSAGES}}
    for name, entry in translating.entries():
        assert name == server and not FOREIGN[server] & entry["headers"].keys()
        assert entry["path"] in paths.get(server, {entry["path"]})
    want = Counter({("demo-user", model, server, "input"): 2, ("demo-user", model, server, "output"): 20})
    eventually(lambda: translating.counted("llm_tokens_total") - before, want)


def test_responses_without_state(client: openai.OpenAI, translating: World) -> None:
    for fields in ({"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"background": True}):
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model="claude", input="Hello", **fields)
        assert caught.value.param == next(iter(fields))
    assert translating.entries() == []


@pytest.mark.parametrize("fault", ["truncate_stream", "error_event"])
def test_broken_responses(client: openai.OpenAI, translating: World, fault: str) -> None:
    for model, server in [("gpt", "mock-a"), ("claude", "mock-b"), ("nova", "mock-d")]:
        translating.fault({"fault": fault, "after_events": 5}, server)
        *_, last = client.responses.create(model=model, input="Hello", stream=True)
        assert (last.type, last.response.status) == ("response.failed", "failed")
        assert last.response.error.message


@pytest.mark.parametrize("size", [10, 70_000, 600_000])
def test_bodies_of_any_size(client: openai.OpenAI, translating: World, size: int) -> None:
    answer = client.chat.completions.create(model="claude", messages=[{"role": "user", "content": "x" * size}], max_tokens=5)
    assert answer.choices[0].finish_reason == "length"


def test_same_dialect_comes_first(client: openai.OpenAI, claude: anthropic.Anthropic, translating: World) -> None:
    for _ in range(6):
        assert client.chat.completions.create(model="either", messages=HELLO).choices[0].message.content == FROM_A
        assert claude.messages.create(model="either", messages=HELLO, max_tokens=64).content[0].text == FROM_B
        # but not before a lower tier
        assert claude.messages.create(model="gpt-first", messages=HELLO, max_tokens=64).content[0].text == FROM_A


def test_translate_false(client: openai.OpenAI, claude: anthropic.Anthropic, translating: World) -> None:
    for dialect in ("anthropic", "gemini", "converse"):
        with pytest.raises(openai.NotFoundError, match=f"only in: {dialect}"):
            client.chat.completions.create(model=f"{dialect}-only", messages=HELLO)
        with pytest.raises(openai.NotFoundError, match=f"only in: {dialect}"):
            client.responses.create(model=f"{dialect}-only", input="Hello")
    with pytest.raises(openai.NotFoundError, match="not served by the Responses API"):
        client.responses.create(model="openai-only", input="Hello")
    with pytest.raises(anthropic.NotFoundError, match="only in: openai"):
        claude.messages.create(model="openai-only", messages=HELLO, max_tokens=64)
    assert translating.entries() == []


@pytest.mark.parametrize(("name", "stream"), RETRIED)
def test_retries_cross_dialects(
    client: openai.OpenAI, claude: anthropic.Anthropic, translating: World, name: str, stream: bool
) -> None:
    translating.fault(FAULTS[name], "mock-a")
    chat: Any = client.chat.completions.create(model="either", messages=HELLO, stream=stream)
    texts = [chunk.choices[0].delta.content or "" for chunk in chat if chunk.choices] if stream else [chat.choices[0].message.content]
    assert "".join(texts) == FROM_B
    translating.reset()
    translating.fault(FAULTS[name], "mock-b")
    if stream:
        with claude.messages.stream(model="either", messages=HELLO, max_tokens=64) as events:
            assert "".join(events.text_stream) == FROM_A
    else:
        assert claude.messages.create(model="either", messages=HELLO, max_tokens=64).content[0].text == FROM_A
    for server, entry in translating.entries():
        assert not FOREIGN[server] & entry["headers"].keys(), server


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ({"fault": "status", "status": 500}, 500, openai.InternalServerError),
        ({"fault": "status", "status": 529}, 503, openai.InternalServerError),
        ({"fault": "status", "status": 429, "headers": {"retry-after": "7"}}, 429, openai.RateLimitError),
        ({"fault": "status", "status": 400}, 400, openai.BadRequestError),
        ({"fault": "garbage"}, 502, openai.InternalServerError),
    ],
)
def test_errors_in_the_clients_dialect(
    client: openai.OpenAI, translating: World, fault: dict[str, Any], status: int, kind: type
) -> None:
    translating.fault(fault, "mock-b")
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model="claude", messages=HELLO)
    assert caught.value.status_code == status
    assert caught.value.body["message"] and caught.value.body["type"]


def test_errors_for_anthropic_clients(claude: anthropic.Anthropic, translating: World) -> None:
    translating.fault({"fault": "status", "status": 429}, "mock-a")
    with pytest.raises(anthropic.RateLimitError) as caught:
        claude.messages.create(model="gpt", messages=HELLO, max_tokens=64)
    assert caught.value.body["error"]["type"] == "rate_limit_error"


def test_output_limit_that_only_the_provider_requires(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="short", messages=HELLO)
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 3)


def test_unknown_finish_reason(client: openai.OpenAI, translating: World) -> None:
    before = translating.counted("llm_unknown_finish_reasons_total")
    body = {"content": [{"type": "text", "text": "a"}], "stop_reason": "moon_phase", "usage": {"output_tokens": 1}}
    headers = {"content-type": "application/json"}
    translating.fault({"fault": "status", "status": 200, "headers": headers, "body": json.dumps(body)}, "mock-b")
    answer = client.chat.completions.create(model="claude", messages=HELLO)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("a", "stop")
    eventually(lambda: translating.counted("llm_unknown_finish_reasons_total") - before, Counter({("mock-b",): 1}))


@pytest.mark.parametrize("model", ["claude", "gemini", "nova"])
def test_untranslatable_requests_are_refused(client: openai.OpenAI, translating: World, model: str) -> None:
    wanted: list[dict[str, Any]] = [{"n": 2}, {"audio": {"voice": "alloy", "format": "wav"}}, {"logprobs": True}]
    for fields in wanted:
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model=model, messages=HELLO, **fields)
        assert caught.value.param == next(iter(fields))
    assert translating.entries() == []


STREAMS_THAT_BREAK = [(demo.CHAT_PATH, "claude", "mock-b"), (MESSAGES, "gpt", "mock-a"), (demo.CHAT_PATH, "nova", "mock-d")]


@pytest.mark.parametrize(("path", "model", "server"), STREAMS_THAT_BREAK)
def test_broken_streams(translating: World, path: str, model: str, server: str) -> None:
    """They end in the client's dialect, and count as interrupted."""
    for fault in ("truncate_stream", "error_event"):
        translating.fault({"fault": fault, "after_events": 5}, server)
        body = {"model": model, "messages": HELLO, "max_tokens": 64, "stream": True}
        text = translating.send(json.dumps(body).encode(), path=path, headers=BEARER).text
        *_, last = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        assert last["error"]["message"], last
        assert (last.get("type") == "error") == (path == MESSAGES)
