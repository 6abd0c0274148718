"""The gateway's translation by itself, without an Envoy around it: the program that `make translator` builds."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any, Iterable

from child import ROOT

PROGRAM = ROOT / "target" / "debug" / "examples" / "translate"


def translate(tasks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What becomes of each of these; what are bytes in a task goes as base64, and `body` comes back as bytes."""
    lines = [json.dumps({name: _encoded(value) for name, value in task.items()}) for task in tasks]
    run = subprocess.run([PROGRAM], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    for answer in answers:
        if "body" in answer:
            answer["body"] = base64.b64decode(answer["body"])
    return answers


def _encoded(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
