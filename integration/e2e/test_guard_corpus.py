"""The labelled prompts through a gateway with the real classifiers: it blocks exactly what they flag."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator

import pytest

import answers
from classifier import Classifier
from conftest import OpenWorld
from guarded import check, guarded, since, verdicts
from recorder import Recorder
from settings import Settings
from test_classifiers import ENTITIES, PROMPTS, started
from world import World, eventually

AT_ONCE = 4
TIMEOUT = "20s"
# In a form that no library writes.
BODY = '{{ "messages" : [{{"role":"user", "content":{text} }}],"model":"{model}",  "x-order": [ 1, 2.50 ] {rest}}}'
USAGE = b'"stream_options":{"include_usage":true},'


@pytest.fixture(scope="module")
def toxicity() -> Iterator[Classifier]:
    yield from started(Classifier.toxicity)


@pytest.fixture(scope="module")
def presidio() -> Iterator[Classifier]:
    yield from started(Classifier.presidio)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


@pytest.fixture(scope="module")
def _world(
    settings: Callable[[], Settings],
    open_world: OpenWorld,
    toxicity: Classifier,
    presidio: Classifier,
    recorder: Recorder,
) -> Iterator[World]:
    changed = settings()
    changed.add_cluster("toxicity", toxicity.address)
    changed.add_cluster("presidio", presidio.address)
    changed.add_cluster("recorder", recorder.address)
    changed.upstreams["recorder"] = {"dialects": ["openai"]}
    changed.add_model("recorded", "recorder")
    analyze = {"api": "presidio", "entities": ENTITIES, "timeout": TIMEOUT}
    checks = [check("toxic", "toxicity", timeout=TIMEOUT), check("pii", "presidio", **analyze)]
    with open_world(guarded(changed, checks).text()) as world:
        yield world


def test_verdicts_are_the_classifiers(
    _world: World, toxicity: Classifier, presidio: Classifier, recorder: Recorder
) -> None:
    texts = [prompt["text"] for prompt in PROMPTS]
    assert len(texts) == 200
    moderated = toxicity.ask("/v1/moderations", {"input": texts})["results"]
    analyzed = presidio.ask("/analyze", {"text": texts, "language": "en", "entities": ENTITIES})
    before = verdicts(_world)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        responses = list(threads.map(lambda number: _world.send(_body(number, "recorded")), range(len(texts))))
    for number, (moderation, found, response) in enumerate(zip(moderated, analyzed, responses)):
        assert (response.status_code == 400) == (moderation["flagged"] or bool(found)), texts[number]
        if response.status_code == 400:
            _assert_names(response, moderation["flagged"], {finding["entity_type"] for finding in found}, texts[number])
    passed = [number for number, response in enumerate(responses) if response.status_code == 200]
    # the rest is unchanged, byte for byte
    assert sorted(request.body for request in recorder.requests) == sorted(_sent_on(number) for number in passed)
    blocked = {name: 0 for name in ("toxic", "pii")}
    for response in responses:
        if response.status_code == 400:
            blocked[response.json()["error"]["message"].split("`")[1]] += 1
    assert sum(blocked.values()) + len(passed) == len(texts) and all(blocked.values())
    counted = since(before, verdicts(_world))
    assert {verdict for _, _, verdict in counted} == {"pass", "block"}
    print(f"{len(passed)} passed, blocked: {blocked}")


def _assert_names(response: Any, toxic: bool, entities: set[str], text: str) -> None:
    """The error names a check and its finding, and quotes nothing."""
    error = answers.openai_error(response)
    assert (error["code"], error["param"]) == ("content_filter", "messages")
    said = {f"The request was blocked by the check `pii`: {entity}." for entity in entities}
    said |= {"The request was blocked by the check `toxic`: toxicity."} if toxic else set()
    assert error["message"] in said
    assert text not in response.text


def _body(number: int, model: str) -> bytes:
    """A request; half of them ask for a stream."""
    text = json.dumps(PROMPTS[number]["text"], ensure_ascii=number % 2 == 0)
    return BODY.format(text=text, model=model, rest=',"stream":true' if number % 4 > 1 else "").encode()


def _sent_on(number: int) -> bytes:
    """The same with the router's changes."""
    body = _body(number, "gpt-4o-recorder")
    return b"{" + USAGE + body[1:] if b'"stream":true' in body else body


def test_personal_data_is_masked_where_presidio_finds_it(
    settings: Callable[[], Settings], open_world: OpenWorld, presidio: Classifier, recorder: Recorder
) -> None:
    """Its offsets count characters, whatever comes before them."""
    changed = settings()
    changed.add_cluster("presidio", presidio.address)
    changed.add_cluster("recorder", recorder.address)
    changed.upstreams["recorder"] = {"dialects": ["openai"]}
    changed.add_model("recorded", "recorder")
    analyze = {"api": "presidio", "entities": ["EMAIL_ADDRESS"], "timeout": TIMEOUT, "action": "mask"}
    recorder.requests.clear()
    with open_world(guarded(changed, [check("pii", "presidio", **analyze)]).text()) as world:
        response = world.chat('é 😀 "ann@example.com" 日本 bob@example.com.', model="recorded")
        assert response.status_code == 200
        (request,) = recorder.requests
        (message,) = json.loads(request.body)["messages"]
        assert message["content"] == 'é 😀 "<EMAIL_ADDRESS>" 日本 <EMAIL_ADDRESS>.'
        eventually(lambda: verdicts(world), {("pii", "request", "mask"): 1})
