"""A real Prometheus scrapes the gateway; its rules and the dashboard's queries find data."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
import urllib.parse
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import gen_ai_rules
import prometheus
from child import ROOT, Child, fetch, free_port
from conftest import OpenWorld
from settings import Settings
from world import World, chat_body, eventually

RULES = ROOT / "envoy" / "prometheus"
DASHBOARD = ROOT / "envoy" / "grafana" / "dashboard.json"
# Values of Grafana's variables, short enough for a test's traffic.
VARIABLES = {"$__rate_interval": "15s", "$__range": "1m", "$key": ".*", "$model": ".*", "$cluster": ".*"}


def _program(name: str) -> Path:
    try:
        return prometheus.find(name)
    except prometheus.NoPrometheus as problem:
        pytest.skip(str(problem))


def test_rules() -> None:
    """Their own tests pass, and Prometheus accepts the files."""
    promtool = _program("promtool")
    for arguments in (["test", "rules", "rules_test.yaml", "gen_ai_rules_test.yaml"], ["check", "config", "prometheus.yaml"]):
        run = subprocess.run([promtool, *arguments], cwd=RULES, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stdout + run.stderr


def test_gen_ai_rules_are_those_of_the_buckets() -> None:
    """If not: python3 integration/gen_ai_rules.py"""
    assert gen_ai_rules.RULES.read_text() == gen_ai_rules.text()


@pytest.fixture(scope="module")
def busy_world(open_world: OpenWorld, settings: Any) -> Iterator[World]:
    """A gateway that merges histograms often, and ejects clusters quickly."""
    changed: Settings = settings()
    changed.values("router")["ejection"] = {"consecutive_failures": 2, "time": "1s", "max_time": "1s"}
    with open_world(changed.text()) as world:
        yield world


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The current samples."""
        parameters = urllib.parse.urlencode({"query": expression})
        status, body = fetch(f"{self.url}/api/v1/query?{parameters}")
        answer = json.loads(body)
        assert status == 200 and answer["status"] == "success", (expression, answer)
        return answer["data"]["result"]


@pytest.fixture(scope="module")
def scraper(busy_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """prometheus.yaml with this run's address, and shorter intervals."""
    program, port, directory = _program("prometheus"), free_port(), tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((RULES / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [busy_world.gateway.admin.removeprefix("http://")]
    (directory / "prometheus.yaml").write_text(json.dumps(config))
    (directory / "gen_ai_rules.yaml").write_text((RULES / "gen_ai_rules.yaml").read_text())
    (directory / "rules.yaml").write_text((RULES / "rules.yaml").read_text().replace("[5m]", "[15s]"))
    command = [program, "--config.file=prometheus.yaml", f"--storage.tsdb.path={directory}/data", f"--web.listen-address=127.0.0.1:{port}"]
    child = Child("prometheus", command, directory / "prometheus.log", cwd=directory)
    try:
        child.wait_for(f"http://127.0.0.1:{port}/-/ready", 30)
        yield Prometheus(port)
    finally:
        child.stop()


def _traffic(world: World, seconds: float) -> None:
    """Everything that a dashboard shows: JSON and streams, errors, failed attempts, ejected clusters."""
    deadline, number = time.monotonic() + seconds, 0
    world.fault({"fault": "status", "status": 503}, "mock-a")
    while time.monotonic() < deadline:
        number += 1
        world.chat("one two three", stream=bool(number % 2))
        world.send(chat_body(model="stranger"))
        if number % 10 == 0:
            world.fault({"fault": "status", "status": 500}, "mock-b", "mock-c")
            world.chat()
            world.fault({}, "mock-b", "mock-c")
        time.sleep(0.05)


def _expressions() -> list[str]:
    """Every query of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert len(expressions) > 20
    return expressions


def test_dashboard_and_rules(busy_world: World, scraper: Prometheus) -> None:
    busy_world.reset()
    _traffic(busy_world, 4)
    rules = yaml.safe_load((RULES / "rules.yaml").read_text())
    recorded = [rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule]
    recorded += sorted({rule["record"] for rule in gen_ai_rules.rules()})
    expressions = {query: query for query in recorded}
    for query in _expressions():
        filled = query
        for variable, value in VARIABLES.items():
            filled = filled.replace(variable, value)
        expressions[query] = filled
    silent = set(expressions)
    deadline = time.monotonic() + 30
    while silent and time.monotonic() < deadline:
        _traffic(busy_world, 1)
        silent -= {query for query in silent if _has_numbers(scraper.query(expressions[query]))}
    assert silent == set()
    assert any(float(sample["value"][1]) for sample in scraper.query("llm_ejections_total"))


def _has_numbers(samples: list[dict[str, Any]]) -> bool:
    return any(sample["value"][1] != "NaN" for sample in samples)


def test_prometheus_agrees_with_the_gateway(busy_world: World, scraper: Prometheus) -> None:
    """The scraped values are the gateway's counts."""
    busy_world.reset()
    for _ in range(5):
        assert busy_world.chat("one two three").status_code == 200
    busy_world.settle()
    for metric in ("llm_requests_total", "llm_tokens_total", "llm_cost_microusd_total"):
        want = busy_world.counted(metric).total()
        eventually(lambda: sum(float(sample["value"][1]) for sample in scraper.query(metric)), want, 10)


NAMES = ("a.b c", "a;model=b;cluster=c", "a|b", 'q"uo\'te\\', "ünïcode 漢字", "x" * 256, "a,b={}", "_rq_")


def test_unusual_names(open_world: OpenWorld, settings: Any) -> None:
    """Prometheus' own parser reads every line, and no label is too long."""
    changed: Settings = settings()
    changed.models.append({"name": "*", "targets": [{"upstream": "mock-c", "model": "gpt-4o-mock-c"}]})
    for number, name in enumerate(NAMES):
        digest = hashlib.sha256(f"sk-{number}".encode()).hexdigest()
        changed.values("auth")["keys"].append({"id": name, "hash": f"sha256:{digest}"})
    with open_world(changed.text()) as world:
        for number, name in enumerate(NAMES):
            answer = world.send(chat_body(model=name, stream=True), headers={"x-api-key": f"sk-{number}"})
            assert answer.status_code == 200, (name, answer.text)
        eventually(lambda: len(_families(world)["llm_request_duration_ms"].samples) >= len(NAMES), True)
        ours = _families(world)
    labels = [sample.labels for family in ours.values() for sample in family.samples]
    assert {"llm_requests", "llm_tokens", "llm_time_to_first_token_ms", "llm_request_duration_ms", "llm_output_tokens_per_second"} <= set(ours)
    assert max(len(value) for found in labels for value in found.values()) <= 100
    cases = [("llm_requests", ["cluster", "key", "model", "status"]), ("llm_tokens", ["cluster", "key", "model", "type"])]
    for family, names in cases:
        assert all(sorted(sample.labels) == names for sample in ours[family].samples)
    cut = {"a.b_c", "a_model_b_cluster_c", "a_b", "q_uo_te_", "_n_code___", "x" * 100, "a_b___", "_rq_"}
    for label in ("key", "model"):
        assert {sample.labels[label] for sample in ours["llm_requests"].samples} == cut


def test_label_sets_are_bounded(open_world: OpenWorld, settings: Any) -> None:
    """After a number of names for one key, further ones are `other`; everything is counted."""
    changed: Settings = settings()
    changed.models.append({"name": "*", "targets": [{"upstream": "mock-c", "model": "gpt-4o-mock-c"}]})
    with open_world(changed.text()) as world:
        sent = 150
        for number in range(sent):  # over one connection, so at one worker
            assert world.chat(model=f"m{number}").status_code == 200
        world.settle()
        counted = world.counted("llm_requests_total")
        assert (counted.total(), len(counted)) == (sent, 101)
        assert counted["demo-user", "other", "mock-c", "200"] == sent - 100
        eventually(lambda: world.counted("llm_request_duration_ms_count").total(), sent)
        measured = world.counted("llm_request_duration_ms_count")
        assert (len(measured), measured["other", "mock-c"]) == (101, sent - 100)


def _families(world: World) -> dict[str, Any]:
    families = text_string_to_metric_families(world.gateway.prometheus())
    return {family.name: family for family in families if family.name.startswith("llm_")}


def test_histogram(busy_world: World) -> None:
    """Its buckets are those of envoy.yaml; the slow answer is in the right bucket."""
    busy_world.reset()
    busy_world.fault({"delay_ms": 300})
    before = busy_world.counted("llm_time_to_first_token_ms_bucket")
    assert busy_world.chat(stream=True).status_code == 200
    read = lambda: {float(le) for *_, le in busy_world.counted("llm_time_to_first_token_ms_bucket") - before}  # noqa: E731
    eventually(read, {500, 1000, 2500, 5000, 10000, 30000, 60000, float("inf")})
