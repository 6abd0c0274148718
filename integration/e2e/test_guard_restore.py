"""Personal data reaches no model and comes back to the client: made-up conversations, echoed whole and streamed."""

from __future__ import annotations

import json
import random
import string
from typing import Any, Callable, Iterator

import pytest

import answers
import crowd
from conftest import OpenWorld
from echo import Echo, said
from guarded import guarded, verdicts
from settings import Settings
from world import BEARER, World, eventually

SEED = 6
CONVERSATIONS = 500
AT_ONCE = 20
CUSTOM = {"name": "PROJECT", "regex": 'project "[a-z]{6}\\\\[a-z]{3}"'}
CHECK = {"name": "pii", "api": "patterns", "phase": ["request"], "action": "restore"}
ENTITIES = "EMAIL_ADDRESS PHONE_NUMBER CREDIT_CARD IBAN_CODE IP_ADDRESS US_SSN API_KEY".split()
WORDS = 'é, "and"|<b>then</b>|a & b|1 < 2|&lt;|\\n\\t|日本語|🙂🙂|<EMAIL_|<|see <PHONE_NUMBER_x>|\n\n|</s>|x'.split("|")


def _digits(rng: random.Random, count: int) -> str:
    return str(rng.randrange(10 ** (count - 1), 10**count))


def _letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=count))


def _card(rng: random.Random) -> str:
    number = "4" + _digits(rng, 14)
    doubled = [int(digit) * (2 - at % 2) for at, digit in enumerate(number)]
    return number + str(-sum(each - 9 * (each > 9) for each in doubled) % 10)


def _iban(rng: random.Random) -> str:
    account = _digits(rng, 18)
    return f"DE{98 - int(account + '131400') % 97:02}{account}"


# As people write them.
MAKERS: list[Callable[[random.Random], str]] = [
    lambda rng: f"{_letters(rng, 6)}.{_letters(rng, 4)}@{_letters(rng, 5)}.com",
    lambda rng: f"+49 30 {_digits(rng, 8)}",
    _card,
    _iban,
    lambda rng: ".".join(str(rng.randrange(11, 240)) for _ in range(4)),
    lambda rng: f"{rng.randrange(100, 600)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}",
    lambda rng: "ghp_" + "".join(rng.sample(3 * (string.ascii_letters + string.digits), 36)),
    lambda rng: f'project "{_letters(rng, 6)}\\{_letters(rng, 3)}"',
]


def _text(rng: random.Random, values: list[str]) -> str:
    """Some of the values, and what might be taken for placeholders."""
    parts = [part for value in values for part in (rng.choice(WORDS), f"ssn {value}" if value[3:4] == "-" else value)]
    return " ".join([*parts, rng.choice(WORDS)])


def _conversation(seed: int) -> tuple[dict[str, Any], list[str]]:
    """A request and what it has to hide."""
    rng = random.Random(SEED * CONVERSATIONS + seed)
    values = [make(rng) for make in rng.sample(MAKERS, rng.randrange(1, 5))]
    values += [rng.choice(MAKERS)(rng)]
    messages = [
        {"role": "system", "content": _text(rng, rng.sample(values, 1))},
        {"role": "user", "content": _text(rng, values)},
        {"role": "assistant", "content": _text(rng, rng.sample(values, 1))},
        {"role": "user", "content": [{"type": "text", "text": _text(rng, [rng.choice(values)])}]},
    ]
    return {"model": "echo", "stream": seed % 4 > 0, "seed": seed, "messages": messages}, values


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    with Echo() as echo:
        yield echo


@pytest.fixture(scope="module")
def _world(settings: Callable[[], Settings], open_world: OpenWorld, echo: Echo) -> Iterator[World]:
    changed = settings()
    changed.add_cluster("echo", echo.address)
    changed.upstreams["echo"] = {"dialects": ["openai"]}
    changed.add_model("echo", "echo")
    guarded(changed, [{**CHECK, "entities": ENTITIES, "custom": [CUSTOM]}])
    with open_world(changed.text()) as world:
        yield world


def _told(answer: crowd.Answer) -> tuple[str, str]:
    """An answer's text, and its tool call's arguments."""
    if not answer.is_stream:
        message = answer.json()["choices"][0]["message"]
        return message["content"], message["tool_calls"][0]["function"]["arguments"]
    *chunks, done = answers.events(answer.content)
    assert done == "[DONE]"
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
    text = "".join(delta.get("content") or "" for delta in deltas)
    return text, "".join(call["function"]["arguments"] for call in calls)


@pytest.mark.parametrize("ascii_only", [True, False])
def test_everything_comes_back(_world: World, echo: Echo, ascii_only: bool) -> None:
    echo.bodies.clear()
    before = sum(verdicts(_world).values())
    half = range(CONVERSATIONS // 2) if ascii_only else range(CONVERSATIONS // 2, CONVERSATIONS)
    conversations = [_conversation(seed) for seed in half]
    bodies = [json.dumps(request, ensure_ascii=ascii_only).encode() for request, _ in conversations]
    for (request, values), answer in zip(conversations, crowd.ask(_world.gateway.port, bodies, AT_ONCE)):
        assert answer.status_code == 200 and answer.complete, answer
        text, arguments = _told(answer)
        want = said(request["messages"])
        assert text == want
        assert json.loads(arguments) == {"text": want}
        assert all(value in text for value in values)
    assert len(echo.bodies) == len(half)
    _assert_hidden(echo, [value for _, values in conversations for value in values])
    eventually(lambda: sum(verdicts(_world).values()) - before, len(half))
    shown = _world.everything_shown()
    assert not [value for _, values in conversations for value in values if value in shown]


def _assert_hidden(echo: Echo, values: list[str]) -> None:
    """The server has seen none of it, written out or escaped."""
    seen = b"".join(echo.bodies).decode() + "".join(said(json.loads(body)["messages"]) for body in echo.bodies)
    assert not [value for value in values if value in seen]


def test_placeholders_stay_the_same(_world: World, echo: Echo) -> None:
    """One number for one value, in the whole conversation; the rest of the request is the client's, byte by byte."""
    echo.bodies.clear()
    template = (
        b'{ "model" :"echo","seed":0,"messages": [ {"role":"system","content":"\\u00e9 \\/"},'
        b'{"role":"system","content":"%b"},{"role":"user",'
        b'"content":"%b and %b, \\"%b\\""} ],  "temperature": 0.10 }'
    )
    ann, bob = b"ann@example.com", b"bob@example.com"
    answer = _world.send(template % (ann, bob, ann, bob), headers=BEARER)
    one, two = b"<EMAIL_ADDRESS_1>", b"<EMAIL_ADDRESS_2>"
    assert echo.bodies == [(template % (one, two, one, two)).replace(b'"echo"', b'"gpt-4o-echo"')]
    assert answers.content(answer) == 'é / | ann@example.com | bob@example.com and ann@example.com, "bob@example.com"'
