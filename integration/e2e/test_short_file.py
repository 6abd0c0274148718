"""From a short file to a gateway: as an operator does it, with `sluice` and a real Envoy."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Iterator

import pytest

import demo
from child import ROOT, TARGET, TOOL, fetch
from commands import ready, running
from envoy_binary import find_envoy
from gateway import WASM, Gateway, MockModels
from world import chat_body, eventually

EXAMPLE = ROOT / "envoy" / "examples" / "three-providers.yaml"
SECRETS = {"OPENAI_API_KEY": "openai-secret", "AZURE_OPENAI_API_KEY": "azure-secret", "ANTHROPIC_API_KEY": "anthropic-secret"}
MODELS = {"openai": "gpt-4o", "azure": "my-gpt-4o", "anthropic": "claude-sonnet-4-5"}


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, MockModels]]:
    """Servers that replace the three providers; each knows one key."""
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
    """The example; only the providers' addresses are different."""
    text = EXAMPLE.read_text()
    for name, server in providers.items():
        url = f'url: "http://127.0.0.1:{server.port}/v1"'
        text, found = re.subn(rf"(provider: {name})", rf"\1, {url}", text)
        assert found == 1
    return text + "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"


def render(text: str) -> str:
    """The output of `sluice render`."""
    return subprocess.run([TOOL, "render", "-"], input=text, capture_output=True, text=True, timeout=30, check=True).stdout


def test_three_providers(providers: dict[str, MockModels]) -> None:
    """In at most 30 lines: fallbacks work, a limit is reported, and no provider sees the address."""
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


def test_run(providers: dict[str, MockModels], tmp_path: Path) -> None:
    """One command: it answers, applies a change while a stream runs, refuses a wrong one, and ends after the stream."""
    for server in providers.values():
        server.clear()
    file = tmp_path / "sluice.yaml"
    file.write_text(short_file(providers))
    env = {**SECRETS, "ENVOY": str(find_envoy()), "XDG_RUNTIME_DIR": str(tmp_path)}
    with running([TOOL, "run", file, "--wasm", WASM, "--concurrency", "1"], env, tmp_path) as (child, said):
        port, admin = ready(child, said)
        assert demo.chat(port)[0] == 200
        providers["openai"].fault({"chunk_delay_ms": 400, "text": "one two three four five six seven eight nine ten"})
        request = chat_body(stream=True)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", demo.CHAT_PATH, request, demo.CHAT_HEADERS)
        stream = connection.getresponse()
        assert stream.status == 200
        new_key = {**demo.CHAT_HEADERS, "Authorization": "Bearer sk-new"}
        whoami = f"http://127.0.0.1:{port}/gateway/whoami"
        assert fetch(whoami, headers=new_key)[0] == 401
        statuses: list[int] = []
        changed = threading.Event()

        def call() -> None:
            while not changed.is_set():
                statuses.append(fetch(whoami, headers=demo.CHAT_HEADERS)[0])

        caller = threading.Thread(target=call)
        caller.start()
        digest = hashlib.sha256(b"sk-new").hexdigest()
        replace(file, "upstreams:", f'  - {{id: new, hash: "sha256:{digest}"}}\n\nupstreams:')
        eventually(lambda: fetch(whoami, headers=new_key)[0], 200, 10)
        replace(file, "strategy: priority", "strategy: preority")
        eventually(lambda: "not applied" in said() and "preority" in said(), True, 10)
        assert fetch(whoami, headers=new_key)[0] == 200
        changed.set()
        caller.join(30)
        assert len(statuses) > 10 and set(statuses) == {200}
        child.send_signal(signal.SIGTERM)
        eventually(lambda: fetch(f"{admin}/ready")[0], 503)
        assert fetch(whoami, headers=new_key)[0] == 200, "who still comes is served"
        whole = stream.read().decode()
        assert "ten" in whole and whole.rstrip().endswith("data: [DONE]")
        assert child.wait(30) == 0
    assert not list(tmp_path.glob("sluice-run-*"))
    with pytest.raises(OSError):
        fetch(whoami)


def test_one_binary(providers: dict[str, MockModels], tmp_path: Path) -> None:
    """In an empty directory: the static program has the filters inside."""
    binary = TARGET / "sluice"
    if not binary.exists():
        pytest.skip("`make cli` builds the static program")
    shutil.copy(binary, tmp_path / "sluice")
    (tmp_path / "sluice.yaml").write_text(short_file(providers))
    env = {**SECRETS, "ENVOY": str(find_envoy()), "XDG_RUNTIME_DIR": str(tmp_path)}
    with running([tmp_path / "sluice", "run", "sluice.yaml", "--concurrency", "1"], env, tmp_path) as (child, said):
        port, _ = ready(child, said)
        assert demo.chat(port)[0] == 200
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0


def replace(file: Path, old: str, new: str) -> None:
    """Saves a change in place, as editors do."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_mistake_has_its_line(tmp_path: Path) -> None:
    """Before Envoy is started."""
    file = tmp_path / "sluice.yaml"
    file.write_text("upstreams:\n  openai: {provider: opnai}\n")
    run = subprocess.run([TOOL, "render", file], capture_output=True, text=True, timeout=30, env=os.environ)
    assert run.returncode == 1 and 'sluice.yaml:2: upstreams.openai.provider: "opnai"' in run.stderr
