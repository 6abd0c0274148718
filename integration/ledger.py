"""`sluice ledger` as a Python object. Standard library only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any, Mapping

from child import TOOL, Child, fetch, free_port
from gateway import Address, _work_directory


class Ledger:
    """A running ledger. After a kill and a new start it has the same port and the same store."""

    def __init__(self, store: str | None = None, env: Mapping[str, str] | None = None):
        self.directory = _work_directory("ledger")
        self.store = store or str(self.directory / "ledger.db")
        self.port = free_port()
        self._env = env or {}
        self.child: Child | None = None

    @property
    def address(self) -> Address:
        """As an endpoint of Envoy's clusters."""
        return ("127.0.0.1", self.port)

    def start(self) -> Ledger:
        """Starts it and waits until it answers."""
        command = [TOOL, "ledger", "--listen", f"127.0.0.1:{self.port}"]
        env = {"SLUICE_LEDGER_STORE": self.store, **self._env}
        self.child = Child("ledger", command, self.directory / "ledger.log", env=env)
        self.child.wait_for(f"http://127.0.0.1:{self.port}/healthz")
        return self

    def kill(self) -> None:
        """Kills it with SIGKILL, so that it cannot clean up."""
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.stop()

    def stop(self) -> None:
        """Ends it."""
        if self.child:
            self.child.stop()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an answer."""
        status, body = fetch(f"http://127.0.0.1:{self.port}{path}")
        return status, body.decode()

    def usage(self, **parameters: str) -> Any:
        """What `/usage` answers."""
        status, body = self.get(f"/usage?{urllib.parse.urlencode(parameters)}")
        assert status == 200, body
        return json.loads(body)

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """`sluice ledger` with these arguments and the same store."""
        env = {**os.environ, "SLUICE_LEDGER_STORE": self.store}
        return subprocess.run([TOOL, "ledger", *arguments], capture_output=True, text=True, timeout=300, env=env)

    def __enter__(self) -> Ledger:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
