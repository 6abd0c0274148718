"""Three turns of an agent with the providers' own SDKs, with two tool calls each: every id, argument, result and signature
arrives, in every server's dialect."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Callable, Iterator, Mapping

import anthropic
import openai
import pytest

import demo
from assistant import DONE, TOOL, Assistant, arguments, call_id, signature, thought
from conftest import OpenWorld
from settings import Settings

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}, "day": {"type": "integer"}}}
GO = "How warm is it?"
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])

Run = Callable[[str, bool], str]


def result(given: Mapping[str, Any]) -> str:
    """The tool's result, which proves that the arguments are complete."""
    return f"{given['city']} on day {given['day']}: 2{given['exact']:.0f} degrees"


RESULTS = {(turn, number): result(arguments(turn, number)) for turn in (1, 2) for number in (0, 1)}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Assistant]]:
    with contextlib.ExitStack() as running:
        yield {dialect: running.enter_context(Assistant(dialect)) for dialect in ("openai", "anthropic", "gemini", "converse")}  # type: ignore[misc]


@pytest.fixture(scope="module")
def _url(settings: Callable[[], Settings], open_world: OpenWorld, servers: dict[str, Assistant]) -> Iterator[str]:
    changed = settings()
    for dialect, server in servers.items():
        changed.add_cluster(f"agent-{dialect}", server.address)
        changed.upstreams[f"agent-{dialect}"] = {"dialects": [dialect], "responses_api": False}
        model = "eu.anthropic.claude-sonnet-4-5-v1:0" if dialect == "converse" else "gemini-3-pro"
        changed.models.append({"name": f"on-{dialect}", "targets": [{"upstream": f"agent-{dialect}", "model": model}]})
    with open_world(changed.text()) as world:
        yield world.url


@pytest.fixture
def url(_url: str, servers: dict[str, Assistant]) -> str:
    for server in servers.values():
        server.asked.clear()
    return _url


@pytest.fixture
def chat(url: str) -> Iterator[Run]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:

        def run(model: str, stream: bool) -> str:
            tools: Any = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}]
            messages: list[Any] = [{"role": "user", "content": GO}]
            while True:
                if stream:
                    with client.chat.completions.stream(model=model, messages=messages, tools=tools) as events:
                        message: Any = events.get_final_completion().choices[0].message
                else:
                    message = client.chat.completions.create(model=model, messages=messages, tools=tools).choices[0].message
                messages.append(message.model_dump(exclude_none=True, warnings=False))
                if not message.tool_calls:
                    return message.content
                for call in message.tool_calls:
                    text = result(json.loads(call.function.arguments))
                    messages.append({"role": "tool", "tool_call_id": call.id, "content": text})

        yield run


@pytest.fixture
def responses(url: str) -> Iterator[Run]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:

        def run(model: str, stream: bool) -> str:
            tools: Any = [{"type": "function", "name": TOOL, "parameters": SCHEMA, "strict": False}]
            history: list[Any] = [{"role": "user", "content": GO}]
            while True:
                if stream:
                    with client.responses.stream(model=model, input=history, tools=tools, store=False) as events:
                        answer: Any = events.get_final_response()
                else:
                    answer = client.responses.create(model=model, input=history, tools=tools, store=False)
                history += [item.model_dump(exclude_none=True, warnings=False) for item in answer.output]
                calls = [item for item in answer.output if item.type == "function_call"]
                if not calls:
                    return answer.output_text
                for call in calls:
                    text = result(json.loads(call.arguments))
                    history.append({"type": "function_call_output", "call_id": call.call_id, "output": text})

        yield run


@pytest.fixture
def claude(url: str) -> Iterator[Run]:
    with anthropic.Anthropic(base_url=url, api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:

        def run(model: str, stream: bool) -> str:
            messages: list[Any] = [{"role": "user", "content": GO}]
            given: dict[str, Any] = {"model": model, "max_tokens": 4096, "messages": messages}
            given.update(thinking={"type": "enabled", "budget_tokens": 2048}, tools=[{"name": TOOL, "input_schema": SCHEMA}])
            while True:
                if stream:
                    with client.beta.messages.stream(**given) as events:
                        message: Any = events.get_final_message()
                else:
                    message = client.beta.messages.create(**given)
                messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]})
                calls = [block for block in message.content if block.type == "tool_use"]
                if not calls:
                    return message.content[-1].text
                results = [{"type": "tool_result", "tool_use_id": call.id, "content": result(call.input)} for call in calls]
                messages.append({"role": "user", "content": results})

        yield run


def on_openai(request: dict[str, Any]) -> None:
    """The last request, as OpenAI's server receives it."""
    question, *turns = request["messages"]
    assert question == {"role": "user", "content": GO}
    for turn in (1, 2):
        called, *results = turns[3 * turn - 3 : 3 * turn]
        assert called["reasoning_content"] == thought(turn)
        assert [call["id"] for call in called["tool_calls"]] == [call_id(turn, number) for number in (0, 1)]
        assert [json.loads(call["function"]["arguments"]) for call in called["tool_calls"]] == [arguments(turn, 0), arguments(turn, 1)]
        for number, each in enumerate(results):
            assert each == {"role": "tool", "tool_call_id": call_id(turn, number), "content": RESULTS[turn, number]}
    assert len(turns) == 6


def on_anthropic(request: dict[str, Any]) -> None:
    """The last request, as Anthropic's server receives it."""
    question, *turns = request["messages"]
    assert question == {"role": "user", "content": [{"type": "text", "text": GO}]}
    for turn in (1, 2):
        called, results = turns[2 * turn - 2 : 2 * turn]
        thinking, *calls = called["content"]
        assert thinking == {"type": "thinking", "thinking": thought(turn), "signature": signature(turn)}
        for number, call in enumerate(calls):
            want = {"type": "tool_use", "id": call_id(turn, number), "name": TOOL, "input": arguments(turn, number)}
            assert call == want
        for number, each in enumerate(results["content"]):
            assert each == {"type": "tool_result", "tool_use_id": call_id(turn, number), "content": RESULTS[turn, number]}
    assert len(turns) == 4


def on_gemini(request: dict[str, Any]) -> None:
    """The last request, as Google's server receives it: functions have names there, but no ids."""
    question, *turns = request["contents"]
    assert question == {"role": "user", "parts": [{"text": GO}]}
    for turn in (1, 2):
        called, results = turns[2 * turn - 2 : 2 * turn]
        first, second = [{"functionCall": {"name": TOOL, "args": arguments(turn, number)}} for number in (0, 1)]
        assert called == {"role": "model", "parts": [{**first, "thoughtSignature": signature(turn)}, second]}
        responses = [{"functionResponse": {"name": TOOL, "response": {"output": RESULTS[turn, number]}}} for number in (0, 1)]
        assert results == {"role": "user", "parts": responses}
    assert len(turns) == 4


def on_converse(request: dict[str, Any]) -> None:
    """The last request, as Bedrock receives it."""
    question, *turns = request["messages"]
    assert question == {"role": "user", "content": [{"text": GO}]}
    for turn in (1, 2):
        called, results = turns[2 * turn - 2 : 2 * turn]
        thinking, *calls = called["content"]
        assert thinking == {"reasoningContent": {"reasoningText": {"text": thought(turn), "signature": signature(turn)}}}
        for number, call in enumerate(calls):
            assert call == {"toolUse": {"toolUseId": call_id(turn, number), "name": TOOL, "input": arguments(turn, number)}}
        for number, each in enumerate(results["content"]):
            assert each == {"toolResult": {"toolUseId": call_id(turn, number), "content": [{"text": RESULTS[turn, number]}]}}
    assert len(turns) == 4


CHECKS = {"openai": on_openai, "anthropic": on_anthropic, "gemini": on_gemini, "converse": on_converse}


@STREAMED
@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "converse"])
def test_chat(chat: Run, servers: dict[str, Assistant], dialect: str, stream: bool) -> None:
    assert chat(f"on-{dialect}", stream) == DONE
    CHECKS[dialect](servers[dialect].asked[-1])


@STREAMED
@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini", "converse"])
def test_responses(responses: Run, servers: dict[str, Assistant], dialect: str, stream: bool) -> None:
    assert responses(f"on-{dialect}", stream) == DONE
    CHECKS[dialect](servers[dialect].asked[-1])


@STREAMED
def test_messages(claude: Run, servers: dict[str, Assistant], stream: bool) -> None:
    assert claude("on-openai", stream) == DONE
    on_openai(servers["openai"].asked[-1])
