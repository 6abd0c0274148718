"""The real classifiers by themselves. They answer in the shapes that the gateway reads, and the labels of prompts.json roughly
match their results. (Gateway tests compare with the classifiers' results, not with the labels.)"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from child import fetch
from classifier import Classifier, Unavailable

PROMPTS = json.loads((Path(__file__).parent / "prompts.json").read_text())
ENTITIES = ["EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "US_SSN"]
# Percent. They differ if a number can be read in two ways.
AGREED = 95


def started(make: Callable[[], Classifier]) -> Iterator[Classifier]:
    """Runs the classifier, or skips the test if its packages cannot be installed."""
    try:
        running = make().start()
    except Unavailable as why:
        pytest.skip(str(why))
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def toxicity() -> Iterator[Classifier]:
    yield from started(Classifier.toxicity)


@pytest.fixture(scope="module")
def presidio() -> Iterator[Classifier]:
    yield from started(Classifier.presidio)


def labelled(field: str) -> list[dict[str, Any]]:
    """The prompts with this label; both classes have the same size."""
    prompts = [prompt for prompt in PROMPTS if prompt[field] is not None]
    assert sum(bool(prompt[field]) for prompt in prompts) * 2 == len(prompts) == 100
    return prompts


def test_toxic_prompts(toxicity: Classifier) -> None:
    prompts = labelled("toxic")
    answer = toxicity.ask("/v1/moderations", {"input": [prompt["text"] for prompt in prompts], "model": "any"})
    assert len(answer["results"]) == len(prompts)
    wrong = [
        (prompt["text"], result["category_scores"])
        for prompt, result in zip(prompts, answer["results"])
        if prompt["toxic"] != result["flagged"]
    ]
    assert len(wrong) <= len(prompts) - AGREED, wrong


def test_prompts_with_personal_data(presidio: Classifier) -> None:
    prompts = labelled("pii")
    texts = [prompt["text"] for prompt in prompts]
    answer = presidio.ask("/analyze", {"text": texts, "language": "en", "entities": ENTITIES})
    assert len(answer) == len(prompts)
    wrong = [
        (prompt, findings)
        for prompt, findings in zip(prompts, answer)
        if prompt["pii"] != sorted({finding["entity_type"] for finding in findings})
    ]
    assert len(wrong) <= len(prompts) - AGREED, wrong


def test_one_text(toxicity: Classifier, presidio: Classifier) -> None:
    """A single text is answered like a list of one; Presidio's offsets count characters."""
    (result,) = toxicity.ask("/v1/moderations", {"input": "you are an idiot"})["results"]
    assert result["flagged"] is True and result["categories"] == {"toxicity": True}
    text = "é 😀 ann@example.com"
    (found,) = presidio.ask("/analyze", {"text": text, "language": "en", "entities": ["EMAIL_ADDRESS"]})
    assert text[found["start"] : found["end"]] == "ann@example.com"


def test_anonymize(presidio: Classifier) -> None:
    found = [{"entity_type": "EMAIL_ADDRESS", "start": 3, "end": 18, "score": 1.0}]
    question = {"text": "to ann@example.com", "analyzer_results": found}
    answer = presidio.ask("/anonymize", question)
    assert answer["text"] == "to <EMAIL_ADDRESS>"
    assert [item["operator"] for item in answer["items"]] == ["replace"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/analyze", {"language": "en"}, 500),
        ("/analyze", {"text": "a"}, 500),
        ("/analyze", {"text": 3, "language": "en"}, 422),
        ("/anonymize", {"analyzer_results": []}, 500),
        ("/elsewhere", {}, 404),
    ],
)
def test_wrong_questions(presidio: Classifier, path: str, body: Any, status: int) -> None:
    url = f"http://127.0.0.1:{presidio.port}{path}"
    got, answer = fetch(url, "POST", json.dumps(body).encode(), {"Content-Type": "application/json"})
    assert (got, list(json.loads(answer))) == (status, ["error"])
