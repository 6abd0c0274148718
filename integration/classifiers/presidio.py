"""Presidio's REST service (`/analyze`, `/anonymize`, `/health`) with Presidio's packages. No package contains the service itself.

It runs Presidio's engine without a language model: patterns and checksums find e-mail addresses, phone numbers, cards, bank
accounts and so on, but no names of people or places.

    python=$(python3 integration/python_env.py integration/classifiers/requirements-presidio.txt presidio)
    $python integration/classifiers/presidio.py --port 9302
    curl -s localhost:9302/analyze -d '{"text": ["write to ann@example.com"], "language": "en"}'
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import presidio_analyzer
import tldextract.tldextract
from presidio_analyzer import AnalyzerEngine, PatternRecognizer
from presidio_analyzer.nlp_engine import NlpEngineProvider
from presidio_anonymizer import AnonymizerEngine
from presidio_anonymizer.entities import OperatorConfig, RecognizerResult

from service import Refused, serve, texts

# Otherwise the first e-mail address downloads the list of public suffixes; the bundled list is good enough.
tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)  # otherwise it warns about each entity without a model

NO_MODEL = Path(presidio_analyzer.__file__).parent / "conf" / "no_op.yaml"
analyzer = AnalyzerEngine(nlp_engine=NlpEngineProvider(conf_file=NO_MODEL).create_engine())
anonymizer = AnonymizerEngine()


def analyze(request: Any) -> Any:
    """Answers /analyze: a list of findings, or for a list of texts a list of such lists."""
    if not isinstance(request, dict) or "text" not in request:
        raise Refused(500, "No text provided")
    if not request.get("language"):
        raise Refused(500, "No language provided")
    given, is_list = texts(request, "text", 422)
    options = {
        "language": request["language"],
        "entities": request.get("entities") or None,
        "score_threshold": request.get("score_threshold"),
        "ad_hoc_recognizers": [PatternRecognizer.from_dict(each) for each in request.get("ad_hoc_recognizers") or []],
    }
    try:
        found = [[_finding(each) for each in analyzer.analyze(text=text, **options)] for text in given]
    except (TypeError, ValueError) as wrong:
        raise Refused(500, str(wrong)) from wrong
    return found if is_list else found[0]


def _finding(found: Any) -> Any:
    """In the format of Presidio's own service: without the recognizer's name."""
    value = found.to_dict()
    value.pop("recognition_metadata", None)
    return value


def anonymize(request: Any) -> Any:
    """Answers /anonymize."""
    try:
        results = [
            RecognizerResult(each["entity_type"], each["start"], each["end"], each["score"])
            for each in request["analyzer_results"]
        ]
        operators = {
            entity: OperatorConfig(options["type"], {name: value for name, value in options.items() if name != "type"})
            for entity, options in (request.get("anonymizers") or {}).items()
        }
        return json.loads(anonymizer.anonymize(request["text"], results, operators or None).to_json())
    except (KeyError, TypeError, AttributeError) as missing:
        raise Refused(500, f"missing or wrong: {missing}") from missing
    except Exception as wrong:
        raise Refused(422, str(wrong)) from wrong


if __name__ == "__main__":
    analyzer.analyze(text="the first analysis takes longer: ann@example.com", language="en")
    serve("presidio", {"/analyze": analyze, "/anonymize": anonymize}, lambda message: {"error": message})
