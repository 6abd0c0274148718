"""Changes while the gateway runs, under load: they take effect at once, also on open connections, and no call fails.

SLUICE_STREAM_SECONDS is the length of the streams (3 by default).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

import demo
from child import TOOL, fetch
from commands import Client, Load, Mount, ready, running, taken
from envoy_binary import find_envoy
from gateway import WASM, Gateway, MockModels
from world import eventually

STREAM_SECONDS = float(os.environ.get("SLUICE_STREAM_SECONDS", "3"))
ENV = {"GROQ_API_KEY": "groq-secret"}


def _hash(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, MockModels]]:
    """Model servers; `c` knows only Groq's key."""
    running = {name: MockModels(name, api_key="groq-secret" if name == "c" else None) for name in "abc"}
    try:
        for server in running.values():
            server.start()
        yield running
    finally:
        for server in running.values():
            server.stop()


@pytest.fixture(autouse=True)
def _slow(servers: dict[str, MockModels]) -> None:
    """Streams of the wanted length; whole answers come at once."""
    for server in servers.values():
        server.clear()
        server.fault({"chunk_delay_ms": 250, "text": " ".join(str(at) for at in range(int(STREAM_SECONDS * 4)))})


def _short(servers: dict[str, MockModels]) -> str:
    url = {name: f"http://127.0.0.1:{server.port}" for name, server in servers.items()}
    return f"""# A gateway for tests.

keys:
  - {{id: user, hash: "{_hash(demo.USER_KEY)}"}}
  - {{id: admin, role: admin, hash: "{_hash(demo.ADMIN_KEY)}"}}
upstreams:
  a: {{url: "{url['a']}"}}
  b: {{url: "{url['b']}"}}
ejection: {{consecutive_failures: 1, time: 10m, max_time: 10m}}
models:
  - {{name: gpt-4o, targets: [a, b]}}
listen: 127.0.0.1:0
admin: 127.0.0.1:0
"""


def _state(port: int, cluster: str) -> str:
    status, body = fetch(f"http://127.0.0.1:{port}/gateway/upstreams", headers={"Authorization": f"Bearer {demo.ADMIN_KEY}"})
    assert status == 200
    return next((each["state"] for each in json.loads(body)["data"] if each["cluster"] == cluster), "unknown")


def _requests(port: int) -> int:
    status, body = fetch(f"http://127.0.0.1:{port}/gateway/usage", headers={"Authorization": f"Bearer {demo.ADMIN_KEY}"})
    assert status == 200
    return next((each["requests"] for each in json.loads(body)["data"] if each["key"] == "user"), 0)


def test_run(servers: dict[str, MockModels], tmp_path: Path) -> None:
    """`sluice run` on a mounted short file: a key, a model, an upstream, a check; wrong edits; and an upstream that goes."""
    mount = Mount(tmp_path / "mount")
    text = _short(servers)
    mount.swap({"sluice.yaml": text})
    times: dict[str, float] = {}

    def change(what: str, old: str, new: str) -> None:
        nonlocal text
        assert old in text, what
        text = text.replace(old, new, 1)
        mount.swap({"sluice.yaml": text})

    env = {**ENV, "ENVOY": str(find_envoy()), "XDG_RUNTIME_DIR": str(tmp_path)}
    command = [TOOL, "run", mount.directory / "sluice.yaml", "--wasm", WASM, "--concurrency", "2", "--drain-timeout", "1"]
    with running(command, env, tmp_path) as (child, said):
        port, admin = ready(child, said)
        client = Client(port)
        assert client.chat()[0] == 200
        restore = f"http://127.0.0.1:{port}/gateway/upstreams/b"
        assert fetch(f"{restore}/eject", "POST", headers={"Authorization": f"Bearer {demo.ADMIN_KEY}"})[0] == 200
        eventually(lambda: _requests(port) > 0, True)
        counted = _requests(port)
        with Load(port) as load:
            eventually(lambda: load.calls > 20 and load.streams > 0, True, STREAM_SECONDS + 20)
            change("key", "upstreams:", f'  - {{id: new, hash: "{_hash("sk-new")}"}}\nupstreams:')
            times["key"] = taken(lambda: client.ask("GET", "/gateway/whoami", key="sk-new")[0] == 200)
            change("model", "models:\n", "models:\n  - {name: other, targets: [a]}\n")
            times["model"] = taken(lambda: client.chat("other")[0] == 200)
            new = f'  c: {{provider: groq, url: "http://127.0.0.1:{servers["c"].port}/v1"}}\nejection:'
            change("upstream", "ejection:", new)
            change("its model", "models:\n", "models:\n  - {name: third, targets: [c]}\n")
            times["upstream"] = taken(lambda: client.chat("third")[0] == 200)
            change("check", "models:\n", "checks: [{name: pii, api: patterns, phase: [request], action: restore}]\nmodels:\n")

            def is_hidden() -> bool:
                servers["c"].clear()
                assert client.chat("third", demo.PERSONAL)[0] == 200
                return demo.ADDRESS not in json.dumps(servers["c"].requests())

            times["check"] = taken(is_hidden)
            assert _state(port, "b") == "ejected" and _requests(port) > counted

            # the command's own check refuses this edit
            before = said()
            good = text
            change("mistake", "[a, b]", "[a, d]")
            eventually(lambda: "not applied" in said()[len(before) :], True, 5)
            assert '"d"' in said()[len(before) :]
            text = good
            # and Envoy this one: what it had accepted before is undone
            before = said()
            directory = next(tmp_path.glob("sluice-run-*"))
            files = {file.name: file.read_text() for file in directory.glob("*.yaml")}
            change("refused by Envoy", "ejection:", '  d: {url: "https://d.example", trusted_ca: /nowhere.pem}\nejection:')
            eventually(lambda: "not applied: Envoy refuses it" in said()[len(before) :], True, 5)
            assert files == {file.name: file.read_text() for file in directory.glob("*.yaml")}
            text = good
            assert client.ask("GET", "/gateway/whoami", key="sk-new")[0] == 200

            # an upstream goes while its streams run
            streams = load.streams
            change("removal", "targets: [a, b]", "targets: [b]")
            change("of a", "other, targets: [a]", "other, targets: [c]")
            change("and restored", f'  a: {{url: "http://127.0.0.1:{servers["a"].port}"}}\n', "")
            assert fetch(f"{restore}/restore", "POST", headers={"Authorization": f"Bearer {demo.ADMIN_KEY}"})[0] == 200
            eventually(lambda: "cluster.a." in fetch(f"{admin}/stats?filter=^cluster.a.")[1].decode(), False, STREAM_SECONDS * 2 + 20)
            eventually(lambda: load.streams > streams + 2, True, STREAM_SECONDS * 3 + 20)
            assert client.chat("other")[0] == 200
        assert load.failures == [], f"{load.failures[:3]} of {load.calls} calls, {load.streams} streams\n{said()[-2000:]}"
        print(f"{load.calls} calls, {load.streams} streams of {STREAM_SECONDS:g} s; seconds: {times}")
        assert "a restart" not in said()


def test_mounted_files(servers: dict[str, MockModels], tmp_path: Path) -> None:
    """Envoy by itself, on the files of `sluice render --dir` in a mounted ConfigMap."""
    mount = Mount(tmp_path / "mount")

    def swap(text: str) -> str:
        command = [TOOL, "render", "-", "--dir", tmp_path / "made", "--at", mount.directory]
        subprocess.run(command, input=text, text=True, check=True, timeout=30, capture_output=True)
        mount.swap({file.name: file.read_text() for file in (tmp_path / "made").glob("*.yaml")})
        return (mount.directory / "envoy.yaml").read_text()

    text = _short(servers)
    with Gateway(swap(text), env=ENV, concurrency=2, arguments=["--reject-unknown-dynamic-fields"]) as gateway:
        client = Client(gateway.port)
        with Load(gateway.port) as load:
            eventually(lambda: load.calls > 20 and load.streams > 0, True, STREAM_SECONDS + 20)
            text = text.replace("upstreams:", f'  - {{id: new, hash: "{_hash("sk-new")}"}}\nupstreams:')
            swap(text)
            taken(lambda: client.ask("GET", "/gateway/whoami", key="sk-new")[0] == 200)
            text = text.replace("ejection:", f'  c: {{provider: groq, url: "http://127.0.0.1:{servers["c"].port}/v1"}}\nejection:')
            text = text.replace("models:\n", "models:\n  - {name: third, targets: [c]}\n")
            swap(text)
            taken(lambda: client.chat("third")[0] == 200)
            # a wrong edit that nobody has checked
            refused = "extension_config_discovery.http_filter.sluice.update_rejected"
            files = {file.name: file.read_text() for file in (tmp_path / "made").glob("*.yaml")}
            mount.swap({**files, "filters.yaml": files["filters.yaml"].replace("targets: [c]", "targets: [d]")})
            eventually(lambda: gateway.stats(f"^{re.escape(refused)}$").get(refused), 1, 5)
            assert "router.models[0].targets[0]" in gateway.log() and client.chat("third")[0] == 200
            swap(text)
            time.sleep(1)
        assert load.failures == [], f"{load.failures[:3]} of {load.calls} calls, {load.streams} streams"
