"""Personal data reaches no model and comes back to the client, in every place of six dialects.

`PLACES_CONVERSATIONS` sets how many conversations are made up; a few hundred have each field of the guard's table in
each dialect.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from typing import Any, Callable, Iterator

import pytest

import clients
from conftest import OpenWorld
from conversations import conversation, spread, translatable
from dialects import DIALECTS, Said
from echo import Echo, echoed, leaves, opened
from guarded import guarded, verdicts
from personal import CHECK, Personal
from settings import Settings
from world import World, eventually

CONVERSATIONS = int(os.environ.get("PLACES_CONVERSATIONS", "72"))
MASKED = 48
AT_ONCE = 12
SERVER_DIALECTS = ["openai", "anthropic", "gemini", "ollama"]
RESTORE = {**CHECK, "phase": ["request"], "action": "restore"}
MASK = {**CHECK, "name": "answers", "phase": ["response"], "action": "mask"}


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    with Echo() as echo:
        yield echo  # type: ignore[misc]


def _changed(settings: Settings, echo: Echo, check: dict[str, Any]) -> str:
    settings.add_cluster("echo", echo.address)
    settings.upstreams["echo"] = {"dialects": SERVER_DIALECTS}
    settings.add_model("echo", "echo")
    for dialect in SERVER_DIALECTS[:3]:
        settings.add_cluster(f"echo-{dialect}", echo.address)
        settings.upstreams[f"echo-{dialect}"] = {"dialects": [dialect], "responses_api": False}
        settings.models.append({"name": f"echo-{dialect}", "targets": [{"upstream": f"echo-{dialect}"}]})
    return guarded(settings, [check]).text()


@pytest.fixture(scope="module")
def restoring(settings: Callable[[], Settings], open_world: OpenWorld, echo: Echo) -> Iterator[World]:
    with open_world(_changed(settings(), echo, RESTORE)) as world:
        yield world


@pytest.fixture(scope="module")
def masking(settings: Callable[[], Settings], open_world: OpenWorld, echo: Echo) -> Iterator[World]:
    with open_world(_changed(settings(), echo, MASK)) as world:
        yield world


def _ask(world: World, requests: list[tuple[str, bool, bytes]]) -> list[clients.Answer]:
    """Answers to requests, each in a dialect, streamed or not."""

    def visit(dialect: str, stream: bool, body: bytes) -> Callable[[clients.Client], Any]:
        return lambda client: client.ask(body, path=DIALECTS[dialect].path_of("echo", stream))

    return clients.each(world.gateway.port, AT_ONCE, [visit(*request) for request in requests])


def _skeleton(value: Any) -> Any:
    """The shape of JSON, including nested JSON in texts; a possible card number may also be a text."""
    if isinstance(value, dict):
        return [("" if len(name) > 40 or "<" in name or " " in name else name, _skeleton(each)) for name, each in value.items()]
    if isinstance(value, list):
        return [_skeleton(each) for each in value]
    if isinstance(value, str):
        inner = opened(value)
        return "" if inner is value else ["text", _skeleton(inner)]
    return "" if isinstance(value, int) and value > 10**11 else value


def _all(value: Any) -> Iterator[str]:
    """Every text and name of a body, and of nested JSON in its texts."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _all(each)
    elif isinstance(value, list):
        for each in value:
            yield from _all(each)
    elif isinstance(value, str) and opened(value) is not value:
        yield from _all(opened(value))
    else:
        yield str(value)


def test_values_are_hidden_and_restored(restoring: World, echo: Echo) -> None:
    echo.bodies.clear()
    before = sum(verdicts(restoring).values())
    made = []
    for dialect, number in spread(CONVERSATIONS):
        seed = number * len(DIALECTS) + list(DIALECTS).index(dialect)
        request, values = conversation(dialect, number)
        stream = number % 4 > 0
        request = {**request, "seed": seed, **({} if dialect == "gemini" else {"stream": stream})}
        made.append((dialect, stream, request, values))
    bodies = [(dialect, stream, json.dumps(request, ensure_ascii=request["seed"] % 3 == 0).encode()) for dialect, stream, request, _ in made]
    answers = _ask(restoring, bodies)
    sent = {json.loads(body)["seed"]: body for body in echo.bodies}
    assert len(echo.bodies) == len(sent) == len(made)
    problems: list[str] = []
    for (dialect, stream, request, values), answer in zip(made, answers):
        received, said = sent[request["seed"]], echoed(request)
        case = f"{dialect} {request['seed']}{' streamed' if stream else ''}"
        assert answer.status_code == 200 and answer.complete, (case, answer)
        problems += [f"{case}: the server saw {value!r}" for value in _seen(received, values)]
        want = {name: each for name, each in request.items() if name not in ("model", "stream")}
        got = {name: each for name, each in json.loads(received).items() if name in want}
        problems += [f"{case}: {each}" for each in _differences(_skeleton(want), _skeleton(got))]
        for each in DIALECTS[dialect].read(answer.content, stream):
            pairs = [(said.text, each.text)]
            if DIALECTS[dialect].calls:
                pairs += [(said.name, each.name), (_opened(said.arguments), _opened(each.arguments))]
            problems += [f"{case}: {each}" for pair in pairs for each in _differences(*pair)]
    assert not problems, f"{len(problems)} problems:\n" + "\n".join(problems[:20])
    eventually(lambda: sum(verdicts(restoring).values()) - before, len(made))
    restored = sum(len(values) for *_, values in made)
    shown = restoring.everything_shown()
    assert not [value for *_, values in made for value in values if value in shown]
    counts = Counter(f"{dialect}{' streamed' if stream else ''}" for dialect, stream, *_ in made)
    print(f"\n{len(made)} conversations, {restored} values hidden and restored:", dict(counts))


def _seen(received: bytes, values: list[str]) -> list[str]:
    """The values that the server has seen, plain or escaped."""
    seen = received.decode() + "\n".join(_all(json.loads(received)))
    return [value for value in values if value in seen]


def _differences(want: Any, got: Any) -> list[str]:
    """Where the two first differ, if they do."""
    want, got = (each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in (want, got))
    if want == got:
        return []
    at = next((at for at, pair in enumerate(zip(want, got)) if pair[0] != pair[1]), min(len(want), len(got)))
    return [f"...{want[max(0, at - 30):at + 40]!r} became ...{got[max(0, at - 30):at + 40]!r}"]


def _opened(arguments: str) -> list[str]:
    """The contents of arguments, which must be JSON."""
    return list(leaves(json.loads(arguments)))


# Clients' dialects, and those of the only server of a model.
PAIRS = [("chat", "anthropic"), ("chat", "gemini"), ("responses", "anthropic"), ("responses", "gemini"), ("messages", "openai")]
PLACEHOLDER = re.compile(r"<?(EMAIL_ADDRESS|PHONE_NUMBER|CREDIT_CARD|IBAN_CODE|IP_ADDRESS|US_SSN|API_KEY|PROJECT)_[0-9]+>?")


@pytest.mark.parametrize(("dialect", "server"), PAIRS)
def test_translated_conversations(restoring: World, echo: Echo, dialect: str, server: str) -> None:
    """The same with a server of another dialect: the answer has no placeholder, and all values of the request."""
    for number in range(8):
        request, values = translatable(dialect, 7000 + number)
        stream = number % 4 > 0
        body = json.dumps({**request, "model": f"echo-{server}", "stream": stream}).encode()
        echo.bodies.clear()
        (answer,) = _ask(restoring, [(dialect, stream, body)])
        assert answer.status_code == 200 and answer.complete, answer
        (received,) = echo.bodies
        assert _seen(received, values) == []
        want = PLACEHOLDER.sub("*", echoed(json.loads(received)).text)
        hidden = re.compile("|".join(re.escape(value) for value in sorted(values, key=len, reverse=True)))
        for said in DIALECTS[dialect].read(answer.content, stream):
            assert not PLACEHOLDER.search("\n".join([said.text, said.name, *_opened(said.arguments)]))
            # a number after a telephone number may be treated as its rest
            assert hidden.sub("*", said.text).replace("* 1 < 2", "* < 2") == want.replace("* 1 < 2", "* < 2")
            assert said.name.startswith("for-") and said.name.removeprefix("for-") in values


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "text/plain", "application/json", ""])
def test_whatever_a_stream_says_it_is(restoring: World, masking: World, echo: Echo, content_type: str) -> None:
    """Its bytes decide, not its content type."""
    personal = Personal(9)
    hidden, asked, want = [], [], []
    for number, dialect in enumerate(DIALECTS):
        seed = 2_000_000 + 2 * number
        echo.told[seed + 1000] = Said(personal.text(), personal.name(), json.dumps(personal.tree()))
        request = {**translatable(dialect, seed)[0], "model": "echo", "seed": seed, **_streamed(dialect)}
        hidden.append((dialect, True, json.dumps(request).encode()))
        asked.append((dialect, True, json.dumps({**request, "seed": seed + 1000}).encode()))
        want.append(echoed(request))
    echo.content_type = content_type
    restored, masked = _ask(restoring, hidden), _ask(masking, asked)
    echo.content_type = None
    problems: list[Any] = []
    for dialect, answer, said in zip(DIALECTS, restored, want):
        assert answer.status_code == 200 and answer.complete, (dialect, answer)
        problems += [(dialect, each) for got in DIALECTS[dialect].read(answer.content, True) for each in _differences(said.text, got.text)]
    for dialect, answer in zip(DIALECTS, masked):
        assert answer.status_code == 200 and answer.complete, (dialect, answer)
        problems += [(dialect, value) for value in personal.values if value.encode() in answer.content]
    assert not problems, "\n".join(map(str, problems))


def _streamed(dialect: str) -> dict[str, Any]:
    return {} if dialect == "gemini" else {"stream": True}


def test_a_stream_that_is_an_array(restoring: World, echo: Echo) -> None:
    """Gemini's answers without `alt=sse`."""
    for number in range(2):
        request, values = conversation("gemini", 8000 + number)
        echo.bodies.clear()
        answer = restoring.send(json.dumps(request).encode(), path="/v1beta/models/echo:streamGenerateContent")
        assert answer.status_code == 200, answer.text
        assert _seen(echo.bodies[0], values) == []
        (said,) = DIALECTS["gemini"].read_events(answer.json())
        assert (said.text, said.name) == echoed(request)[:2]


def test_answers_are_masked(masking: World, echo: Echo) -> None:
    """New values from a model are masked in texts, names and arguments, including nested JSON."""
    made = []
    for number in range(MASKED):
        dialect = list(DIALECTS)[number % len(DIALECTS)]
        personal = Personal(1000 + number)
        text = json.dumps(personal.tree()) if number % 5 == 0 else " ".join(personal.text() for _ in range(4))
        seed, stream = 1_000_000 + number, number % 4 > 0
        echo.told[seed] = Said(text, personal.name(), json.dumps(personal.tree()))
        path = {} if dialect == "gemini" else {"stream": stream}
        made.append((dialect, stream, {**_QUESTIONS[dialect], "model": "echo", "seed": seed, **path}, personal.values))
    answers = _ask(masking, [(dialect, stream, json.dumps(body).encode()) for dialect, stream, body, _ in made])
    problems: list[str] = []
    for (dialect, stream, body, values), answer in zip(made, answers):
        case = f"{dialect} {body['seed']}{' streamed' if stream else ''}"
        assert answer.status_code == 200 and answer.complete, (case, answer)
        told = echo.told[body["seed"]]
        problems += [f"{case}: {value!r} was shown" for value in values if value.encode() in answer.content]
        for said in DIALECTS[dialect].read(answer.content, stream):
            shown = "\n".join(_all([said.text, said.name, said.arguments]))
            problems += [f"{case}: {value!r} was shown" for value in values if value in shown]
            pairs = [(_skeleton(told.text), _skeleton(said.text))]
            if DIALECTS[dialect].calls:
                pairs += [("for-US_SSN", said.name), (_skeleton(told.arguments), _skeleton(said.arguments))]
            problems += [f"{case}: {each}" for pair in pairs for each in _differences(*pair)]
    assert not problems, f"{len(problems)} problems:\n" + "\n".join(problems[:20])
    print(f"\n{len(made)} answers masked, with {sum(len(values) for *_, values in made)} values")


_SAID = [{"role": "user", "content": "Who?"}]
_QUESTIONS: dict[str, dict[str, Any]] = {
    "chat": {"messages": _SAID},
    "completions": {"prompt": "Who?"},
    "responses": {"input": "Who?"},
    "messages": {"messages": _SAID, "max_tokens": 100},
    "gemini": {"contents": [{"parts": [{"text": "Who?"}]}]},
    "ollama": {"messages": _SAID},
}
