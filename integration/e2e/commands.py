"""Runs the `sluice` command as an operator does, and calls the gateway meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import demo
from world import eventually


@contextlib.contextmanager
def running(
    command: list[str | Path], env: Mapping[str, str], directory: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """A program, and its output so far."""
    log = directory / "said.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=output, env={**os.environ, **env}, cwd=directory
        )
    try:
        yield child, log.read_text
    except BaseException:
        print(log.read_text())
        raise
    finally:
        child.kill()  # its Envoy ends with it
        child.wait(30)


def ready(child: subprocess.Popen[bytes], said: Callable[[], str]) -> tuple[int, str]:
    """The gateway's port and Envoy's admin address, as `sluice run` prints them."""
    eventually(lambda: "metrics: " in said() or child.poll() is not None, True, 60)
    assert child.poll() is None, said()
    port = re.search(r"ready: curl -s http://[^/]+:(\d+)/", said())
    admin = re.search(r"metrics: (http://[^/]+)/", said())
    assert port and admin, said()
    return int(port[1]), admin[1]


class Client:
    """One connection to the gateway that stays open: it fails if the gateway closes it."""

    def __init__(self, port: int, key: str = demo.USER_KEY):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
        self._connection.connect()
        self._connection.auto_open = 0
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, bytes]:
        """Sends a request, and reads the whole answer."""
        headers = {**self._headers, "Authorization": f"Bearer {key}"} if key else self._headers
        self._connection.request(method, path, json.dumps(body).encode() if body else None, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def chat(self, model: str = "gpt-4o", text: str = "Hello", stream: bool = False) -> tuple[int, bytes]:
        """Asks a model."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
        return self.ask("POST", demo.CHAT_PATH, body)


class Load:
    """Callers that ask without pause until the block ends, each on one connection: `plain` ones, and ones that stream. What failed
    is in `failures`; `calls` and `streams` count what was answered whole."""

    def __init__(self, port: int, model: str = "gpt-4o", plain: int = 2, streaming: int = 2):
        self.calls = 0
        self.streams = 0
        self.failures: list[str] = []
        self._port, self._model = port, model
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(at < streaming,)) for at in range(plain + streaming)]

    def _run(self, stream: bool) -> None:
        client = Client(self._port)
        while not self._end.is_set():
            try:
                status, body = client.chat(self._model, stream=stream)
            except (OSError, http.client.HTTPException) as failure:
                self.failures.append(f"stream {stream}: {failure!r}")
                client = Client(self._port)
                continue
            if status != 200 or (stream and not body.rstrip().endswith(b"data: [DONE]")):
                self.failures.append(f"stream {stream}: {status} {body[-200:]!r}")
            self.streams += stream
            self.calls += not stream
            time.sleep(0.01)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(120)


def taken(holds: Callable[[], bool], seconds: float = 10) -> float:
    """How long it took until it held. (It takes 0.1 to 0.5 seconds, unless other tests use the processors.)"""
    begun = time.monotonic()
    eventually(holds, True, seconds)
    return time.monotonic() - begun


class Mount:
    """A directory as Kubernetes mounts a ConfigMap: its files are links through `..data`, which is swapped as a whole."""

    def __init__(self, directory: Path):
        self.directory = directory
        self._version = 0
        directory.mkdir()

    def swap(self, files: Mapping[str, str]) -> None:
        """Replaces all files at once."""
        self._version += 1
        version = self.directory / f"..{self._version}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text)
        link = self.directory / "..data_tmp"
        link.symlink_to(version.name)
        link.replace(self.directory / "..data")
        for name in files:
            if not (self.directory / name).is_symlink():
                (self.directory / name).symlink_to(f"..data/{name}")
