"""`sluice run` at unhappy moments: a signal while it starts or changes, a second one, a change that Envoy refuses under load."""

from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import demo
from child import TOOL
from commands import Client, Load, ready, running
from envoy_binary import find_envoy
from gateway import WASM, MockModels
from world import eventually

OWN_KEY = hashlib.sha256(demo.USER_KEY.encode()).hexdigest()


@pytest.fixture
def server() -> Iterator[MockModels]:
    running = MockModels("first")
    try:
        yield running.start()
    finally:
        running.stop()


def _short(server: MockModels, listen: int = 0, upstream: str = "first", rest: str = "") -> str:
    return f"""
keys: [{{id: user, hash: "sha256:{OWN_KEY}"}}]
upstreams: {{{upstream}: {{url: "http://127.0.0.1:{server.port}"}}}}
models: [{{name: gpt-4o, targets: [{upstream}]}}]
listen: 127.0.0.1:{listen}
admin: 127.0.0.1:0
{rest}
"""


def _run(file: Path, *options: str) -> Any:
    env = {"ENVOY": str(find_envoy()), "XDG_RUNTIME_DIR": str(file.parent)}
    return running([TOOL, "run", file, "--wasm", WASM, "--concurrency", "1", *options], env, file.parent)


def _replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def _stop(child: subprocess.Popen[bytes], said: Callable[[], str], delay: float) -> None:
    """Sends SIGTERM after a while; the program must end well."""
    time.sleep(delay)
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0, said()


@pytest.mark.parametrize("delay", [0, 0.05, 0.3])
def test_a_signal_while_it_starts(server: MockModels, tmp_path: Path, delay: float) -> None:
    """It ends at once and well, and leaves neither Envoy nor files."""
    file = tmp_path / "sluice.yaml"
    file.write_text(_short(server))
    with _run(file) as (child, said):
        eventually(lambda: bool(list(tmp_path.glob("sluice-run-*"))), True, 30)
        _stop(child, said, delay)
    assert not list(tmp_path.glob("sluice-run-*"))


def test_a_signal_while_a_change_applies(server: MockModels, tmp_path: Path) -> None:
    """A new listener with a new upstream and a new key; the signal comes between the files."""
    file = tmp_path / "sluice.yaml"
    file.write_text(_short(server))
    for delay in (0.0, 0.1, 0.25):
        file.write_text(_short(server))
        with _run(file) as (child, said):
            port, _ = ready(child, said)
            assert Client(port).chat()[0] == 200
            _replace(file, _short(server, upstream="other", rest="max_upload: 1MiB"))
            _stop(child, said, delay)
        assert not list(tmp_path.glob("sluice-run-*"))


def test_a_second_signal(server: MockModels, tmp_path: Path) -> None:
    """It ends a stream that would take a minute."""
    file = tmp_path / "sluice.yaml"
    file.write_text(_short(server))
    server.fault({"chunk_delay_ms": 2000, "text": " ".join(map(str, range(30)))})
    with _run(file) as (child, said):
        port, _ = ready(child, said)

        def ask() -> None:
            try:
                Client(port).chat(stream=True)
            except OSError:
                pass
            except Exception as cut:  # http.client.IncompleteRead: the stream was cut
                assert "Incomplete" in type(cut).__name__

        stream = threading.Thread(target=ask)
        stream.start()
        eventually(lambda: len(server.requests()), 1)
        child.send_signal(signal.SIGTERM)
        eventually(lambda: "waiting for 1 request" in said(), True, 10)
        begun = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.wait(15) == 0 and time.monotonic() - begun < 12
        assert "stopping with 1 request still running" in said()
        stream.join(30)


def test_a_change_that_envoy_refuses(server: MockModels, tmp_path: Path) -> None:
    """Its last file, after clusters, routes and filters are new: the old ones serve, and no call fails on the way."""
    file = tmp_path / "sluice.yaml"
    file.write_text(_short(server))
    with socket.create_server(("127.0.0.1", 0)) as other, _run(file) as (child, said):
        port, _ = ready(child, said)
        with Load(port) as load:
            for upstream in ("other", "third"):
                _replace(file, _short(server, other.getsockname()[1], upstream))
                seen = said().count("not applied")
                eventually(lambda: said().count("not applied"), seen + 1, 30)
            _replace(file, _short(server, 0, "third"))
            eventually(lambda: "applied" in said().splitlines()[-1], True, 30)
            time.sleep(0.3)
        assert load.failures == [], f"{load.failures[:3]}\n{said()[-2000:]}"
        assert Client(port).chat()[0] == 200
