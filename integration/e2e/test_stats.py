"""The metrics for Prometheus: names, labels, and no secrets."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

import demo
from child import ROOT
from world import BEARER, CHAT, MESSAGES, SECRETS, World, chat_body, eventually

LABELS = {
    "llm_requests_total": ["key", "model", "cluster", "status"],
    "llm_tokens_total": ["key", "model", "cluster", "type"],
    "llm_attempts_total": ["cluster", "outcome"],
    "llm_usage_source_total": ["source"],
}
GAUGES = {"llm_in_flight": ["cluster"], "llm_ejected": ["cluster"]}
WRONG = {"x-api-key": "sk-wrong"}
# Headers, path, body, then the labels of the counted request.
REFUSED = [
    ({}, CHAT, chat_body(), ("none", "none", "none", "401")),
    (WRONG, CHAT, chat_body(), ("none", "none", "none", "401")),
    (BEARER, "/nowhere", chat_body(), ("none", "none", "none", "404")),
    (BEARER, CHAT, b"{", ("demo-user", "none", "none", "400")),
    (BEARER, CHAT, chat_body(model="stranger"), ("demo-user", "none", "none", "404")),
    (BEARER, MESSAGES, b"[]", ("demo-user", "none", "none", "400")),
    (BEARER, CHAT, chat_body("x" * (9 << 20)), ("demo-user", "none", "none", "413")),
]


def test_manual_lists_all_metrics() -> None:
    """Every name that the wasm can define, with its labels, and no other."""
    defined = dict(re.findall(r'"(llm_[a-z_]+)((?:;[a-z]+=[^;"]*)*)"', (ROOT / "src" / "wire_names.rs").read_text()))
    listed = {}
    for row in re.findall(r"^\| (`llm_.*)$", (ROOT / "docs" / "observability.md").read_text(), re.MULTILINE):
        names, labels = row.split(" | ", 1)
        listed.update({name: labels for name in re.findall(r"`(llm_[a-z_]+)`", names)})
    assert sorted(listed) == sorted(defined)
    labels = {name: re.findall(r";([a-z]+)=", labels) for name, labels in defined.items()}
    assert {name: wanted for name, wanted in labels.items() if not all(f"`{label}`" in listed[name] for label in wanted)} == {}


def test_names_and_labels(world: World) -> None:
    world.fault({"fault": "status", "status": 503}, "mock-a")
    for _ in range(6):
        assert world.chat().status_code == 200
    for metric, labels in (LABELS | GAUGES).items():
        series = world.series(metric)
        assert series and all(list(found) == labels for found, _ in series), metric
    assert "wasmcustom" not in world.gateway.prometheus()


def test_values(world: World) -> None:
    before = {metric: world.counted(metric) for metric in LABELS}
    headers = {"x-api-key": demo.ADMIN_KEY}
    assert world.send(chat_body("one two three", stream=True), headers=headers).status_code == 200
    name, _ = world.entry()
    want = {
        "llm_requests_total": Counter({("demo-admin", "gpt-4o", name, "200"): 1}),
        "llm_tokens_total": Counter({("demo-admin", "gpt-4o", name, "input"): 3, ("demo-admin", "gpt-4o", name, "output"): 12}),
        "llm_attempts_total": Counter({(name, "success"): 1}),
        "llm_usage_source_total": Counter({("reported",): 1}),
    }
    eventually(lambda: {metric: world.counted(metric) - before[metric] for metric in LABELS}, want)


@pytest.mark.parametrize(("fault", "source"), [({"no_usage": True}, "estimated"), ({"fault": "truncate_stream"}, "partial")])
def test_sources(world: World, fault: dict, source: str) -> None:
    before = world.counted("llm_usage_source_total")
    world.fault(fault)
    assert world.chat(stream=True).status_code == 200
    eventually(lambda: world.counted("llm_usage_source_total") - before, Counter({(source,): 1}))


@pytest.mark.parametrize("variant", ["usage_on_last_chunk", "continuous_usage"])
def test_usage_of_other_servers(world: World, variant: str) -> None:
    """LiteLLM reports it in the last chunk with choices; vLLM has running totals in each chunk."""
    before = world.counted("llm_tokens_total")
    world.fault({variant: True})
    assert world.chat(stream=True).status_code == 200
    name, _ = world.entry()
    want = Counter({("demo-user", "gpt-4o", name, "input"): 1, ("demo-user", "gpt-4o", name, "output"): 10})
    eventually(lambda: world.counted("llm_tokens_total") - before, want)


@pytest.mark.parametrize(("headers", "path", "body", "labels"), REFUSED)
def test_refused_requests_are_counted(world: World, headers: dict, path: str, body: bytes, labels: tuple) -> None:
    before = world.counted("llm_requests_total")
    assert world.send(body, path=path, headers=headers).status_code == int(labels[3])
    eventually(lambda: world.counted("llm_requests_total") - before, Counter({labels: 1}))


def test_failed_requests_are_counted(world: World) -> None:
    before = world.counted("llm_requests_total")
    world.fault({"fault": "refuse"})
    assert world.chat().status_code == 503
    eventually(lambda: (world.counted("llm_requests_total") - before).total(), 1)
    ((key, model, _, status),) = world.counted("llm_requests_total") - before
    assert (key, model, status) == ("demo-user", "gpt-4o", "503")


def test_strange_names_do_not_break_the_metrics(wide_world: World) -> None:
    for name in ('a"b', "a;key=b", "a\\", "ü{}", "m" * 256, "a.b:c", "a=b,c"):
        wide_world.chat(model=name)
    wide_world.settle()
    lines = [line for line in wide_world.gateway.prometheus().splitlines() if line.startswith(tuple(LABELS))]
    series = [each for metric in LABELS for each in wide_world.series(metric)]
    assert len(lines) == len(series)
    assert {len(labels) for labels, _ in wide_world.series("llm_requests_total")} == {4}


def test_no_secrets(world: World) -> None:
    """Neither in stats, nor in the log, nor in Envoy's `/config_dump`."""
    world.fault({"fault": "status", "status": 503}, "mock-a")
    for headers in (BEARER, WRONG, {"api-key": demo.ADMIN_KEY}):
        world.send(chat_body(), headers=headers)
    shown = world.everything_shown() + json.dumps(world.gateway.ask("/config_dump?include_eds"))
    assert "gpt-4o" in shown
    assert [secret for secret in (*SECRETS, "sk-wrong") if secret in shown] == []
