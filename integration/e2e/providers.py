"""Random answers of the providers, the same ones in every run: each as JSON and as a stream."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any, Iterator

from eventstream import converse_event

PIECES = ["Hello", " wörld", "日本語", '"quoted"', "\n\n", "\\ back", "\U0001f600", " ", "a" * 40, "data: x", "[DONE]"]
ARGUMENTS: list[dict[str, Any]] = [{}, {"city": "Zürich"}, {"deep": {"a": [1, 2.5, None]}, "text": 'say "hi"\n'}]


@dataclass(frozen=True)
class Said:
    """The content of an answer, in any dialect."""

    thought: list[str]
    text: list[str]
    calls: list[tuple[str, str, dict[str, Any]]]
    usage: tuple[int, int, int] = field(default=(20, 7, 5))
    """Uncached input, output and cached input tokens."""

    @property
    def cut(self) -> bool:
        """Whether the answer has reached its limit."""
        return not self.calls and self.usage[1] == 16


def draw(seed: str) -> Said:
    """One answer."""
    chance = random.Random(seed)
    some = lambda most: chance.choices(PIECES, k=chance.randint(1, most))  # noqa: E731
    names = ["weather", "search"]
    calls = [(f"call_{n}", names[n], chance.choice(ARGUMENTS)) for n in range(chance.choice([0, 0, 1, 2]))]
    text = some(3) if not calls or chance.random() < 0.5 else []
    thought = some(2) if chance.random() < 0.4 else []
    return Said(thought, text, calls, (chance.randint(1, 99), chance.choice([7, 16]), chance.choice([0, 5])))


def answers(dialect: str, said: Said) -> tuple[bytes, bytes]:
    """The answer as JSON, and as a stream."""
    whole, events = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini, "converse": _converse}[dialect](said)
    return json.dumps(whole).encode(), b"".join(events)


def _data(value: Any, name: str | None = None) -> bytes:
    return f"{f'event: {name}{chr(10)}' if name else ''}data: {json.dumps(value)}\n\n".encode()


def _split(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def _openai(said: Said) -> tuple[Any, Iterator[bytes]]:
    plain, output, cached = said.usage
    usage = {"prompt_tokens": plain + cached, "completion_tokens": output, "total_tokens": plain + cached + output}
    usage = {**usage, "prompt_tokens_details": {"cached_tokens": cached}}
    calls = [{"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}} for id, name, given in said.calls]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(said.text) or None}
    message.update({"reasoning_content": "".join(said.thought)} if said.thought else {})
    message.update({"tool_calls": calls} if calls else {})
    reason = "tool_calls" if calls else "length" if said.cut else "stop"
    head = {"id": "chatcmpl-1", "created": 1, "model": "m"}
    choice = {"index": 0, "message": message, "finish_reason": reason}

    def events() -> Iterator[bytes]:
        def chunk(delta: Any, reason: str | None = None, **fields: Any) -> bytes:
            choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
            return _data({**head, "object": "chat.completion.chunk", "choices": choices, **fields})

        yield chunk({"role": "assistant", "content": ""})
        yield from (chunk({"reasoning_content": piece}) for piece in said.thought)
        yield from (chunk({"content": piece}) for piece in said.text)
        for number, call in enumerate(calls):
            function = {**call["function"], "arguments": ""}
            yield chunk({"tool_calls": [{"index": number, **call, "function": function}]})
            for piece in _split(call["function"]["arguments"]):
                yield chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
        yield chunk({}, reason)
        yield chunk({}, choices=[], usage=usage)
        yield b"data: [DONE]\n\n"

    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}, events()


def _anthropic(said: Said) -> tuple[Any, Iterator[bytes]]:
    plain, output, cached = said.usage
    blocks: list[dict[str, Any]] = []
    if said.thought:
        blocks.append({"type": "thinking", "thinking": "".join(said.thought), "signature": "sig"})
    if said.text:
        blocks.append({"type": "text", "text": "".join(said.text)})
    blocks += [{"type": "tool_use", "id": id, "name": name, "input": given} for id, name, given in said.calls]
    usage = {"input_tokens": plain, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0, "output_tokens": output}
    reason = "tool_use" if said.calls else "max_tokens" if said.cut else "end_turn"
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}

    def events() -> Iterator[bytes]:
        def event(kind: str, **fields: Any) -> bytes:
            return _data({"type": kind, **fields}, kind)

        begun = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        yield event("message_start", message=begun)
        yield event("ping")
        for index, block in enumerate(blocks):
            empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}[block["type"]]
            yield event("content_block_start", index=index, content_block={**block, **empty})
            if block["type"] == "tool_use":
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *_split(json.dumps(block["input"]))]]
            elif block["type"] == "thinking":
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in said.thought]
                deltas.append({"type": "signature_delta", "signature": "sig"})
            else:
                deltas = [{"type": "text_delta", "text": piece} for piece in said.text]
            yield from (event("content_block_delta", index=index, delta=delta) for delta in deltas)
            yield event("content_block_stop", index=index)
        yield event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": output})
        yield event("message_stop")

    return {**head, "content": blocks, "stop_reason": reason, "usage": usage}, events()


def _gemini(said: Said) -> tuple[Any, Iterator[bytes]]:
    plain, output, cached = said.usage
    thoughts = [{"text": piece, "thought": True} for piece in said.thought]
    texts = [{"text": piece} for piece in said.text]
    calls = [{"functionCall": {"name": name, "args": given, "id": id}} for id, name, given in said.calls]
    usage = {"promptTokenCount": plain + cached, "candidatesTokenCount": output, "totalTokenCount": plain + cached + output}
    usage.update({"cachedContentTokenCount": cached} if cached else {})
    reason = "MAX_TOKENS" if said.cut else "STOP"
    head = {"modelVersion": "m", "responseId": "r1"}

    def answer(parts: list[Any], last: bool) -> Any:
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **({"finishReason": reason} if last else {})}
        return {**head, "candidates": [candidate], "usageMetadata": usage}

    parts = [*thoughts, *texts, *calls]
    events = (_data(answer([part], number == len(parts) - 1)) for number, part in enumerate(parts))
    return answer(parts, True), events


def _converse(said: Said) -> tuple[Any, Iterator[bytes]]:
    plain, output, cached = said.usage
    blocks: list[dict[str, Any]] = []
    if said.thought:
        blocks.append({"reasoningContent": {"reasoningText": {"text": "".join(said.thought), "signature": "sig"}}})
    if said.text:
        blocks.append({"text": "".join(said.text)})
    blocks += [{"toolUse": {"toolUseId": id, "name": name, "input": given}} for id, name, given in said.calls]
    usage = {"inputTokens": plain, "outputTokens": output, "totalTokens": plain + output, "cacheReadInputTokens": cached}
    reason = "tool_use" if said.calls else "max_tokens" if said.cut else "end_turn"

    def events() -> Iterator[bytes]:
        yield converse_event("messageStart", {"role": "assistant"})
        for index, block in enumerate(blocks):
            at = {"contentBlockIndex": index}
            deltas: list[dict[str, Any]] = [{"text": piece} for piece in said.text]
            if "toolUse" in block:
                call = block["toolUse"]
                yield converse_event("contentBlockStart", {**at, "start": {"toolUse": {key: call[key] for key in ("toolUseId", "name")}}})
                deltas = [{"toolUse": {"input": piece}} for piece in _split(json.dumps(call["input"]))]
            elif "reasoningContent" in block:
                told = [*({"text": piece} for piece in said.thought), {"signature": "sig"}]
                deltas = [{"reasoningContent": piece} for piece in told]
            yield from (converse_event("contentBlockDelta", {**at, "delta": delta, "p": "abc"}) for delta in deltas)
            yield converse_event("contentBlockStop", at)
        yield converse_event("messageStop", {"stopReason": reason})
        yield converse_event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})

    whole = {"output": {"message": {"role": "assistant", "content": blocks}}, "stopReason": reason, "usage": usage}
    return whole, events()
