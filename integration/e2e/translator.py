"""The gateway's translation without Envoy: runs the example that the native tests build."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any, Iterable

from child import ROOT

PROGRAM = ROOT / "target" / "debug" / "translate"


def translate(tasks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of these tasks. Bytes in a task are sent as base64, and `body` is returned as bytes."""
    lines = [json.dumps({name: _encoded(value) for name, value in task.items()}) for task in tasks]
    run = subprocess.run([PROGRAM], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    for answer in answers:
        if "body" in answer:
            answer["body"] = base64.b64decode(answer["body"])
    return answers


def _encoded(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
