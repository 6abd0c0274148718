"""What `make compose PROFILES=...` adds to the demo's containers, as far as it can be told without a registry."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import compose
import demo
import prometheus
from child import ROOT, TOOL
from test_tooling import _values


@pytest.mark.parametrize("profile", compose.PROFILES)
def test_profiles_of_compose(monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    """Compose accepts each profile, and starts its services only if it is asked for. (Their images need a registry.)"""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (compose.STAGE / "mock").mkdir(parents=True, exist_ok=True)

    monkeypatch.setenv("PROFILES", profile)
    try:
        command = [*compose.compose_command(guarded=False), "config"]
    except compose.ComposeFailed as why:
        pytest.skip(str(why))
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    services = yaml.safe_load(ended.stdout)["services"]
    assert {name for name, service in services.items() if not service.get("profiles")} == {"envoy", *(server.name for server in demo.SERVERS)}
    # (docker-compose 1.29 prints those of other profiles as well.)
    added = {name: service for name, service in services.items() if profile in service.get("profiles", [])}
    assert set(added) == ({"redis", "webdis"} if profile == "redis" else {profile})
    for service in added.values():
        assert service.get("image") or service["build"]
        for volume in service.get("volumes", []):
            source = Path(volume["source"] if isinstance(volume, dict) else volume.partition(":")[0])
            assert source.exists() or source.is_relative_to(compose.STAGE), source


def test_profiles_that_do_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILES", "redis, grafana")
    with pytest.raises(compose.ComposeFailed, match="PROFILES has grafana, which is no profile: choose from "):
        compose.profiles()


def test_the_cache_of_compose(tmp_path: Path) -> None:
    """With PROFILES=redis the demo's configuration has a cache and its cluster, nothing else, and no mistake."""
    original = yaml.safe_load(demo.ENVOY_YAML.read_text())
    text = compose.with_redis(demo.ENVOY_YAML.read_text())
    cached = yaml.safe_load(text)
    clusters = cached["static_resources"]["clusters"]
    (webdis,) = [cluster for cluster in clusters if cluster["name"] == "webdis"]
    assert {"address": "webdis", "port_value": 7379} in _values(webdis, "socket_address")
    assert json.loads((ROOT / "integration" / "webdis.json").read_text())["http_port"] == 7379
    clusters.remove(webdis)
    (models,) = _values(cached, "models")
    assert models[0].pop("cache")["store"]["redis"]["cluster"] == "webdis"
    assert cached == original
    (tmp_path / "envoy.yaml").write_text(text)
    done = subprocess.run([TOOL, "check", tmp_path / "envoy.yaml"], capture_output=True, text=True, timeout=60, env={**os.environ, **demo.ENVIRONMENT})
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_of_compose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It has the rules that the shipped file names, and scrapes Envoy by its name."""
    monkeypatch.setattr(compose, "STAGE", tmp_path)
    compose.stage_prometheus()
    directory = tmp_path / "prometheus"
    config = yaml.safe_load((directory / "prometheus.yaml").read_text())
    assert config["scrape_configs"][0]["static_configs"] == [{"targets": ["envoy:9901"]}]
    assert all((directory / name).exists() for name in config["rule_files"])
    try:
        promtool = prometheus.find("promtool")
    except prometheus.NoPrometheus as why:
        pytest.skip(str(why))
    done = subprocess.run([promtool, "check", "config", directory / "prometheus.yaml"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
