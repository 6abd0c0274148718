"""Every configuration that is there to be copied is one that Envoy takes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from child import ROOT
from envoy_binary import find_envoy
from gateway import WASM

FILES = [ROOT / "envoy" / "envoy.yaml", *sorted((ROOT / "envoy" / "examples").glob("*.yaml"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_envoy_takes_it(file: Path, tmp_path: Path) -> None:
    """With whatever secrets it names in the environment; the filters read their part too."""
    (tmp_path / "sluice.wasm").symlink_to(WASM.resolve())
    names = re.findall(r"host_env_keys: \[(.*?)\]", file.read_text())
    secrets = {name.strip(): "secret" for each in names for name in each.split(",")}
    assert secrets
    command = [find_envoy(), "--mode", "validate", "-c", file]
    run = subprocess.run(command, cwd=tmp_path, env={**os.environ, **secrets}, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "configuration is refused" not in run.stderr
    # A slip in what only the filters know is seen as well.
    broken = tmp_path / "broken.yaml"
    broken.write_text(file.read_text().replace("usage: {access_log: true", "usage: {acces_log: true"))
    run = subprocess.run([*command[:-1], broken], cwd=tmp_path, env={**os.environ, **secrets}, capture_output=True, text=True, timeout=120)
    assert run.returncode != 0 and 'did you mean "access_log"' in run.stderr
