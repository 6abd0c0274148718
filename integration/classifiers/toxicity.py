"""Toxicity by a real classifier (`alt-profanity-check`: a linear SVM over words), in the shape of OpenAI's
`POST /v1/moderations`. It knows one category, `toxicity`, and flags from a score of 0.5 on.

    python=$(python3 integration/python_env.py integration/classifiers/requirements-toxicity.txt toxicity)
    $python integration/classifiers/toxicity.py --port 9301
    curl -s localhost:9301/v1/moderations -d '{"input": ["you are an idiot", "good morning"]}'
"""

from __future__ import annotations

import os
import uuid
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # texts are too short for several threads

from profanity_check import predict_prob

from service import serve, texts

CATEGORY = "toxicity"
THRESHOLD = 0.5
MODEL = "alt-profanity-check"


def moderate(request: Any) -> Any:
    """Answers one request."""
    inputs, _ = texts(request, "input", 400)
    scores = [float(score) for score in predict_prob(inputs)] if inputs else []
    return {"id": f"modr-{uuid.uuid4().hex}", "model": MODEL, "results": [_result(score) for score in scores]}


def _result(score: float) -> Any:
    flagged = score >= THRESHOLD
    return {"flagged": flagged, "categories": {CATEGORY: flagged}, "category_scores": {CATEGORY: score}}


def _error(message: str) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


if __name__ == "__main__":
    predict_prob(["the first prediction takes longer"])
    serve("toxicity", {"/v1/moderations": moderate}, _error)
