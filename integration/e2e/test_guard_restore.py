"""One placeholder for each value: the rest of a request is unchanged, byte for byte."""

from __future__ import annotations

from typing import Callable, Iterator

import pytest

import answers
from conftest import OpenWorld
from echo import Echo
from guarded import guarded
from personal import CHECK
from settings import Settings
from world import BEARER, World


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    with Echo() as echo:
        yield echo  # type: ignore[misc]


@pytest.fixture(scope="module")
def _world(settings: Callable[[], Settings], open_world: OpenWorld, echo: Echo) -> Iterator[World]:
    changed = settings()
    changed.add_cluster("echo", echo.address)
    changed.upstreams["echo"] = {"dialects": ["openai"]}
    changed.add_model("echo", "echo")
    guarded(changed, [{**CHECK, "phase": ["request"], "action": "restore"}])
    with open_world(changed.text()) as world:
        yield world


def test_placeholders_stay_the_same(_world: World, echo: Echo) -> None:
    """One number for each value in the whole conversation; the rest of the request is unchanged, byte for byte."""
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
