"""An upstream that moves to another server under its old name, under load: no server sees another's key, and no call fails."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

import demo
from child import TOOL, fetch
from commands import Client, Load, ready, running, taken
from envoy_binary import find_envoy
from gateway import WASM, Gateway, MockModels
from world import eventually

# The servers by name, with the variables of their keys, which the filters know from the start.
KEYS = {"first": ("GROQ_API_KEY", "first-secret"), "second": ("MISTRAL_API_KEY", "second-secret")}
ENV = dict(KEYS.values())


@pytest.fixture
def servers() -> Iterator[dict[str, MockModels]]:
    """`front` fails slowly, so that requests of the old configuration retry when the new one is in force."""
    running = {name: MockModels(name) for name in ("front", *KEYS)}
    try:
        for server in running.values():
            server.start()
        running["front"].fault({"fault": "status", "status": 503, "delay_ms": 700})
        yield running
    finally:
        for server in running.values():
            server.stop()


def _short(servers: dict[str, MockModels], at: str) -> str:
    """A gateway whose upstream `back` is the server `at`."""
    return f"""
keys: [{{id: user, hash: "sha256:{hashlib.sha256(demo.USER_KEY.encode()).hexdigest()}"}}]
upstreams:
  front: {{url: "http://127.0.0.1:{servers['front'].port}", ejection: {{consecutive_failures: 1000000}}}}
  back: {{url: "http://127.0.0.1:{servers[at].port}", credential: {{env: {KEYS[at][0]}}}}}
models:
  - {{name: gpt-4o, targets: [back]}}
  - {{name: second-try, strategy: priority, targets: [front, {{upstream: back, tier: 1}}]}}
listen: 127.0.0.1:0
admin: 127.0.0.1:0
"""


def _wrong(servers: dict[str, MockModels]) -> dict[str, list[str]]:
    """The credentials that servers got and should not have."""
    seen = {name: [each["headers"].get("authorization", "") for each in servers[name].requests()] for name in KEYS}
    assert all(seen.values()), "both servers were asked"
    return {name: [one for one in all if one != f"Bearer {KEYS[name][1]}"] for name, all in seen.items()}


def _served_by(client: Client) -> str:
    status, body = client.chat()
    assert status == 200, body
    return next(name for name in KEYS if f"Hello from {name}".encode() in body)


def _run(servers: dict[str, MockModels], file: Path, *options: str) -> Any:
    """`sluice run` with the first server's address; see `running`."""
    file.write_text(_short(servers, "first"))
    env = {**ENV, "ENVOY": str(find_envoy()), "XDG_RUNTIME_DIR": str(file.parent)}
    return running([TOOL, "run", file, "--wasm", WASM, *options], env, file.parent)


def test_run(servers: dict[str, MockModels], tmp_path: Path) -> None:
    """`sluice run`, with several moves, also back."""
    file = tmp_path / "sluice.yaml"
    with _run(servers, file, "--concurrency", "2", "--drain-timeout", "2") as (child, said):
        port, _ = ready(child, said)
        client = Client(port)
        with Load(port) as load, Load(port, "second-try", plain=8, streaming=0) as retried:
            for at in ("second", "first", "second", "first"):
                time.sleep(0.5)
                new = tmp_path / "new.yaml"
                new.write_text(_short(servers, at))
                new.replace(file)
                taken(lambda: _served_by(client) == at)
            time.sleep(3)
        assert load.failures == retried.failures == [], f"{load.failures[:3]} {retried.failures[:3]}\n{said()[-2000:]}"
        assert retried.calls > 20 and "so its cluster is a new one: back-2" in said()
        print(f"{load.calls} calls, {load.streams} streams, {retried.calls} retried")
        assert _wrong(servers) == {name: [] for name in KEYS}


def test_rendered_files(servers: dict[str, MockModels], tmp_path: Path) -> None:
    """Envoy by itself, on the files of `sluice render --dir`: the clusters keep their new names in the next file, too."""
    files = tmp_path / "files"

    def render(at: str) -> str:
        command = [TOOL, "render", "-", "--dir", files]
        subprocess.run(command, input=_short(servers, at), text=True, check=True, timeout=30, capture_output=True)
        return (files / "clusters.yaml").read_text()

    assert "name: back\n" in render("first")
    with Gateway((files / "envoy.yaml").read_text(), env=ENV, concurrency=2) as gateway:
        client = Client(gateway.port)
        with Load(gateway.port) as load, Load(gateway.port, "second-try", plain=8, streaming=0) as retried:
            time.sleep(0.5)
            for _ in range(2):
                clusters = render("second")
                assert "name: back-2\n" in clusters and "name: back\n" not in clusters
            eventually(lambda: _served_by(client), "second")
            assert "name: back-3\n" in render("first")
        assert load.failures == retried.failures == [], f"{load.failures[:3]} {retried.failures[:3]}"
        assert _wrong(servers) == {name: [] for name in KEYS}


def test_draining(servers: dict[str, MockModels], tmp_path: Path) -> None:
    """A stop: the health check fails at once, and a running stream ends whole."""
    servers["first"].fault({"chunk_delay_ms": 250, "text": " ".join(map(str, range(16)))})
    with _run(servers, tmp_path / "sluice.yaml", "--concurrency", "1", "--drain-delay", "2") as (child, said):
        port, _ = ready(child, said)
        health = f"http://127.0.0.1:{port}/healthz"
        assert fetch(health) == (200, b'{"status":"ok"}')
        answers: list[Any] = []
        stream = threading.Thread(target=lambda: answers.append(Client(port).chat(stream=True)))
        stream.start()
        eventually(lambda: len(servers["first"].requests()), 1)
        os.kill(child.pid, signal.SIGTERM)
        begun = time.monotonic()
        eventually(lambda: fetch(health)[0], 503)
        assert time.monotonic() - begun < 1 and fetch(health)[1].strip() == b'{"status":"draining"}'
        assert Client(port).chat("second-try", stream=False)[0] == 200, "other requests are served"
        stream.join(30)
        assert answers[0][0] == 200 and answers[0][1].rstrip().endswith(b"data: [DONE]")
        assert child.wait(15) == 0 and "stopped" in said()
