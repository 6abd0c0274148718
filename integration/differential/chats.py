"""Random chat requests as clients send them; the same ones in every run."""

from __future__ import annotations

import json
import random
from typing import Any

# 1x1 pixel
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJcOkw7zDtsOfCg=="
WORDS = ["Hello", "Wie geht's?", "日本語", 'a "quoted" word', "line\nbreak", "tab\there", "\U0001f600", "back\\slash", "plain words"]
MODELS = {
    "ChatToMessages": ["claude-3-haiku-20240307", "claude-sonnet-4-5-20250929", "claude-opus-4-6"],
    "ChatToGemini": ["gemini-2.5-flash-lite", "gemini-2.5-flash", "gemini-2.5-pro"],
    "ChatToConverse": ["anthropic.claude-3-5-sonnet-20240620-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"],
}
SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {"city": {"type": "string", "description": "A city"}}, "required": ["city"]},
    {
        "type": "object",
        "properties": {
            "days": {"type": "array", "items": {"type": "integer"}},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["days"],
    },
]
ANSWER = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def chats(pair: str, count: int) -> list[tuple[str, dict[str, Any]]]:
    """This many requests, each with the model that it is for."""
    chance = random.Random(f"chats for {pair}")
    return [_chat(pair, chance) for _ in range(count)]


def _chat(pair: str, chance: random.Random) -> tuple[str, dict[str, Any]]:
    model = chance.choice(MODELS[pair])
    likely = lambda percent: chance.random() * 100 < percent  # noqa: E731
    words = lambda: " ".join(chance.choices(WORDS, k=chance.randint(1, 4)))  # noqa: E731
    tools = _tools(chance) if likely(50) else []
    messages: list[dict[str, Any]] = []
    if likely(50):
        messages.append({"role": "system", "content": words() if likely(70) else [{"type": "text", "text": words()}]})
    messages.append({"role": "user", "content": _user(chance, words, pair)})
    for turn in range(chance.choice([0, 0, 1, 2])):
        if tools and likely(60):
            calls = [_call(chance, tool, turn, number) for number, tool in enumerate(chance.choices(tools, k=chance.randint(1, 2)))]
            messages.append({"role": "assistant", "content": words() if likely(50) else None, "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": call["id"], "content": words()} for call in calls]
            if likely(30):
                messages.append({"role": "user", "content": words()})
        else:
            messages.append({"role": "assistant", "content": words()})
            messages.append({"role": "user", "content": _user(chance, words, pair)})
    request: dict[str, Any] = {"model": model, "messages": messages}
    if tools:
        request["tools"] = tools
        if likely(60):
            named = {"type": "function", "function": {"name": tools[0]["function"]["name"]}}
            request["tool_choice"] = chance.choice(["auto", "required", named, "none"])
        if likely(20) and request.get("tool_choice") != "none":
            request["parallel_tool_calls"] = False
    else:
        if likely(20):
            schema = {"name": "person", "schema": ANSWER, "strict": True}
            request["response_format"] = chance.choice([{"type": "text"}, {"type": "json_schema", "json_schema": schema}])
    if likely(70):
        request[chance.choice(["max_tokens", "max_completion_tokens"])] = chance.choice([16, 1000, 9000])
    if likely(40):
        request["temperature"] = chance.choice([0, 0.25, 0.7, 1])
    elif likely(30):
        request["top_p"] = chance.choice([0.1, 0.9])
    if likely(30):
        request["stop"] = chance.choice(["END", ["END", "STOP"]])
    if likely(15) and not tools and "response_format" not in request and "nova" not in model:
        request["reasoning_effort"] = chance.choice(["low", "medium", "high"])
        request.pop("temperature", None)
        request.pop("top_p", None)
        request["max_tokens"] = 9000
        request.pop("max_completion_tokens", None)
    if likely(20):
        request["user"] = "user-1"
    if likely(20):
        request["seed"] = 7
    if likely(30):
        request["stream"] = True
    return model, request


def _user(chance: random.Random, words: Any, pair: str) -> Any:
    kind = chance.random()
    if kind < 0.6:
        return words()
    parts: list[dict[str, Any]] = [{"type": "text", "text": words()} for _ in range(chance.randint(1, 2))]
    if kind > 0.8:
        parts.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})
    if kind > 0.93:
        parts.append({"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}})
    return parts


def _tools(chance: random.Random) -> list[dict[str, Any]]:
    names = chance.sample(["weather", "get_time", "search-web", "f1"], k=chance.randint(1, 3))
    return [_tool(chance, name) for name in names]


def _tool(chance: random.Random, name: str) -> dict[str, Any]:
    function: dict[str, Any] = {"name": name, "description": f"Does {name}.", "parameters": chance.choice(SCHEMAS)}
    return {"type": "function", "function": function}


def _call(chance: random.Random, tool: dict[str, Any], turn: int, number: int) -> dict[str, Any]:
    arguments = chance.choice([{}, {"city": "Zürich"}, {"days": [1, 2], "unit": "celsius"}, {"exact": 1.5, "deep": {"a": None}}])
    function = {"name": tool["function"]["name"], "arguments": json.dumps(arguments)}
    return {"id": f"call_{turn}_{number}", "type": "function", "function": function}
