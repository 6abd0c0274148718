"""The example configurations agree with envoy.yaml, and Envoy reports mistakes in them. (test_config.py starts every example.)"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

import demo
from child import ROOT
from envoy_binary import find_envoy
from gateway import WASM

ENVOY_YAML = ROOT / "envoy" / "envoy.yaml"


def test_envoy_reports_misspellings(tmp_path: Path) -> None:
    """Also in the part that only the filters know."""
    text = ENVOY_YAML.read_text().replace("usage: {access_log: true", "usage: {acces_log: true")
    (tmp_path / "sluice.wasm").symlink_to(WASM.resolve())
    (tmp_path / "envoy.yaml").write_text(text)
    command = [find_envoy(), "--mode", "validate", "-c", "envoy.yaml"]
    env = {**os.environ, **demo.ENVIRONMENT}
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode != 0 and 'did you mean "access_log"' in run.stderr


@pytest.mark.parametrize("name", ["azure.yaml", "bedrock.yaml", "providers.yaml", "vertex.yaml"])
def test_provider_examples_match_the_demo(name: str) -> None:
    """An example of providers has all of envoy.yaml except callers, models, clusters and secrets."""
    lines = ENVOY_YAML.read_text().splitlines()
    marks = ["# - {id: team-a", "# 2. Which models", "usage: {", "# 3. The model servers"]
    callers, models, usage, clusters = (next(at for at, line in enumerate(lines) if mark in line) for mark in marks)
    shared = lines[8:callers] + lines[usage + 1 : clusters]
    missing = set(shared) - set((ENVOY_YAML.parent / "examples" / name).read_text().splitlines())
    assert {line for line in missing if not re.search("host_env_keys|action: {name: mock-", line)} == set()
