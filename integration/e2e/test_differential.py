"""Compares the gateway's translation of requests with the package `litellm`: equal, except for intended differences."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import python_env
from child import ROOT
from table import Table
from translator import translate

DIFFERENTIAL = ROOT / "integration" / "differential"
sys.path.insert(0, str(DIFFERENTIAL))

from chats import MODELS, chats  # noqa: E402
from rules import RULES, Case  # noqa: E402

REQUESTS = 200


@pytest.fixture(scope="module")
def python() -> Path:
    """A Python with the package."""
    try:
        return python_env.ensure(ROOT / "integration" / "requirements-litellm.txt", "litellm")
    except python_env.InstallFailed as failure:
        pytest.skip(f"litellm cannot be had: {failure}")


def _theirs(python: Path, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = "".join(json.dumps(task) + "\n" for task in tasks)
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # it asks GitHub for prices, and waits
    run = subprocess.run([python, DIFFERENTIAL / "theirs.py"], input=lines, stdout=subprocess.PIPE, text=True, check=True, timeout=300, env=env)
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_requests_are_translated_alike(python: Path, request: pytest.FixtureRequest) -> None:
    drawn = [(pair, model, chat) for pair in MODELS for model, chat in chats(pair, REQUESTS)]
    theirs = _theirs(python, [{"pair": pair, "model": model, "request": chat} for pair, model, chat in drawn])
    ours = translate(
        {"pair": pair, "do": "request", "model": model, "stream": chat.get("stream", False), "body": json.dumps(chat).encode()}
        for pair, model, chat in drawn
    )
    table = Table(f"requests translated as litellm does, of {REQUESTS} (after intended differences)", list(MODELS))
    meant: Counter[tuple[str, str]] = Counter()
    alike: Counter[str] = Counter()
    unlike = []
    for (pair, model, chat), own, other in zip(drawn, ours, theirs):
        assert "refused" not in own and "refused" not in other, (own, other)
        case = Case(pair, model, chat, json.loads(own["body"]), copy.deepcopy(other["body"]))
        alike[f"{pair} at once"] += case.ours == case.theirs
        meant.update((pair, rule.name) for rule in RULES[pair] if rule.takes_away(case))
        alike[pair] += case.ours == case.theirs
        if case.ours != case.theirs:
            unlike.append((pair, model, json.dumps(case.ours, sort_keys=True), json.dumps(case.theirs, sort_keys=True)))
    for pair in MODELS:
        table.put("equal", pair, f"{alike[pair]} ({alike[f'{pair} at once']} at once)")
        for rule in RULES[pair]:
            table.put(rule.name, pair, str(meant[pair, rule.name]))
            assert meant[pair, rule.name], f"{pair}: {rule.name} is of no use"
    table.show(request.config)
    assert not unlike, unlike[:3]
