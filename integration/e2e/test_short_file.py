"""A short file becomes a gateway: as an operator writes it, through `sluice`, in a real Envoy."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

import demo
from child import ROOT, fetch
from gateway import Gateway, MockModels

TOOL = ROOT / "target" / "sluice"
EXAMPLE = ROOT / "envoy" / "examples" / "three-providers.yaml"
SECRETS = {"OPENAI_API_KEY": "openai-secret", "AZURE_OPENAI_API_KEY": "azure-secret", "ANTHROPIC_API_KEY": "anthropic-secret"}
MODELS = {"openai": "gpt-4o", "azure": "my-gpt-4o", "anthropic": "claude-sonnet-4-5"}


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, MockModels]]:
    """Servers that stand for the three, each of which knows one key."""
    servers = {
        name: MockModels(name, api_key=secret, models=[model])
        for (name, model), secret in zip(MODELS.items(), SECRETS.values())
    }
    try:
        for server in servers.values():
            server.start()
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def short_file(providers: dict[str, MockModels]) -> str:
    """The example, with the providers' addresses as the only change."""
    text = EXAMPLE.read_text()
    for name, server in providers.items():
        url = f'url: "http://127.0.0.1:{server.port}/v1"'
        text, found = re.subn(rf"(provider: {name})", rf"\1, {url}", text)
        assert found == 1
    return text + "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"


def render(text: str) -> str:
    """What `sluice render` makes of it."""
    return subprocess.run([TOOL, "render", "-"], input=text, capture_output=True, text=True, timeout=30, check=True).stdout


def test_three_providers(providers: dict[str, MockModels]) -> None:
    """In at most 30 lines: each answers when those before it fail, a limit is told, and no provider sees the address."""
    assert len(EXAMPLE.read_text().splitlines()) <= 30
    with Gateway(render(short_file(providers)), env=SECRETS) as gateway:
        for name in ("openai", "azure", "anthropic"):
            status, body = demo.chat(gateway.port, text=demo.PERSONAL)
            assert status == 200, body
            answer = json.loads(body)
            assert demo.PERSONAL in answer["choices"][0]["message"]["content"]
            asked = json.dumps(providers[name].requests())
            assert "<EMAIL_ADDRESS_1>" in asked and demo.ADDRESS not in asked
            providers[name].fault({"fault": "status", "status": 503})
        assert demo.chat(gateway.port)[0] == 503
        status, limits = fetch(f"http://127.0.0.1:{gateway.port}/gateway/limits", headers=demo.CHAT_HEADERS)
        assert status == 200 and b"requests_per_minute" in limits
        record = json.loads(gateway.output().splitlines()[0])
        assert record["sluice"]["key"] == "alice" and record["sluice"]["cluster"] == "openai"


def test_a_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    """Before Envoy is there."""
    file = tmp_path / "sluice.yaml"
    file.write_text("upstreams:\n  openai: {provider: opnai}\n")
    run = subprocess.run([TOOL, "render", file], capture_output=True, text=True, timeout=30, env=os.environ)
    assert run.returncode == 1 and 'sluice.yaml:2: upstreams.openai.provider: "opnai"' in run.stderr
