"""The dialects, written by a model server and read by a client: a text and one tool call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Iterator, NamedTuple

_IDS = {"id": "1", "model": "echo", "created": 1}
_OPENAI = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
_TOKENS = {"input_tokens": 1, "output_tokens": 1}
_EVALS = {"prompt_eval_count": 1, "eval_count": 1}
_METADATA = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}


class Said(NamedTuple):
    """A model's text, and the tool that it calls with these JSON arguments."""

    text: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Dialect:
    """A dialect. `{verb}` in its path is Gemini's; `events` gives a stream's events in pieces of this many characters;
    both readers return the contents as often as the answer repeats them."""

    path: str
    whole: Callable[[Said], dict[str, Any]]
    events: Callable[[Said, int], Iterator[dict[str, Any]]]
    read_whole: Callable[[Any], Said]
    read_events: Callable[[list[Any]], list[Said]]
    content_type: str = "text/event-stream"
    ends_with_done: bool = False
    calls: bool = True

    def path_of(self, model: str, stream: bool) -> str:
        """The path of a request for a model."""
        return self.path.format(model=model, verb="streamGenerateContent?alt=sse" if stream else "generateContent")

    def streams(self, path: str, request: Any) -> bool:
        """Whether the answer is a stream."""
        if "{verb}" in self.path:
            return "streamGenerateContent" in path
        return bool(request.get("stream"))

    def array(self, said: Said, size: int) -> Iterator[bytes]:
        """The same in Gemini's default format: one array."""
        for number, event in enumerate(self.events(said, size)):
            yield (b",\r\n" if number else b"[") + json.dumps(event).encode()
        yield b"]"

    def stream(self, said: Said, size: int) -> Iterator[bytes]:
        """The stream, event by event."""
        for event in self.events(said, size):
            data = json.dumps(event, separators=(",", ":")).encode()
            if self.content_type != "text/event-stream":
                yield data + b"\n"
            else:
                name = f"event: {event['type']}\n".encode() if "type" in event else b""
                yield name + b"data: " + data + b"\n\n"
        if self.ends_with_done:
            yield b"data: [DONE]\n\n"

    def read(self, content: bytes, stream: bool) -> list[Said]:
        """The contents of an answer, as often as it repeats them; it must have its end."""
        if not stream:
            return [self.read_whole(json.loads(content))]
        lines = content.split(b"\n")
        if self.content_type == "text/event-stream":
            assert content.endswith(b"\n\n")
            lines = [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]
            if self.ends_with_done:
                assert lines.pop() == b"[DONE]"
        return self.read_events([json.loads(line) for line in lines if line])


def dialect_of(path: str) -> Dialect:
    """The dialect of a path."""
    if path.startswith("/v1beta/"):
        return DIALECTS["gemini"]
    return next(each for each in DIALECTS.values() if each.path == path.partition("?")[0])


def _pieces(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _chat_whole(said: Said) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": said.name, "arguments": said.arguments}}
    message = {"role": "assistant", "content": said.text, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return {**_IDS, "object": "chat.completion", "choices": [choice], "usage": _OPENAI}


def _chat_events(said: Said, size: int) -> Iterator[dict[str, Any]]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**_IDS, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield from (chunk({"content": piece}) for piece in _pieces(said.text, size))
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": said.name, "arguments": ""}}
    yield chunk({"tool_calls": [call]})
    for piece in _pieces(said.arguments, size):
        yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield chunk({}, "tool_calls")
    yield {**_IDS, "object": "chat.completion.chunk", "choices": [], "usage": _OPENAI}


def _read_chat(body: Any) -> Said:
    message = body["choices"][0]["message"]
    function = message["tool_calls"][0]["function"]
    return Said(message["content"], function["name"], function["arguments"])


def _read_chat_events(events: list[Any]) -> list[Said]:
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    functions = [call["function"] for delta in deltas for call in delta.get("tool_calls", [])]
    text = "".join(delta.get("content") or "" for delta in deltas)
    name = "".join(function.get("name", "") for function in functions)
    return [Said(text, name, "".join(function.get("arguments", "") for function in functions))]


def _completion(text: str, finish: str | None) -> dict[str, Any]:
    return {**_IDS, "object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": finish}]}


def _completion_events(said: Said, size: int) -> Iterator[dict[str, Any]]:
    yield from (_completion(piece, None) for piece in _pieces(said.text, size))
    yield _completion("", "stop")
    yield {**_IDS, "object": "text_completion", "choices": [], "usage": _OPENAI}


def _read_completion_events(events: list[Any]) -> list[Said]:
    return [Said("".join(choice["text"] for event in events for choice in event["choices"]), "", "")]


def _response(said: Said) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "model": "echo",
        "status": "completed",
        "output": [_message(said.text, "completed"), _function_call(said.name, said.arguments, "completed")],
        "usage": {**_TOKENS, "total_tokens": 2},
    }


def _message(text: str | None, status: str) -> dict[str, Any]:
    content = [] if text is None else [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": content}


def _function_call(name: str, arguments: str, status: str) -> dict[str, Any]:
    ids = {"id": "fc_1", "call_id": "call_1"}
    return {"type": "function_call", **ids, "name": name, "arguments": arguments, "status": status}


def _response_events(said: Said, size: int) -> Iterator[dict[str, Any]]:
    first = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    second = {"output_index": 1, "item_id": "fc_1"}
    part = {"type": "output_text", "text": said.text, "annotations": []}
    text, call = "response.output_text", "response.function_call_arguments"
    yield {"type": "response.created", "response": {**_response(said), "status": "in_progress", "output": [], "usage": None}}
    yield {"type": "response.output_item.added", "output_index": 0, "item": _message(None, "in_progress")}
    yield {"type": "response.content_part.added", **first, "part": {**part, "text": ""}}
    yield from ({"type": f"{text}.delta", **first, "delta": piece} for piece in _pieces(said.text, size))
    yield {"type": f"{text}.done", **first, "text": said.text}
    yield {"type": "response.content_part.done", **first, "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": _message(said.text, "completed")}
    yield {"type": "response.output_item.added", "output_index": 1, "item": _function_call(said.name, "", "in_progress")}
    yield from ({"type": f"{call}.delta", **second, "delta": piece} for piece in _pieces(said.arguments, size))
    yield {"type": f"{call}.done", **second, "arguments": said.arguments}
    item = _function_call(said.name, said.arguments, "completed")
    yield {"type": "response.output_item.done", "output_index": 1, "item": item}
    yield {"type": "response.completed", "response": _response(said)}


def _read_response(body: Any) -> Said:
    message, call = body["output"]
    return Said(message["content"][0]["text"], call["name"], call["arguments"])


def _read_response_events(events: list[Any]) -> list[Said]:
    def joined(kind: str) -> str:
        return "".join(event["delta"] for event in events if event["type"] == f"response.{kind}.delta")

    by_type = {event["type"]: event for event in events}
    call = by_type["response.output_item.done"]["item"]
    assert by_type["response.content_part.done"]["part"]["text"] == by_type["response.output_text.done"]["text"]
    done = by_type["response.output_text.done"]["text"], by_type["response.function_call_arguments.done"]["arguments"]
    in_pieces = Said(joined("output_text"), call["name"], joined("function_call_arguments"))
    in_items = Said(done[0], call["name"], done[1])
    assert call["arguments"] == done[1]
    return [in_pieces, in_items, _read_response(by_type["response.completed"]["response"])]


def _anthropic(said: Said) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "toolu_1", "name": said.name, "input": json.loads(said.arguments)}
    content = [{"type": "text", "text": said.text}, call]
    return {**_SPEAKER, "content": content, "stop_reason": "tool_use", "usage": _TOKENS}


_SPEAKER = {"id": "msg_1", "type": "message", "role": "assistant", "model": "echo"}


def _anthropic_events(said: Said, size: int) -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": {**_SPEAKER, "content": [], "stop_reason": None, "usage": _TOKENS}}
    call = {"type": "tool_use", "id": "toolu_1", "name": said.name, "input": {}}
    texts = ({"type": "text_delta", "text": piece} for piece in _pieces(said.text, size))
    inputs = ({"type": "input_json_delta", "partial_json": piece} for piece in _pieces(said.arguments, size))
    for index, (block, deltas) in enumerate([({"type": "text", "text": ""}, texts), (call, inputs)]):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}


def _read_anthropic(body: Any) -> Said:
    text, call = body["content"]
    return Said(text["text"], call["name"], json.dumps(call["input"]))


def _read_anthropic_events(events: list[Any]) -> list[Said]:
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert events[-1]["type"] == "message_stop"
    text = "".join(delta.get("text", "") for delta in deltas)
    return [Said(text, blocks[1]["name"], "".join(delta.get("partial_json", "") for delta in deltas))]


def _candidate(parts: list[dict[str, Any]], finish: str | None = None) -> dict[str, Any]:
    candidate = {"index": 0, "content": {"role": "model", "parts": parts}}
    ended = {"finishReason": finish} if finish else {}
    return {"candidates": [{**candidate, **ended}], "usageMetadata": _METADATA, "modelVersion": "echo"}


def _gemini_call(said: Said) -> dict[str, Any]:
    return {"functionCall": {"name": said.name, "args": json.loads(said.arguments)}}


def _gemini_events(said: Said, size: int) -> Iterator[dict[str, Any]]:
    yield from (_candidate([{"text": piece}]) for piece in _pieces(said.text, size))
    yield _candidate([_gemini_call(said)])
    yield _candidate([{"text": ""}], "STOP")


def _read_gemini_events(events: list[Any]) -> list[Said]:
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"
    (call,) = [part["functionCall"] for part in parts if "functionCall" in part]
    return [Said("".join(part.get("text", "") for part in parts), call["name"], json.dumps(call["args"]))]


def _ollama_call(said: Said) -> list[dict[str, Any]]:
    return [{"function": {"name": said.name, "arguments": json.loads(said.arguments)}}]


def _ollama(message: dict[str, Any], done: bool) -> dict[str, Any]:
    ended = {"done_reason": "stop", **_EVALS} if done else {}
    return {"model": "echo", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", **message}, "done": done, **ended}


def _ollama_events(said: Said, size: int) -> Iterator[dict[str, Any]]:
    yield from (_ollama({"content": piece}, False) for piece in _pieces(said.text, size))
    yield _ollama({"content": "", "tool_calls": _ollama_call(said)}, False)
    yield _ollama({"content": ""}, True)


def _read_ollama_events(events: list[Any]) -> list[Said]:
    assert events[-1]["done"] is True
    messages = [event["message"] for event in events if "message" in event]
    (call,) = [call["function"] for message in messages for call in message.get("tool_calls", [])]
    return [Said("".join(each.get("content", "") for each in messages), call["name"], json.dumps(call["arguments"]))]


DIALECTS = {
    "chat": Dialect("/v1/chat/completions", _chat_whole, _chat_events, _read_chat, _read_chat_events, ends_with_done=True),
    "completions": Dialect(
        "/v1/completions",
        lambda said: {**_completion(said.text, "stop"), "usage": _OPENAI},
        _completion_events,
        lambda body: Said(body["choices"][0]["text"], "", ""),
        _read_completion_events,
        ends_with_done=True,
        calls=False,
    ),
    "responses": Dialect("/v1/responses", _response, _response_events, _read_response, _read_response_events),
    "messages": Dialect("/v1/messages", _anthropic, _anthropic_events, _read_anthropic, _read_anthropic_events),
    "gemini": Dialect(
        "/v1beta/models/{model}:{verb}",
        lambda said: _candidate([{"text": said.text}, _gemini_call(said)], "STOP"),
        _gemini_events,
        lambda body: _read_gemini_events([body])[0],
        _read_gemini_events,
    ),
    "ollama": Dialect(
        "/api/chat",
        lambda said: _ollama({"content": said.text, "tool_calls": _ollama_call(said)}, True),
        _ollama_events,
        lambda body: _read_ollama_events([body])[0],
        _read_ollama_events,
        content_type="application/x-ndjson",
    ),
}
