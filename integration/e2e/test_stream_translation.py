"""40 streams of each pair of dialects. Translation gives the same bytes wherever the input is cut, and the client's SDK reads the
same as from the JSON answer. EVERY_CUT=40 cuts all of them into two at every byte, which takes minutes. Otherwise only some are
cut like this, and the others come in small pieces."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Mapping

import anthropic
import httpx
import httpx2  # Anthropic's SDK uses it
import openai
import pytest
from botocore.eventstream import EventStreamBuffer

import demo
from providers import Said, answers, draw
from translator import translate

STREAMS = 40
EVERY_CUT = int(os.environ.get("EVERY_CUT", "2"))
PAIRS = {
    "ChatToMessages": ("chat", "anthropic"),
    "ChatToGemini": ("chat", "gemini"),
    "ChatToConverse": ("chat", "converse"),
    "MessagesToChat": ("messages", "openai"),
    "ResponsesToChat": ("responses", "openai"),
    "ResponsesToMessages": ("responses", "anthropic"),
    "ResponsesToGemini": ("responses", "gemini"),
    "ResponsesToConverse": ("responses", "converse"),
}
HELLO: Any = [{"role": "user", "content": "Hello"}]


def _served(body: bytes, kind: str, library: Any = httpx) -> Any:
    """A client that gets this answer to every request."""
    answer = lambda _: library.Response(200, content=body, headers={"content-type": kind})  # noqa: E731
    return library.Client(transport=library.MockTransport(answer))


def _as_json(body: bytes, library: Any = httpx) -> Any:
    return _served(body, "application/json", library)


def _as_stream(body: bytes, library: Any = httpx) -> Any:
    return _served(body, "text/event-stream", library)


def _openai(http: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url="http://gateway/v1", api_key=demo.USER_KEY, max_retries=0, http_client=http)


def chat(whole: bytes, streamed: bytes) -> tuple[Any, Any]:
    """The result of OpenAI's SDK."""
    one: Any = _openai(_as_json(whole)).chat.completions.create(model="m", messages=HELLO)
    with _openai(_as_stream(streamed)).chat.completions.stream(model="m", messages=HELLO, stream_options={"include_usage": True}) as stream:
        try:
            two: Any = stream.get_final_completion()
        except openai.LengthFinishReasonError as cut:  # raised for an incomplete answer, which it contains
            two = cut.completion
    return _chat(one), _chat(two)


def _chat(completion: Any) -> dict[str, Any]:
    choice = completion.choices[0]
    message = choice.message
    thoughts = [{key: value for key, value in each.items() if key != "index"} for each in getattr(message, "thinking_blocks", [])]
    return {
        "text": message.content or "",
        "reasoning": getattr(message, "reasoning_content", None),
        "thoughts": [each for each in thoughts if each != {"type": "thinking", "thinking": ""}],
        "calls": [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []],
        "reason": choice.finish_reason,
        "usage": completion.usage.model_dump(),
    }


def messages(whole: bytes, streamed: bytes) -> tuple[Any, Any]:
    """The same with Anthropic's SDK."""

    def client(http: Any) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url="http://gateway", api_key=demo.USER_KEY, max_retries=0, http_client=http)

    one = client(_as_json(whole, httpx2)).messages.create(model="m", messages=HELLO, max_tokens=9)
    with client(_as_stream(streamed, httpx2)).messages.stream(model="m", messages=HELLO, max_tokens=9) as stream:
        two = stream.get_final_message()
    return _message(one), _message(two)


def _message(message: Any) -> dict[str, Any]:
    blocks = [block.model_dump(exclude_none=True, include={"type", "text", "thinking", "id", "name", "input"}) for block in message.content]
    usage = message.usage
    return {"blocks": blocks, "reason": message.stop_reason, "usage": (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens)}


def responses(whole: bytes, streamed: bytes) -> tuple[Any, Any]:
    """The same with OpenAI's Responses API."""
    one = _openai(_as_json(whole)).responses.create(model="m", input="Hello")
    with _openai(_as_stream(streamed)).responses.stream(model="m", input="Hello") as stream:
        *_, last = stream
    return _response(one), _response(last.response)


def _response(response: Any) -> dict[str, Any]:
    told = {"type", "text", "summary", "content", "encrypted_content", "call_id", "name", "arguments", "status"}
    items = [item.model_dump(exclude_none=True, include=told) for item in response.output]
    for item in items:
        if "arguments" in item:
            item["arguments"] = json.loads(item["arguments"])
        item.pop("status", None)
    return {"items": items, "status": response.status, "usage": response.usage.model_dump()}


SDKS: Mapping[str, Callable[[bytes, bytes], tuple[Any, Any]]] = {"chat": chat, "messages": messages, "responses": responses}


@pytest.mark.parametrize("pair", PAIRS)
def test_streams_equal_the_answer(pair: str) -> None:
    client, dialect = PAIRS[pair]
    drawn = [draw(f"{pair} {number}") for number in range(STREAMS)]
    given = [answers(dialect, said) for said in drawn]
    tasks = [{"pair": pair, "model": "claude-x"}] * STREAMS
    whole = translate({**task, "do": "answer", "body": body} for task, (body, _) in zip(tasks, given))
    sizes = [0 if number < EVERY_CUT else (1, 2, 3, 7)[number % 4] for number in range(STREAMS)]
    streams = [{**task, "do": "stream", "size": size, "body": stream} for task, size, (_, stream) in zip(tasks, sizes, given)]
    streamed = translate(streams)
    for said, one, other in zip(drawn, whole, streamed):
        assert other["same"], said
        from_answer, from_stream = SDKS[client](one["body"], other["body"])
        assert from_stream == from_answer, said
        _check_usage(client, from_stream["usage"], said)


def _check_usage(client: str, usage: Any, said: Said) -> None:
    """The provider's own counts: cached tokens are part of OpenAI's input, but not of Anthropic's."""
    plain, output, cached = said.usage
    told = {
        "chat": lambda: (usage["prompt_tokens"], usage["completion_tokens"], usage["prompt_tokens_details"]["cached_tokens"]),
        "responses": lambda: (usage["input_tokens"], usage["output_tokens"], usage["input_tokens_details"]["cached_tokens"]),
        "messages": lambda: (usage[0] + usage[2], usage[1], usage[2]),
    }[client]()
    assert told == (plain + cached, output, cached)


def test_amazon_parser_reads_the_streams() -> None:
    """botocore reads these tests' Converse streams as intended."""
    for number in range(STREAMS):
        said = draw(f"botocore {number}")
        _, stream = answers("converse", said)
        buffer = EventStreamBuffer()
        buffer.add_data(stream)
        events = [event.to_response_dict() for event in buffer]
        assert {event["status_code"] for event in events} == {200}
        payloads = [(event["headers"][":event-type"], json.loads(event["body"])) for event in events]
        deltas = [payload["delta"] for name, payload in payloads if name == "contentBlockDelta"]
        assert "".join(delta.get("text", "") for delta in deltas) == "".join(said.text)
        assert payloads[-1][0] == "metadata" and payloads[-1][1]["usage"]["outputTokens"] == said.usage[1]
