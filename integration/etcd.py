"""An etcd server for one test, from the PATH or from Debian's package. Standard library only."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import debian
from child import Child, answers, fetch, free_port


class Etcd:
    """A running server. After a kill and a new start it has the same port and the same keys."""

    def __init__(self) -> None:
        self.port, self._peers = free_port(), free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="sluice-etcd-"))
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Etcd:
        """Starts it and waits until it answers."""
        peers = f"http://127.0.0.1:{self._peers}"
        command = [debian.find("etcd", ["etcd-server"]), "--data-dir", self._directory / "data"]
        command += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        command += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}"]
        self._child = Child("etcd", command, self._directory / "etcd.log")
        self._child.wait_until(lambda: answers(f"{self.url}/health"))
        return self

    def kill(self) -> None:
        """Kills it with SIGKILL, so that it cannot clean up."""
        os.kill(self._child.pid, signal.SIGKILL)
        self._child.stop()

    def put(self, key: str, value: str | bytes) -> None:
        """Sets a key."""
        self.ask("kv/put", key=_base64(key), value=_base64(value))

    def delete(self, key: str) -> None:
        """Deletes a key."""
        self.ask("kv/deleterange", key=_base64(key))

    def ask(self, path: str, **body: Any) -> Any:
        """An answer of the JSON gateway."""
        status, answer = fetch(f"{self.url}/v3/{path}", "POST", json.dumps(body).encode())
        assert status == 200, answer
        return json.loads(answer)

    def __enter__(self) -> Etcd:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._child:
            self._child.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


def _base64(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
