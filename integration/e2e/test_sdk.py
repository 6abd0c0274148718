"""The providers' own SDKs, pointed at the gateway: answers, streams, and the error classes they raise."""

from __future__ import annotations

from typing import Any, Iterator

import anthropic
import openai
import pytest

import demo
from world import World

SAYING_HELLO: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
ANSWERS = {f"Hello from {server.name}. You said: Hello" for server in demo.SERVERS}
KEY_HEADERS = {
    "Authorization": f"Bearer {demo.USER_KEY}",
    "authorization": f"bearer {demo.USER_KEY}",
    "x-api-key": demo.USER_KEY,
    "api-key": demo.USER_KEY,
    "x-goog-api-key": demo.USER_KEY,
}


@pytest.fixture
def client(world: World) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{world.url}/v1", api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def claude(world: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=world.url, api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:
        yield client


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**SAYING_HELLO)
    assert answer.choices[0].message.content in ANSWERS
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1, 10)


def test_chat_stream(client: openai.OpenAI) -> None:
    """The gateway requests usage from the server; a client that did not must not see it."""
    chunks = list(client.chat.completions.create(**SAYING_HELLO, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) in ANSWERS


def test_chat_stream_that_declines_usage(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(**SAYING_HELLO, stream=True, stream_options={"include_usage": False}))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_chat_stream_with_usage(client: openai.OpenAI) -> None:
    *chunks, last = client.chat.completions.create(**SAYING_HELLO, stream=True, stream_options={"include_usage": True})
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) in ANSWERS
    assert (last.choices, last.usage.total_tokens) == ([], 11)


def test_embeddings(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two words"])
    assert [len(each.embedding) > 0 for each in answer.data] == [True, True]
    assert answer.usage.prompt_tokens == 3


def test_responses(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="gpt-4o", input="Hello")
    assert answer.output_text in ANSWERS
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1, 10)


def test_responses_stream(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="gpt-4o", input="Hello", stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") in ANSWERS
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.total_tokens == 11


def test_completions(client: openai.OpenAI) -> None:
    assert client.completions.create(model="gpt-4o", prompt="Hello").choices[0].text in ANSWERS
    chunks = client.completions.create(model="gpt-4o", prompt="Hello", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) in ANSWERS


@pytest.mark.parametrize("header", KEY_HEADERS)
def test_key_in_any_header(client: openai.OpenAI, world: World, header: str) -> None:
    headers = {"Authorization": openai.Omit(), header: KEY_HEADERS[header]}
    answer = client.chat.completions.create(**SAYING_HELLO, extra_headers=headers)
    assert answer.choices[0].message.content in ANSWERS
    name, entry = world.entry()
    assert entry["headers"]["authorization"] == f"Bearer {name}-secret"
    assert not {"x-api-key", "api-key", "x-goog-api-key"} & entry["headers"].keys()


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer sk-wrong"}, {"Authorization": openai.Omit()}])
def test_authentication_error(client: openai.OpenAI, world: World, headers: dict[str, Any]) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(**SAYING_HELLO, extra_headers=headers)
    assert caught.value.code == "invalid_api_key"
    assert world.entries() == []


def test_not_found_error_names_the_models(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**{**SAYING_HELLO, "model": "gpt-5"})
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert all(name in caught.value.message for name in ("`gpt-5`", "gpt-4o", "text-embedding-3-small"))


def test_bad_request_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{**SAYING_HELLO, "model": 7})
    assert (caught.value.code, caught.value.param) == ("invalid_type", "model")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"fault": "status", "status": 429, "headers": {"retry-after": "7"}}, openai.RateLimitError),
        ({"fault": "status", "status": 500}, openai.InternalServerError),
        ({"fault": "status", "status": 503}, openai.InternalServerError),
        ({"fault": "refuse"}, openai.InternalServerError),
    ],
)
def test_errors_of_all_servers(client: openai.OpenAI, world: World, fault: dict, error: type) -> None:
    world.fault(fault)
    with pytest.raises(error) as caught:
        client.chat.completions.create(**SAYING_HELLO)
    assert caught.value.status_code == fault.get("status", 503)
    assert caught.value.body["message"]
    assert caught.value.response.headers.get("retry-after") == fault.get("headers", {}).get("retry-after")


def test_anthropic_message(claude: anthropic.Anthropic, world: World) -> None:
    answer = claude.messages.create(**SAYING_HELLO, max_tokens=64)
    assert answer.content[0].text in ANSWERS
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1, 10)
    name, entry = world.entry()
    assert entry["headers"]["x-api-key"] == f"{name}-secret"


def test_anthropic_stream(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(**SAYING_HELLO, max_tokens=64) as stream:
        assert "".join(stream.text_stream) in ANSWERS
        assert stream.get_final_message().usage.output_tokens == 10


@pytest.mark.parametrize(
    ("options", "changes", "error", "kind"),
    [
        ({"api_key": "sk-wrong"}, {}, anthropic.AuthenticationError, "authentication_error"),
        ({}, {"model": "claude-9"}, anthropic.NotFoundError, "not_found_error"),
        ({}, {"model": 7}, anthropic.BadRequestError, "invalid_request_error"),
    ],
)
def test_anthropic_errors(claude: anthropic.Anthropic, options: dict, changes: dict, error: type, kind: str) -> None:
    with pytest.raises(error) as caught:
        claude.with_options(**options).messages.create(**{**SAYING_HELLO, "max_tokens": 64, **changes})
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == kind
