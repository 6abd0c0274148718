"""Envoy accepts every example configuration."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from child import ROOT
from envoy_binary import find_envoy
from gateway import WASM
from settings import long_form

FILES = [ROOT / "envoy" / "envoy.yaml", *sorted((ROOT / "envoy" / "examples").glob("*.yaml"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_envoy_accepts_it(file: Path, tmp_path: Path) -> None:
    """With the secrets that it names in the environment. The filters read their part too."""
    run = _validated(long_form(file), tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "configuration is refused" not in run.stderr


def test_envoy_reports_misspellings(tmp_path: Path) -> None:
    """Also in the part that only the filters know."""
    text = FILES[0].read_text()
    run = _validated(text.replace("usage: {access_log: true", "usage: {acces_log: true"), tmp_path)
    assert run.returncode != 0 and 'did you mean "access_log"' in run.stderr


@pytest.mark.parametrize("name", ["azure.yaml", "bedrock.yaml", "providers.yaml", "vertex.yaml"])
def test_provider_examples_match_the_demo(name: str) -> None:
    """An example of providers has all of envoy.yaml except callers, models, clusters and secrets."""
    lines = FILES[0].read_text().splitlines()
    marks = ["# - {id: team-a", "# 2. Which models", "usage: {", "# 3. The model servers"]
    callers, models, usage, clusters = (next(at for at, line in enumerate(lines) if mark in line) for mark in marks)
    shared = lines[8:callers] + lines[usage + 1 : clusters]
    missing = set(shared) - set((FILES[0].parent / "examples" / name).read_text().splitlines())
    assert {line for line in missing if not re.search("host_env_keys|action: {name: mock-", line)} == set()


def _validated(text: str, directory: Path) -> subprocess.CompletedProcess[str]:
    (directory / "sluice.wasm").symlink_to(WASM.resolve())
    (directory / "envoy.yaml").write_text(text)
    for name in re.findall(r"path_config_source: \{path: \./([\w-]+\.yaml)\}", text):
        (directory / name).write_text("resources: []\n")
    names = re.findall(r"host_env_keys: \[(.*?)\]", text) + re.findall(r"\{environment_variable: (\w+)\}", text)
    secrets = {name.strip(): "secret" for each in names for name in each.split(",")}
    assert secrets
    command = [find_envoy(), "--mode", "validate", "-c", "envoy.yaml"]
    return subprocess.run(command, cwd=directory, env={**os.environ, **secrets}, capture_output=True, text=True, timeout=120)
