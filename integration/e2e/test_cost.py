"""The cost of a request, compared with bench/cost.json. A commit that raises a figure gives the reason."""

from __future__ import annotations

import shutil

import pytest

import cost
import instructions


def test_calls_between_envoy_and_the_filters() -> None:
    result = cost.measure(counts_instructions=False)
    assert not cost.excess(result), cost.table(result)


def test_instructions() -> None:
    for program in ("valgrind", "callgrind_control"):
        if not shutil.which(program):
            pytest.skip(f"no {program}")
    try:
        result = cost.measure()
    except instructions.NotCounted as why:
        pytest.skip(f"callgrind does not work here: {why}")
    assert not cost.excess(result), cost.table(result)


def test_figures_above_the_accepted_ones() -> None:
    result = {"entries": 20, "host_calls": 26.5, "instructions": {"bare": 100, "sluice": 204, "added": 104}}
    assert cost.excess(result, {"entries": 20, "host_calls": 26, "added": 101}) == []
    assert cost.excess(result, {"entries": 19, "host_calls": 26, "added": 100}) == [
        "entries: 20 for each request, where 19 are accepted",
        "added: 104 for each request, where 100 are accepted",
    ]
