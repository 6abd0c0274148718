"""The pieces of `make release`, and the systemd unit."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

import release
from child import ROOT

UNIT = ROOT / "envoy" / "systemd" / "sluice.service"


def test_the_bill_of_materials(tmp_path: Path) -> None:
    """It lists the libraries of the filters with their licences, but none that only tests or builds use."""
    if not shutil.which("cargo"):
        pytest.skip("no cargo")
    program = tmp_path / "sluice.wasm"
    program.write_bytes(b"\0asm")
    crate, target = release.PROGRAMS["sluice.wasm"]
    bill = json.loads(release.bill(release.metadata(target), crate, program))
    assert bill["bomFormat"] == "CycloneDX" and bill["metadata"]["component"]["name"] == "sluice.wasm"
    found = {each["name"]: each for each in bill["components"]}
    assert {"sluice", "serde_json"} <= set(found) and not {"proptest", "assert_cmd", "clap"} & set(found)
    assert [name for name, each in found.items() if not each.get("licenses")] == []
    assert found["serde_json"]["purl"].startswith("pkg:cargo/serde_json@")
    references = {each["bom-ref"] for each in [*bill["components"], bill["metadata"]["component"]]}
    assert {each["ref"] for each in bill["dependencies"]} == references


def test_the_chart_is_packed_whole() -> None:
    """With the files that it links to, and the same bytes each time."""
    chart = ROOT / "envoy" / "helm" / "sluice"
    packed = release.archive(chart, "sluice")
    assert packed == release.archive(chart, "sluice")
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert all(entry.isfile() for entry in tar)
        assert yaml.safe_load(tar.extractfile("sluice/Chart.yaml").read())["name"] == "sluice"
        assert tar.extractfile("sluice/files/drain.sh").read() == (ROOT / "envoy" / "drain.sh").read_bytes()


def test_checksums(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "SHA256SUMS").write_text(release.checksums(tmp_path))
    if not shutil.which("sha256sum"):
        pytest.skip("no sha256sum")
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True, timeout=10)


def test_versions_agree() -> None:
    """Of the crates, the chart, and the chart's image."""
    chart = yaml.safe_load((ROOT / "envoy" / "helm" / "sluice" / "Chart.yaml").read_text())
    assert f'version = "{chart["version"]}"' in (ROOT / "Cargo.toml").read_text() and chart["appVersion"] == chart["version"]


def test_the_unit(tmp_path: Path) -> None:
    """systemd accepts it, it leaves time to drain, and its rights are few."""
    text = UNIT.read_text()
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    command = lines["ExecStart"].split()
    assert int(lines["TimeoutStopSec"]) > int(command[command.index("--drain-timeout") + 1])
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    # it wants a program that exists
    (tmp_path / UNIT.name).write_text(text.replace(command[0], "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / UNIT.name], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=20", tmp_path / UNIT.name], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout[-200:]
