"""Answers of one JSON text that are larger than what the guard holds of an answer: images with their revised prompts, and Gemini's
stream as an array. They are restored, masked and blocked like small ones, and images pass as they are."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import httpx
import pytest

import answers
from conftest import OpenWorld
from guarded import Fake, Way, check, guarded, since, verdicts
from player import Played, Player
from settings import Settings
from world import BEARER, World, eventually

IMAGES = "/v1/images/generations"
GEMINI = "/v1beta/models/{model}:streamGenerateContent"
ADDRESS, PLACEHOLDER = "ann@example.com", "<EMAIL_ADDRESS_1>"
CARD, MASK = "4111 1111 1111 1111", "<CREDIT_CARD>"
BAD = "E-4711"
DATA = "QUJD" * (6 << 18)  # 6 MiB
USAGE = {"input_tokens": 7, "output_tokens": 31, "total_tokens": 38}
SAID = f"A cat with {CARD}, for {PLACEHOLDER}."


def _image(*images: dict[str, Any]) -> bytes:
    return json.dumps({"created": 1, "data": images, "usage": USAGE}).encode()


def _element(say: str, data: str) -> dict[str, Any]:
    parts = [{"text": say}, {"inlineData": {"mimeType": "image/png", "data": data}}, {"text": say}]
    return {"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}]}


PLAYED = {
    "first": _image({"revised_prompt": SAID, "b64_json": DATA}),
    "last": _image({"b64_json": DATA, "revised_prompt": SAID}),
    "several": _image(*[{"b64_json": DATA[: 3 << 19], "revised_prompt": f"{SAID} {number}"} for number in range(5)]),
    "many": _image(*[{"b64_json": DATA[: 5 << 19], "revised_prompt": SAID}] * 5),
    "small": _image({"b64_json": "QUJD", "revised_prompt": SAID}),
    "array": json.dumps([_element(SAID, DATA), _element(SAID, "QUJD")], indent=2).encode(),
    "bad-first": _image({"revised_prompt": f"Of {BAD}.", "b64_json": DATA}),
    "bad-last": _image({"revised_prompt": "A cat.", "b64_json": DATA}, {"b64_json": DATA, "revised_prompt": f"Of {BAD}."}),
    "venom": _image({"revised_prompt": "Of venom.", "b64_json": DATA}),
    "venom-last": _image({"b64_json": DATA, "revised_prompt": "Of venom."}),
    "bad-small": _image({"revised_prompt": f"Of {BAD}.", "b64_json": "QUJD"}),
    "bad-array": json.dumps([_element("A cat.", DATA), _element(f"Of {BAD}.", DATA)]).encode(),
    "unreadable": b'{"created":%b,"data":[{"b64_json":"%b"}]}' % (b"1" * 100_000, DATA.encode()),
    "unreadable-late": b'{"data":[{"b64_json":"%b"}],"created":%b}' % (DATA.encode(), b"1" * 100_000),
}
LARGE = ("first", "last", "several", "array")


@pytest.fixture(scope="module")
def _fake() -> Iterator[Fake]:
    with Fake() as fake:
        yield fake


@pytest.fixture(scope="module")
def _world(settings: Callable[[], Settings], open_world: OpenWorld, _fake: Fake) -> Iterator[World]:
    with Player({name: Played("application/json", body) for name, body in PLAYED.items()}) as player:
        changed = settings()
        changed.upstreams["player"] = {"cluster": "player", "dialects": ["openai", "gemini"], "forward_headers": ["x-answer"]}
        changed.add_cluster("player", player.address)
        changed.add_cluster("classifier", _fake.address)
        for model in ("plain", "restored", "masked", "blocked", "asked", "allow"):
            changed.add_model(model, "player")
        custom = {"custom": [{"name": "EMPLOYEE_ID", "regex": "E-[0-9]{4}"}]}
        checks = [
            {"name": "hide", "api": "patterns", "phase": ["request"], "action": "restore", "models": ["restored", "masked"]},
            {"name": "mask", "api": "patterns", "phase": ["response"], "action": "mask", "entities": ["CREDIT_CARD"], "models": ["masked"]},
            {"name": "block", "api": "patterns", "phase": ["response"], "action": "block", **custom, "models": ["blocked"]},
            {"name": "allow", "api": "patterns", "phase": ["response"], "action": "block", **custom, "models": ["allow"], "on_failure": "allow"},
            check("ask", phase=["response"], models=["asked"], timeout="5s"),
        ]
        with open_world(guarded(changed, checks).text()) as world:
            yield world


@pytest.fixture
def fake(_fake: Fake) -> Fake:
    _fake.reset()
    return _fake


@pytest.fixture
def world(_world: World) -> World:
    _world.settle()
    return _world


def _ask(world: World, model: str, answer: str) -> httpx.Response:
    text = f"Write to {ADDRESS}."
    path, body = IMAGES, {"model": model, "prompt": text}
    if "array" in answer:
        path, body = GEMINI.format(model=model), {"contents": [{"role": "user", "parts": [{"text": text}]}]}  # type: ignore[dict-item]
    return world.send(json.dumps(body).encode(), path=path, headers={**BEARER, "x-answer": f"{answer}/65536"})


@pytest.mark.parametrize("answer", [*LARGE, "small"])
@pytest.mark.parametrize("model", ["plain", "restored", "masked", "asked", "allow"])
def test_texts_are_changed_and_images_are_not(world: World, model: str, answer: str) -> None:
    before = verdicts(world)
    want = PLAYED[answer].decode()
    if model in ("restored", "masked"):
        want = want.replace(PLACEHOLDER, ADDRESS)
    if model == "masked":
        want = want.replace(CARD, MASK)
    response = _ask(world, model, answer)
    assert response.status_code == 200
    assert response.text == want
    assert not any("error" in verdict for _, _, verdict in since(before, verdicts(world)))


@pytest.mark.parametrize("model", ["blocked", "allow"])
@pytest.mark.parametrize("answer", ["bad-first", "bad-small"])
def test_a_blocked_image_is_an_error(world: World, model: str, answer: str) -> None:
    """The client has nothing of it yet."""
    before = verdicts(world)
    response = _ask(world, model, answer)
    assert response.status_code == 400 and BAD not in response.text
    assert answers.openai_error(response)["code"] == "content_filter"
    name = "block" if model == "blocked" else "allow"
    eventually(lambda: since(before, verdicts(world)), {(name, "response", "block"): 1})


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_a_service_blocks_an_image(world: World, fake: Fake, delay: float) -> None:
    """Its answer comes between two pieces, or after the last one."""
    fake.way = Way(delay=delay)
    before = verdicts(world)
    for _ in range(3):
        response = _ask(world, "asked", "venom")
        assert (response.status_code, answers.openai_error(response)["code"]) == (400, "content_filter")
        response = _ask(world, "asked", "venom-last")
        assert response.status_code == 200 and "venom" not in response.text
        assert response.json()["data"][0]["b64_json"] == DATA
        assert _ask(world, "asked", "several").content == PLAYED["several"]
    eventually(lambda: since(before, verdicts(world))["ask", "response", "block"], 6)


def test_a_service_that_is_too_slow(world: World, fake: Fake) -> None:
    """More waits for it than Envoy buffers."""
    fake.way = Way(delay=2)
    before = verdicts(world)
    response = _ask(world, "asked", "many")
    assert response.status_code == 200 and "cat" not in response.text
    assert response.json()["data"][0]["b64_json"] == DATA[: 5 << 19]
    assert since(before, verdicts(world))["ask", "response", "error_busy"] == 1


def test_a_service_that_fails(world: World, fake: Fake) -> None:
    fake.way = Way(status=500)
    response = _ask(world, "asked", "first")
    assert (response.status_code, answers.openai_error(response)["code"]) == (503, "guard_unavailable")
    response = _ask(world, "asked", "last")
    assert response.status_code == 200 and "cat" not in response.text
    assert response.json()["data"][0]["b64_json"] == DATA


@pytest.mark.parametrize("model", ["blocked", "allow"])
def test_the_rest_of_a_blocked_image_is_missing(world: World, model: str) -> None:
    response = _ask(world, model, "bad-last")
    assert response.status_code == 200 and BAD not in response.text
    assert response.json()["data"][0] == {"revised_prompt": "A cat.", "b64_json": DATA}


def test_a_blocked_array_ends_like_a_filtered_answer(world: World) -> None:
    response = _ask(world, "blocked", "bad-array")
    assert response.status_code == 200 and BAD not in response.text
    first, *_, last = response.json()
    parts = _element("A cat.", DATA)["candidates"][0]["content"]["parts"]
    # its last text is checked together with the bad one
    assert first["candidates"][0]["content"]["parts"] == parts[:2]
    assert last["candidates"][0]["finishReason"] == "SAFETY"


def test_what_cannot_be_read(world: World) -> None:
    before = verdicts(world)
    response = _ask(world, "blocked", "unreadable")
    assert (response.status_code, answers.openai_error(response)["code"]) == (503, "guard_unavailable")
    eventually(lambda: since(before, verdicts(world)), {("block", "response", "error_event"): 1})
    late = _ask(world, "blocked", "unreadable-late")
    assert late.status_code == 200 and late.json()["data"][0]["b64_json"] == DATA and "111" not in late.text
    for answer in ("unreadable", "unreadable-late"):
        assert _ask(world, "allow", answer).content == PLAYED[answer]
    eventually(lambda: since(before, verdicts(world))["allow", "response", "error_event"], 2)
