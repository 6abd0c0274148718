"""The decisive members of a request, in every spelling: the request that goes upstream means the same to every reader, and it is
what the gateway decided on.

If a name occurs twice, some readers take the first value, most the last. Go's reader also ignores the case of names, by Unicode's
simple folding.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator, NamedTuple

import httpx

import limited
from answers import openai_error
from conftest import OpenWorld
from limited import issue
from recorder import Recorded, Recorder
from settings import Settings
from world import CHAT, MESSAGES, World

LIMIT = 10_000_000
GENERATE = "/v1beta/models/recorded:generateContent"
TARGET = "the-target"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
OTHER_TOOL = {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}}

Pairs = list[tuple[str, Any]]
# A body: the written names, with escapes, each with a value; nested objects have the same form.
Body = list[tuple[str, Any]]


class Dialect(NamedTuple):
    """A path, the rest of a request, and the decisive members, each with two values. A name with a dot is inside an object."""

    path: str
    prompt: tuple[str, Any]
    members: dict[str, tuple[Any, Any]]
    # The members that limit the output, and those that multiply it, by the names of `members`.
    tokens: tuple[str, ...]
    choices: tuple[str, ...] = ()


MODELS = ("recorded", "small")
HELLO = [{"role": "user", "content": "Hello"}]
DIALECTS = [
    Dialect(
        CHAT,
        ("messages", HELLO),
        {
            "model": MODELS,
            "stream": (True, False),
            "max_tokens": (3000, 5000),
            "max_completion_tokens": (3000, 5000),
            "n": (2, 7),
            "tools": ([TOOL], [OTHER_TOOL]),
            "stream_options": ({"include_usage": True}, {"include_usage": False}),
            "stream_options.include_usage": (True, False),
        },
        ("max_tokens", "max_completion_tokens"),
        ("n",),
    ),
    Dialect(
        "/v1/responses",
        ("input", "Hello"),
        {"model": MODELS, "stream": (True, False), "max_output_tokens": (3000, 5000), "tools": ([], [TOOL]), "instructions": ("a", "b")},
        ("max_output_tokens",),
    ),
    Dialect(
        MESSAGES,
        ("messages", HELLO),
        {"model": MODELS, "stream": (True, False), "max_tokens": (3000, 5000), "tools": ([], [{"name": "f", "input_schema": {}}]), "system": ("a", "b")},
        ("max_tokens",),
    ),
    Dialect(
        "/api/chat",
        ("messages", HELLO),
        {"model": MODELS, "stream": (True, False), "options": ({"num_predict": 3000}, {"num_predict": 5000}), "options.num_predict": (3000, 5000), "tools": ([TOOL], [])},
        ("options.num_predict",),
    ),
    Dialect(
        GENERATE,
        ("contents", [{"role": "user", "parts": [{"text": "Hello"}]}]),
        {
            "generationConfig": ({"maxOutputTokens": 3000}, {"maxOutputTokens": 5000}),
            "generationConfig.maxOutputTokens": (3000, 5000),
            "generationConfig.candidateCount": (2, 7),
            "generation_config": ({"max_output_tokens": 3000}, {"max_output_tokens": 5000}),
            "generation_config.max_output_tokens": (3000, 5000),
            "systemInstruction": ({"parts": [{"text": "a"}]}, {"parts": [{"text": "b"}]}),
            "tools": ([], [{"functionDeclarations": []}]),
        },
        ("generationConfig.maxOutputTokens", "generation_config.max_output_tokens"),
        ("generationConfig.candidateCount",),
    ),
]


class Case(NamedTuple):
    """A request, and whether it may pass."""

    name: str
    dialect: Dialect
    body: Body
    good: bool


def _escaped(name: str) -> str:
    """Each letter as `\\uXXXX`, with upper- and lower-case digits."""
    return "".join(f"\\u{ord(letter):04{'xX'[index % 2]}}" for index, letter in enumerate(name))


def _look_alikes(name: str) -> list[str]:
    """Other names that Go's reader treats as this one."""
    found = [name.upper(), name[0].swapcase() + name[1:], name[:-1] + name[-1].swapcase(), _escaped(name.upper())]
    if "s" in name:
        found += [name.replace("s", "\u017f", 1), name.replace("s", "\\u017f", 1)]
    if "k" in name:
        found += [name.replace("k", "\u212a"), name.replace("k", "\\u212A")]
    return found


def _cases(dialect: Dialect) -> Iterator[Case]:
    for path, (value, other) in dialect.members.items():
        parent, _, name = path.rpartition(".")

        def case(kind: str, *members: tuple[str, Any], good: bool) -> Case:
            """The members at their place, with the rest of the request."""
            body: Body = [(parent, list(members))] if parent else list(members)
            if not parent.startswith("gen") and dialect.path != GENERATE and path != "model":
                body.insert(0, ("model", "recorded"))
            if dialect.path == CHAT and path.startswith("stream_options"):
                body.append(("stream", True))
            body.insert(len(body) // 2, dialect.prompt)
            return Case(f"{dialect.path} {path}: {kind}", dialect, body, good)

        yield case("once", (name, value), good=True)
        if path != "model":
            yield case("once, the other value", (name, other), good=True)
        yield case("the same twice", (name, value), (name, value), good=True)
        yield case("three times", (name, value), (name, value), (name, value), good=True)
        yield case("twice, differently", (name, value), (name, other), good=False)
        yield case("twice, the other way around", (name, other), (name, value), good=False)
        yield case("escaped", (_escaped(name), value), good=True)
        yield case("escaped in part, and plain", (_escaped(name[:1]) + name[1:], value), (name, value), good=True)
        yield case("escaped, differently", (name, value), (_escaped(name), other), good=False)
        for index, like in enumerate(_look_alikes(name)):
            yield case(f"{like} alone", (like, value), good=False)
            if index in (0, 4):
                yield case(f"{like} after it", (name, value), (like, other), good=False)
                yield case(f"{like} before it, the same", (like, value), (name, value), good=False)
        within = [(name, other), (name.upper(), value), (_escaped(name), value)]
        for place in ("metadata", "x"):
            yield case(f"within {place}", (name, value), (place, [("y", within), *within]) if not parent else (f"{place}2", within), good=True)


def _written(value: Any) -> str:
    """JSON in which names are written exactly as given."""
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        return "{" + ",".join(f'"{name}":{_written(item)}' for name, item in value) + "}"
    return json.dumps(value)


def _fold(name: str) -> str:
    """Go's `foldName`: ASCII case, and the two characters that fold to ASCII letters."""
    return name.replace("\u017f", "s").replace("\u212a", "k").lower()


Reader = Callable[[Any, str], Any]


def _reader(folds: bool, takes_last: bool) -> Reader:
    def read(pairs: Any, path: str) -> Any:
        name, _, rest = path.partition(".")
        pairs = pairs if isinstance(pairs, Object) else []
        found = [value for key, value in pairs if key == name or folds and _fold(key) == _fold(name)]
        value = found[-1 if takes_last else 0] if found else None
        return read(value, rest) if rest else value

    return read


class Object(Pairs):
    """An object that keeps repeated members."""


READERS = [_reader(folds, takes_last) for folds in (False, True) for takes_last in (False, True)]


def test_every_reader_reads_the_decided_values(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    cases = [case for dialect in DIALECTS for case in _cases(dialect)]
    assert len(cases) >= 300
    changed = limited.limited(settings())
    with Recorder() as recorder:
        changed.add_cluster("recorder", recorder.address)
        changed.upstreams["recorder"] = {"dialects": ["openai", "anthropic", "ollama", "gemini"]}
        changed.models.append({"name": "recorded", "targets": [{"upstream": "recorder", "model": TARGET}]})
        with open_world(changed.text()) as world, ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda index: _ask(world, index, cases[index]), range(len(cases))))
    sent = {int(request.headers["x-stainless-lang"]): request for request in recorder.requests}
    for index, (case, (answer, reserved)) in enumerate(zip(cases, found)):
        if not case.good:
            assert answer.status_code == 400 and index not in sent, (case.name, answer.text)
            if case.dialect.path in (CHAT, "/v1/responses"):
                assert openai_error(answer)["code"] == "ambiguous_parameter", case.name
            continue
        assert answer.status_code == 200, (case.name, answer.text)
        _check(case, sent.pop(index), reserved)
    assert not sent


def _ask(world: World, index: int, case: Case) -> tuple[httpx.Response, int]:
    """The answer, and the tokens that the gateway has reserved for the request, from a header."""
    headers = {"anthropic-version": "2023-06-01", "x-stainless-lang": str(index), **issue(world, {"tokens_per_minute": LIMIT})}
    answer = world.send(_written(case.body).encode(), path=case.dialect.path, headers=headers)
    return answer, LIMIT - int(answer.headers.get("x-ratelimit-remaining-tokens", LIMIT))


def _check(case: Case, request: Recorded, reserved: int) -> None:
    dialect, pairs = case.dialect, json.loads(request.body, object_pairs_hook=Object)

    def read(path: str) -> Any:
        """The value that all readers find."""
        found = [reader(pairs, path) for reader in READERS]
        assert len(set(map(json.dumps, found))) == 1, (case.name, path, request.body)
        return found[0]

    for path in (*dialect.members, dialect.prompt[0]):
        read(path)
    if dialect.path == GENERATE:
        assert read("model") is None and f"/{TARGET}:" in request.path, case.name
    else:
        assert read("model") == TARGET, case.name
    if dialect.path == CHAT:
        assert read("stream") is not True or read("stream_options.include_usage") is True, f"{case.name}: is not metered"
    tokens = max(read(path) or 0 for path in dialect.tokens)
    choices = max((read(path) or 1 for path in dialect.choices), default=1)
    assert reserved // 1000 == tokens * choices // 1000, (case.name, reserved, request.body)
