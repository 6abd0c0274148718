"""Conversations with personal data in every place for text, in each dialect.

Each has all places that its dialect documents, and some fields of the guard's own table beside them, so that a few
hundred conversations have each of those in each dialect.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterator

from child import ROOT
from personal import Personal

TABLE = ROOT / "src/guard/texts/fields.rs"
# Kinds of fields that are never checked, names, and token lists that repeat a text.
_OTHERS = {"Signed", "Credential", "Count", "Name", "Echo"}
EXTRAS = 6


def table() -> dict[str, str]:
    """The guard's own table: what each field name holds."""
    text = TABLE.read_text().partition("pub const FIELDS")[2].partition("];")[0].replace("\\\n", "")
    return {name: kind for kind, names in re.findall(r'Field::(\w+),\s*"([^"]*)"', text) for name in names.split()}


NAMES = [name for name, kind in table().items() if kind not in _OTHERS]


def conversation(dialect: str, number: int) -> tuple[dict[str, Any], list[str]]:
    """A request, and the values to hide."""
    personal = Personal(number)
    fields = {NAMES[(EXTRAS * number + each) % len(NAMES)]: personal.text() for each in range(EXTRAS)}
    request = _TEMPLATES[dialect](personal, {"brand_new": {"deep": [[personal.text()]], **fields}})
    return {"model": "echo", "seed": number, **request}, personal.values


def _schema(p: Personal) -> dict[str, Any]:
    described = {"type": "string", "description": p.text(), "enum": [p.text()], "const": p.text(), "default": p.text()}
    plain = {"type": "string", "title": p.text(), "examples": [p.text()], "pattern": p.text()}
    return {"type": "object", "properties": {p.text(): described, "plain": plain}, "required": [p.text()], "$comment": p.text()}


def _nested(p: Personal) -> str:
    return json.dumps(p.tree(), ensure_ascii=p.rng.random() < 0.5)


def _chat(p: Personal, new: dict[str, Any]) -> dict[str, Any]:
    file = {"type": "file", "file": {"filename": p.text(), "file_data": "data:text/plain;base64,AAAA"}}
    citation = {"type": "url_citation", "url_citation": {"url": f"https://x.example/?q={p.value()}", "title": p.text()}}
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": _nested(p)}}
    custom = {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": p.text()}}
    spoken = {"refusal": p.text(), "reasoning_content": p.text(), "audio": {"id": "a", "transcript": p.text()}}
    function = {"name": p.name(), "description": p.text(), "parameters": _schema(p)}
    form = {"name": "form", "description": p.text(), "schema": _schema(p)}
    messages = [
        {"role": "system", "content": p.text()},
        {"role": "developer", "content": [{"type": "text", "text": p.text()}]},
        {"role": "user", "name": p.name(), "content": [{"type": "text", "text": p.text(), "id": p.text()}, file], **new},
        {"role": "assistant", "content": p.text(), **spoken, "annotations": [citation], "tool_calls": [call, custom]},
        {"role": "tool", "tool_call_id": "call_1", "content": _nested(p)},
        {"role": "function", "name": "old", "content": p.text()},
        {"role": "assistant", "content": None, "function_call": {"name": "old", "arguments": _nested(p)}},
        {"role": "user", "content": _nested(p)},
    ]
    return {
        "messages": messages,
        "tools": [{"type": "function", "function": function}],
        "prediction": {"type": "content", "content": [{"type": "text", "text": p.text()}]},
        "response_format": {"type": "json_schema", "json_schema": form},
        "metadata": {"team": p.text(), p.text(): "b"},
        "user": p.text(),
        "safety_identifier": p.text(),
        "prompt_cache_key": p.text(),
        "stop": [p.text()],
        "web_search_options": {"user_location": {"approximate": {"city": p.text()}}},
    }


def _completions(p: Personal, new: dict[str, Any]) -> dict[str, Any]:
    prompt = [p.text(), _nested(p)] if p.rng.random() < 0.5 else _nested(p)
    return {"prompt": prompt, "suffix": p.text(), "user": p.text(), "stop": [p.text(), "x"], **new}


def _responses(p: Personal, new: dict[str, Any]) -> dict[str, Any]:
    environment = {"commands": [p.text()], "env": {"A": p.text()}, "working_directory": p.text()}
    result = {"filename": p.text(), "text": p.text(), "attributes": {"a": p.text()}}
    output = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": p.text()}], **new},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": p.text(), "annotations": [{"type": "url_citation", "url": f"https://x.example/?q={p.value()}", "title": p.text()}]}, {"type": "refusal", "refusal": p.text()}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": p.text()}]},
        {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": _nested(p)},
        {"type": "function_call_output", "call_id": "c1", "output": _nested(p)},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": p.text()}]},
        {"type": "custom_tool_call", "call_id": "c3", "name": "run", "input": p.text()},
        {"type": "custom_tool_call_output", "call_id": "c3", "output": p.text()},
        {"type": "mcp_call", "id": "m", "name": "x", "server_label": "s", "arguments": _nested(p), "output": p.text(), "error": p.text()},
        {"type": "mcp_approval_response", "approval_request_id": "m", "approve": False, "reason": p.text()},
        {"type": "file_search_call", "id": "f", "queries": [p.text()], "results": [result]},
        {"type": "web_search_call", "id": "w", "action": {"type": "search", "query": p.text()}},
        {"type": "shell_call", "call_id": "c4", "action": environment},
        {"type": "apply_patch_call", "call_id": "c5", "operation": {"type": "update_file", "path": p.text(), "diff": p.text()}},
        {"type": "code_interpreter_call", "id": "ci", "code": p.text(), "outputs": [{"type": "logs", "logs": p.text()}]},
        {"role": "user", "content": p.text()},
    ]
    return {
        "instructions": p.text(),
        "input": output,
        "tools": [
            {"type": "function", "name": p.name(), "description": p.text(), "parameters": _schema(p)},
            {"type": "mcp", "server_label": "s", "server_description": p.text(), "allowed_tools": ["x"]},
        ],
        "text": {"format": {"type": "json_schema", "name": "form", "description": p.text(), "schema": _schema(p)}},
        "prompt": {"id": "pmpt_1", "variables": {"a": p.text(), "b": {"type": "input_text", "text": p.text()}}},
        "metadata": {"team": p.text(), p.text(): "b"},
        "user": p.text(),
    }


def _messages(p: Personal, new: dict[str, Any]) -> dict[str, Any]:
    cited = {"type": "char_location", "cited_text": p.text(), "document_title": p.text()}
    document = {"type": "document", "title": p.text(), "context": p.text(), "source": {"type": "text", "media_type": "text/plain", "data": p.text()}}
    parts = {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": p.text()}]}}
    found = {"type": "search_result", "source": p.text(), "title": p.text(), "content": [{"type": "text", "text": p.text()}]}
    ran = {"type": "bash_code_execution_result", "stdout": p.text(), "stderr": p.text()}
    return {
        "max_tokens": 1000,
        "system": [{"type": "text", "text": p.text(), "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": p.text()}, document, parts, found], **new},
            {"role": "assistant", "content": [
                {"type": "text", "text": p.text(), "citations": [cited]},
                {"type": "tool_use", "id": "t1", "name": "look_up", "input": p.tree()},
                {"type": "server_tool_use", "id": "t2", "name": "web_search", "input": {"query": p.text()}},
                {"type": "web_search_tool_result", "tool_use_id": "t2", "content": [{"type": "web_search_result", "title": p.text(), "url": f"https://x.example/?q={p.value()}"}]},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": _nested(p)},
                {"type": "tool_result", "tool_use_id": "t3", "content": [{"type": "text", "text": _nested(p)}, ran]},
            ]},
            {"role": "assistant", "content": p.text()},
            {"role": "user", "content": p.text()},
        ],
        "tools": [{"name": p.name(), "description": p.text(), "input_schema": _schema(p), "input_examples": [p.tree()]}],
        "mcp_servers": [{"type": "url", "name": "s", "url": f"see {p.text()}"}],
        "metadata": {"user_id": p.text()},
        "stop_sequences": [p.text()],
    }


def _gemini(p: Personal, new: dict[str, Any]) -> dict[str, Any]:
    return {
        "systemInstruction": {"parts": [{"text": p.text()}]},
        "contents": [
            {"role": "user", "parts": [{"text": p.text()}, {"fileData": {"displayName": p.text(), "fileUri": "gs://x"}}], **new},
            {"role": "model", "parts": [
                {"text": p.text(), "thought": True},
                {"text": p.text(), "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "look_up", "args": p.tree()}, "thoughtSignature": "c2ln"},
                {"executableCode": {"language": "PYTHON", "code": p.text()}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": p.text()}},
            ]},
            {"role": "user", "parts": [{"functionResponse": {"name": "look_up", "response": {"result": _nested(p), "tree": p.tree()}}}]},
            {"parts": [{"text": _nested(p)}]},
        ],
        "tools": [{"functionDeclarations": [{"name": p.name(), "description": p.text(), "parameters": _schema(p), "response": _schema(p)}]}],
        "labels": {"team": p.text(), p.text(): "b"},
        "generationConfig": {"stopSequences": [p.text()], "responseSchema": _schema(p), "responseJsonSchema": _schema(p)},
    }


def _ollama(p: Personal, new: dict[str, Any]) -> dict[str, Any]:
    function = {"name": p.name(), "description": p.text(), "parameters": _schema(p)}
    return {
        "messages": [
            {"role": "system", "content": p.text()},
            {"role": "user", "content": p.text(), "images": ["AAAA"], **new},
            {"role": "assistant", "content": p.text(), "thinking": p.text(), "tool_calls": [{"function": {"name": "look_up", "arguments": p.tree()}}]},
            {"role": "tool", "tool_name": "look_up", "content": _nested(p)},
            {"role": "user", "content": _nested(p)},
        ],
        "tools": [{"type": "function", "function": function}],
        "format": _schema(p),
        "options": {"stop": [p.text()], "temperature": 0.1},
    }


def translatable(dialect: str, number: int) -> tuple[dict[str, Any], list[str]]:
    """A short request that every dialect supports, and the values to hide."""
    p = Personal(number)
    name, said = p.name(), {"type": "text", "text": p.text()}
    if dialect == "messages":
        request = {
            "max_tokens": 1000,
            "system": p.text(),
            "messages": [
                {"role": "user", "content": [said]},
                {"role": "assistant", "content": [{"type": "text", "text": p.text()}, {"type": "tool_use", "id": "t1", "name": name, "input": p.tree()}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": _nested(p)}, {"type": "text", "text": p.text()}]},
            ],
            "tools": [{"name": name, "description": p.text(), "input_schema": _schema(p)}],
        }
    elif dialect == "responses":
        call = {"type": "function_call", "call_id": "t1", "name": name, "arguments": _nested(p)}
        result = {"type": "function_call_output", "call_id": "t1", "output": _nested(p)}
        tool = {"type": "function", "name": name, "description": p.text(), "parameters": _schema(p)}
        messages = [{"role": "user", "content": p.text()}, call, result, {"role": "user", "content": p.text()}]
        request = {"instructions": p.text(), "input": messages, "tools": [tool]}
    elif dialect == "completions":
        request = {"prompt": [p.text(), _nested(p)]}
    elif dialect == "gemini":
        tool = {"functionDeclarations": [{"name": name, "description": p.text(), "parameters": _schema(p)}]}
        request = {"contents": [{"role": "user", "parts": [said]}, {"role": "user", "parts": [{"text": _nested(p)}]}], "tools": [tool]}
    else:
        call = {"id": "t1", "type": "function", "function": {"name": name, "arguments": _nested(p)}}
        function = {"name": name, "description": p.text(), "parameters": _schema(p)}
        messages = [
            {"role": "system", "content": p.text()},
            {"role": "user", "content": [said]},
            {"role": "assistant", "content": p.text(), "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t1", "content": _nested(p)},
            {"role": "user", "content": p.text()},
        ]
        request = {"messages": messages, "tools": [{"type": "function", "function": function}]}
    return request, p.values


_TEMPLATES: dict[str, Callable[[Personal, dict[str, Any]], dict[str, Any]]] = {
    "chat": _chat,
    "completions": _completions,
    "responses": _responses,
    "messages": _messages,
    "gemini": _gemini,
    "ollama": _ollama,
}


def spread(count: int) -> Iterator[tuple[str, int]]:
    """This many conversations over all dialects: a dialect and a number for each."""
    dialects = list(_TEMPLATES)
    return ((dialects[number % len(dialects)], number // len(dialects)) for number in range(count))
