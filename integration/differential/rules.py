"""The intended differences between the gateway's translation of requests and `litellm`'s. Each has a name and a reason.

A rule removes its difference from both results, and returns whether there was one. The rest must be equal.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Callable

Body = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One request, and both translations of it."""

    pair: str
    model: str
    request: Body
    ours: Body
    theirs: Body


@dataclass(frozen=True)
class Rule:
    """An intended difference."""

    name: str
    reason: str
    takes_away: Callable[[Case], bool]


def _pop(body: Any, *path: str) -> bool:
    """Removes a field, and objects that become empty."""
    *way, last = path
    if way:
        inner = body.get(way[0]) if isinstance(body, dict) else None
        found = _pop(inner, *way[1:], last)
        if found and inner == {}:
            del body[way[0]]
        return found
    return isinstance(body, dict) and body.pop(last, None) is not None


def _each(value: Any, change: Callable[[Body], bool]) -> bool:
    """Changes each object in a value; returns whether any changed."""
    changed = False
    if isinstance(value, dict):
        changed |= change(value)
        for inner in list(value.values()):
            changed |= _each(inner, change)
    elif isinstance(value, list):
        for inner in value:
            changed |= _each(inner, change)
    return changed


def _custom(case: Case) -> bool:
    tools = [tool for tool in case.theirs.get("tools", []) if tool.get("type") == "custom"]
    for tool in tools:
        del tool["type"]
    return bool(tools)


def _auto(case: Case) -> bool:
    if case.theirs.get("tool_choice") == {"type": "auto"}:
        return _pop(case.theirs, "tool_choice")
    if case.theirs.get("toolConfig", {}).get("toolChoice") == {"auto": {}}:
        # ours puts it into the tool choice
        _pop(case.ours, "additionalModelRequestFields", "tool_choice", "type")
        return _pop(case.theirs, "toolConfig", "toolChoice")
    return False


def _no_limit(case: Case) -> bool:
    if "max_tokens" in case.request or "max_completion_tokens" in case.request:
        return False
    found = [_pop(body, *path) for body in (case.ours, case.theirs) for path in (("max_tokens",), ("inferenceConfig", "maxTokens"))]
    return any(found)


def _markers(case: Case) -> bool:
    found = [_pop(case.theirs, "json_mode")]
    found += [_pop(case.theirs, "additionalModelRequestFields", name) for name in ("stream", "fake_stream")]
    if case.theirs.get("additionalModelRequestFields") == {}:
        found.append(case.theirs.pop("additionalModelRequestFields") is None)
    return any(found)


def _format(case: Case) -> bool:
    format = case.theirs.pop("output_format", None)
    if format:
        case.theirs.setdefault("output_config", {})["format"] = format
    return format is not None


def _json_tool(case: Case) -> bool:
    def rename(body: Body) -> bool:
        if body.get("name") not in ("json_tool_call", "json_answer"):
            return False
        body["name"] = "json"
        body.pop("description", None)
        return True

    return any([_each(case.ours, rename), _each(case.theirs, rename)])


def _display(case: Case) -> bool:
    return _pop(case.theirs, "thinking", "display")


def _title(case: Case) -> bool:
    return _each(case.ours, lambda body: body.get("type") == "document" and body.pop("title", None) is not None)


def _document_name(case: Case) -> bool:
    def take(body: Body) -> bool:
        document = body.get("document")
        return isinstance(document, dict) and document.pop("name", None) is not None

    return any([_each(case.ours, take), _each(case.theirs, take)])


def _schema_text(case: Case) -> bool:
    path = ("outputConfig", "textFormat", "structure", "jsonSchema")
    found = False
    for body in (case.ours, case.theirs):
        for name in path:
            body = body.get(name, {})
        if "schema" in body:
            body["schema"] = json.loads(body["schema"])
            found = True
    return found


def _nothing(case: Case) -> bool:
    found = [case.theirs.get("inferenceConfig") == {} and case.theirs.pop("inferenceConfig") == {}]
    found.append(_each(case.theirs, lambda body: body.get("required") == [] and body.pop("required") == []))
    return any(found)


def _nova(case: Case) -> bool:
    if "nova" not in case.model:
        return False
    return _each(case.ours.get("toolConfig"), lambda body: body.pop("additionalProperties", None) is not None)


def _turns(case: Case) -> bool:
    merged: list[Body] = []
    for turn in case.theirs["contents"]:
        if merged and merged[-1]["role"] == turn["role"]:
            merged[-1]["parts"] += turn["parts"]
        else:
            merged.append(turn)
    found = len(merged) < len(case.theirs["contents"])
    case.theirs["contents"] = merged
    return found


def _same_calls(case: Case) -> bool:
    def once(turn: Body) -> bool:
        parts = turn.get("parts", [])
        kept = [part for at, part in enumerate(parts) if "functionCall" not in part or part not in parts[:at]]
        found = len(kept) < len(parts)
        turn["parts"] = kept
        return found

    return any([once(turn) for body in (case.ours, case.theirs) for turn in body["contents"]])


def _forbidden(case: Case) -> bool:
    if case.request.get("tool_choice") != "none":
        return False
    return any([_pop(case.theirs, "toolConfig"), _pop(case.ours, "toolConfig")])


_SNAKE = re.compile(r"_([a-z])")


def _spelling(case: Case) -> bool:
    """Renames all keys except the client's own: arguments and schemas."""

    def camel(value: Any) -> Any:
        if isinstance(value, list):
            return [camel(each) for each in value]
        if not isinstance(value, dict):
            return value
        own = ("args", "response", "parameters", "response_json_schema", "responseJsonSchema", "parametersJsonSchema")
        name = lambda name: _SNAKE.sub(lambda found: found[1].upper(), name)  # noqa: E731
        return {name(key): inner if key in own else camel(inner) for key, inner in value.items()}

    before = json.dumps(case.theirs)
    changed = camel(case.theirs)
    case.theirs.clear()
    case.theirs.update(changed)
    return json.dumps(case.theirs) != before


def _result(case: Case) -> bool:
    def rename(body: Body) -> bool:
        response = body.get("functionResponse", {}).get("response", {})
        if "content" not in response:
            return False
        response["output"] = response.pop("content")
        return True

    return _each(case.theirs, rename)


def _budget(case: Case) -> bool:
    path = ("generationConfig", "thinkingConfig", "thinkingBudget")
    return any([_pop(case.ours, *path), _pop(case.theirs, *path)])


def _parameters(case: Case) -> bool:
    def rename(body: Body) -> bool:
        schema = body.pop("parameters", body.pop("parametersJsonSchema", None)) if "name" in body else None
        if schema is None:
            return False
        body["schema"] = {name: value for name, value in schema.items() if value != {}}
        return True

    return any([_each(case.ours.get("tools"), rename), _each(case.theirs.get("tools"), rename)])


def _plain(case: Case) -> bool:
    config = case.theirs.get("generationConfig", {})
    return config.get("responseMimeType") == "text/plain" and _pop(case.theirs, "generationConfig", "responseMimeType")


RULES = {
    "ChatToMessages": [
        Rule("type custom", "the default of a tool's type, which may be left out", _custom),
        Rule("choice auto", "the default with tools, which may be left out", _auto),
        Rule("no limit", "the operator's `max_output_tokens`, instead of a list of every model's longest answer", _no_limit),
        Rule("own markers", "litellm's own, which it removes before sending", _markers),
        Rule("output_format", "the field's beta name; `output_config.format` is the final one", _format),
        Rule("the answer's tool", "the name of the tool whose arguments are the answer", _json_tool),
        Rule("thinking.display", "the client has not asked for it", _display),
        Rule("document's title", "the file's name from the client", _title),
    ],
    "ChatToGemini": [
        Rule("spelling", "Google accepts `max_output_tokens` and `maxOutputTokens`; its reference has the latter", _spelling),
        Rule("turns", "adjacent user turns are one: a result and the user's comment", _turns),
        Rule("calls alike", "litellm drops a second call with the same arguments, but keeps its result", _same_calls),
        Rule("result's field", "Google's reference: `output` for a result, `error` for a failure", _result),
        Rule("thinking budget", "Google's own for OpenAI's levels: 1024, 8192, 24576", _budget),
        Rule("schema of a tool", "`parametersJsonSchema` takes all of JSON Schema, `parameters` a part of it", _parameters),
        Rule("text/plain", "the default, which may be left out", _plain),
    ],
    "ChatToConverse": [
        Rule("own markers", "litellm's own, which it removes before sending", _markers),
        Rule("choice auto", "the default with tools, which may be left out", _auto),
        Rule("the answer's tool", "the name of the tool whose arguments are the answer", _json_tool),
        Rule("empty fields", "what says nothing", _nothing),
        Rule("schema for Nova", "the client's own; Nova's reference does not mention `additionalProperties`", _nova),
        Rule("document's name", "the file's own name, instead of a hash", _document_name),
        Rule("schema in a string", "the same JSON with different white space", _schema_text),
        Rule("tools that are forbidden", "left out, because Converse has no `none`; litellm leaves the choice to the model", _forbidden),
    ],
}
