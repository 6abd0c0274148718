"""A model server in one of the providers' dialects: it calls a tool twice in each of two turns, and then answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Iterator, Mapping

from eventstream import converse_event
from upstream import Upstream, send_chunk, send_end, send_head

TOOL = "weather"
DONE = "Both are warm."
CITIES = ("Paris", "Rome")


def call_id(turn: int, number: int) -> str:
    """A call's id, if the dialect has ids."""
    return f"call_{turn}_{number}"


def arguments(turn: int, number: int) -> dict[str, Any]:
    """A call's arguments."""
    return {"city": CITIES[number], "day": turn, "exact": 1.0}


def thought(turn: int) -> str:
    """The model's reasoning before the calls."""
    return f"Think of day {turn}."


def signature(turn: int) -> str:
    """The provider's signature of the reasoning."""
    return f"signature-{turn}"


class Assistant(Upstream):
    """Such a server; `asked` has the requests that it got."""

    def __init__(self, dialect: str):
        super().__init__()
        self._dialect = dialect
        self.asked: list[dict[str, Any]] = []

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """The answer of the next turn."""
        self.asked.append(json.loads(body))
        turn = len(self.asked)
        in_path = ("streamGenerateContent" in headers[":path"], headers[":path"].endswith("/converse-stream"))
        stream = self.asked[-1].get("stream", False) or any(in_path)
        streamed = "application/vnd.amazon.eventstream" if self._dialect == "converse" else "text/event-stream"
        await send_head(writer, {"content-type": streamed if stream else "application/json"})
        pieces = _EVENTS[self._dialect](turn) if stream else [json.dumps(_WHOLE[self._dialect](turn))]
        for piece in pieces:
            await send_chunk(writer, piece if isinstance(piece, bytes) else piece.encode())
        await send_end(writer)
        return True


def _openai(turn: int) -> dict[str, Any]:
    calls = [
        {"id": call_id(turn, number), "type": "function", "function": {"name": TOOL, "arguments": json.dumps(arguments(turn, number))}}
        for number in (0, 1)
    ]
    calling = {"role": "assistant", "content": None, "reasoning_content": thought(turn), "tool_calls": calls}
    message = calling if turn < 3 else {"role": "assistant", "content": DONE}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if turn < 3 else "stop"}
    return {"id": f"chatcmpl-{turn}", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": _USAGE}


_USAGE = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}


def _openai_events(turn: int) -> Iterator[str]:
    def chunk(delta: dict[str, Any], reason: str | None = None, **fields: Any) -> str:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        return _data({"id": f"chatcmpl-{turn}", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **fields})

    yield chunk({"role": "assistant", "content": ""})
    if turn == 3:
        yield chunk({"content": DONE[:5]})
        yield chunk({"content": DONE[5:]})
    else:
        yield chunk({"reasoning_content": thought(turn)[:5]})
        yield chunk({"reasoning_content": thought(turn)[5:]})
        for number in (0, 1):
            head = {"index": number, "id": call_id(turn, number), "type": "function", "function": {"name": TOOL, "arguments": ""}}
            yield chunk({"tool_calls": [head]})
        text = [json.dumps(arguments(turn, number)) for number in (0, 1)]
        for start in range(0, max(map(len, text)), 9):  # alternating
            for number in (0, 1):
                yield chunk({"tool_calls": [{"index": number, "function": {"arguments": text[number][start : start + 9]}}]})
    yield chunk({}, "stop" if turn == 3 else "tool_calls")
    yield chunk({}, choices=[], usage=_USAGE)
    yield "data: [DONE]\n\n"


def _blocks(turn: int) -> list[dict[str, Any]]:
    if turn == 3:
        return [{"type": "text", "text": DONE}]
    calls = [{"type": "tool_use", "id": call_id(turn, number), "name": TOOL, "input": arguments(turn, number)} for number in (0, 1)]
    return [{"type": "thinking", "thinking": thought(turn), "signature": signature(turn)}, *calls]


def _anthropic(turn: int) -> dict[str, Any]:
    reason = "end_turn" if turn == 3 else "tool_use"
    return {
        "id": f"msg_{turn}", "type": "message", "role": "assistant", "model": "m", "content": _blocks(turn), "stop_reason": reason,
        "stop_sequence": None, "usage": {"input_tokens": 20, "output_tokens": 7},
    }  # fmt: skip


def _anthropic_events(turn: int) -> Iterator[str]:
    def event(kind: str, **fields: Any) -> str:
        return f"event: {kind}\n" + _data({"type": kind, **fields})

    whole = _anthropic(turn)
    yield event("message_start", message={**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": 20, "output_tokens": 1}})
    for index, block in enumerate(whole["content"]):
        empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}[block["type"]]
        yield event("content_block_start", index=index, content_block={**block, **empty})
        if block["type"] == "tool_use":
            text = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": text[at : at + 9]} for at in range(0, len(text), 9)]
        elif block["type"] == "thinking":
            text = block["thinking"]
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in (text[:5], text[5:])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        else:
            deltas = [{"type": "text_delta", "text": block["text"]}]
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    yield event("message_delta", delta={"stop_reason": whole["stop_reason"], "stop_sequence": None}, usage={"output_tokens": 7})
    yield event("message_stop")


def _gemini(turn: int) -> dict[str, Any]:
    if turn == 3:
        parts: list[dict[str, Any]] = [{"text": DONE}]
    else:
        calls: list[dict[str, Any]] = [{"functionCall": {"name": TOOL, "args": arguments(turn, number)}} for number in (0, 1)]
        calls[0]["thoughtSignature"] = signature(turn)
        parts = [{"text": thought(turn), "thought": True}, *calls]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 20, "candidatesTokenCount": 7, "totalTokenCount": 27}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": f"r{turn}"}


def _gemini_events(turn: int) -> Iterator[str]:
    whole = _gemini(turn)
    parts = whole["candidates"][0]["content"]["parts"]
    for number, part in enumerate(parts):
        last = {"finishReason": "STOP"} if number == len(parts) - 1 else {}
        yield _data({**whole, "candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0, **last}]})


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"


_CONVERSE_USAGE = {"inputTokens": 20, "outputTokens": 7, "totalTokens": 27}


def _converse(turn: int) -> dict[str, Any]:
    if turn == 3:
        content: list[dict[str, Any]] = [{"text": DONE}]
    else:
        calls = [{"toolUse": {"toolUseId": call_id(turn, number), "name": TOOL, "input": arguments(turn, number)}} for number in (0, 1)]
        content = [{"reasoningContent": {"reasoningText": {"text": thought(turn), "signature": signature(turn)}}}, *calls]
    reason = "end_turn" if turn == 3 else "tool_use"
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}, "stopReason": reason, "usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 1}}


def _converse_events(turn: int) -> Iterator[bytes]:
    whole = _converse(turn)
    yield converse_event("messageStart", {"role": "assistant"})
    for index, block in enumerate(whole["output"]["message"]["content"]):
        at = {"contentBlockIndex": index}
        if "toolUse" in block:
            call = block["toolUse"]
            start = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}
            yield converse_event("contentBlockStart", {**at, "start": start})
            text = json.dumps(call["input"])
            deltas: list[dict[str, Any]] = [{"toolUse": {"input": text[start : start + 9]}} for start in range(0, len(text), 9)]
        elif "reasoningContent" in block:
            told = block["reasoningContent"]["reasoningText"]
            pieces = [{"text": told["text"][:5]}, {"text": told["text"][5:]}, {"signature": told["signature"]}]
            deltas = [{"reasoningContent": piece} for piece in pieces]
        else:
            deltas = [{"text": block["text"][:5]}, {"text": block["text"][5:]}]
        for delta in deltas:
            yield converse_event("contentBlockDelta", {**at, "delta": delta, "p": "abcdef"})
        yield converse_event("contentBlockStop", at)
    yield converse_event("messageStop", {"stopReason": whole["stopReason"]})
    yield converse_event("metadata", {"usage": whole["usage"], "metrics": {"latencyMs": 1}})


_WHOLE = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini, "converse": _converse}
_EVENTS = {"openai": _openai_events, "anthropic": _anthropic_events, "gemini": _gemini_events, "converse": _converse_events}
