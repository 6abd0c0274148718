"""Writes envoy/prometheus/gen_ai_rules.yaml: Prometheus rules that give Sluice's metrics OpenTelemetry's names for generative AI.

Envoy's histograms count milliseconds, and the convention's count seconds. So each bucket of envoy.yaml gets a rule, whose label `le`
is the same bound in seconds. Run it again after a change of the buckets; a test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
ENVOY_YAML = ROOT / "envoy" / "envoy.yaml"
RULES = ROOT / "envoy" / "prometheus" / "gen_ai_rules.yaml"

# The histograms: the convention's name, Sluice's name.
HISTOGRAMS = {
    "gen_ai_client_operation_duration_seconds": "llm_request_duration_ms",
    "gen_ai_server_time_to_first_token_seconds": "llm_time_to_first_token_ms",
}
HEAD = """\
# OpenTelemetry's names for generative AI, in Prometheus' spelling, from Sluice's metrics, which stay as they are. The labels too:
# `gen_ai_request_model` beside `model`, and `gen_ai_token_type` (input, output) beside `type`. Made by integration/gen_ai_rules.py
# from the buckets in envoy.yaml. Envoy counts milliseconds, the convention seconds.
groups:
  - name: sluice gen_ai
    rules:
"""


def buckets(metric: str) -> list[float]:
    """A histogram's buckets in envoy.yaml."""
    settings = yaml.safe_load(ENVOY_YAML.read_text())["stats_config"]["histogram_bucket_settings"]
    (found,) = [each["buckets"] for each in settings if each["match"]["prefix"] == f"wasmcustom.{metric}"]
    return found


def _named(expression: str) -> str:
    return f'label_replace({expression}, "gen_ai_request_model", "$1", "model", "(.*)")'


def rules() -> list[dict[str, Any]]:
    """All rules, in order."""
    tokens = 'label_replace({}, "gen_ai_token_type", "$1", "type", "(.*)")'
    made = [
        # Sluice counts tokens, without a histogram: so there is the sum, and the number of answered requests, but only one bucket.
        {"record": "gen_ai_client_token_usage_sum", "expr": _named(tokens.format('llm_tokens_total{type=~"input|output",outcome=""}'))},
    ]
    for suffix, labels in (("_count", {}), ("_bucket", {"le": "+Inf"})):
        for kind in ("input", "output"):
            expression = _named('sum without (status) (llm_requests_total{status=~"2..",model!="none"})')
            made.append({"record": f"gen_ai_client_token_usage{suffix}", "expr": expression, "labels": {"gen_ai_token_type": kind, "type": kind, **labels}})
    for name, metric in HISTOGRAMS.items():
        for bound in [*(f"{each:g}" for each in buckets(metric)), "+Inf"]:
            # Prometheus writes bounds like `600000`, and Envoy does, too
            seconds = bound if bound == "+Inf" else f"{float(bound) / 1000:g}"
            written = bound if bound == "+Inf" else str(int(float(bound)))
            made.append({"record": f"{name}_bucket", "expr": _named(f'{metric}_bucket{{le="{written}"}}'), "labels": {"le": seconds}})
        made.append({"record": f"{name}_sum", "expr": _named(f"{metric}_sum / 1000")})
        made.append({"record": f"{name}_count", "expr": _named(f"{metric}_count")})
    return made


def text() -> str:
    """The file."""
    lines = []
    for rule in rules():
        lines.append(f"      - record: {rule['record']}")
        lines.append(f"        expr: {rule['expr']}")
        if labels := rule.get("labels"):
            lines.append("        labels: {" + ", ".join(f'{name}: "{value}"' for name, value in labels.items()) + "}")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    RULES.write_text(text())
