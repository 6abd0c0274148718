"""A Redis server and a Webdis for one test, from the PATH or from Debian's packages. Standard library only."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Sequence

import debian
from child import Child, fetch, free_port

# With the libraries that a minimal Debian does not have.
_REDIS = ["redis-server", "redis-tools", "libjemalloc2", "liblzf1"]
_WEBDIS = ["webdis", "libb64-0d", "libevent-2.1-7", "libhiredis0.14", "libjansson4"]


class _Server:
    """A program with a port and a directory of its own. After a kill and a new start it has the same port."""

    def __init__(self, program: str, packages: Sequence[str]) -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix=f"sluice-{program}-"))
        self._program, self._packages = program, packages
        self._child: Child | None = None

    @property
    def address(self) -> tuple[str, int]:
        """As an address for a cluster."""
        return ("127.0.0.1", self.port)

    def _run(self, *arguments: str | Path) -> None:
        program = debian.find(self._program, self._packages)
        log = self._directory / "log"
        self._child = Child(self._program, [program, *arguments], log, env=debian.libraries(program), cwd=self._directory)
        self._child.wait_until(self._answers)

    def _answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> _Server:
        """Starts it, and waits until it answers."""
        raise NotImplementedError

    def kill(self) -> None:
        """Kills it with SIGKILL."""
        os.kill(self._child.pid, signal.SIGKILL)
        self._child.stop()

    def __enter__(self) -> _Server:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self._child:
            self._child.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


class Redis(_Server):
    """A Redis without persistence: after a kill it is empty."""

    def __init__(self) -> None:
        super().__init__("redis-server", _REDIS)

    def start(self) -> Redis:
        """Starts it, and waits until it answers."""
        self._run("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._directory)
        return self

    def _answers(self) -> bool:
        try:
            return self.ask("PING").startswith(b"+PONG")
        except OSError:
            return False

    def ask(self, command: str) -> bytes:
        """The beginning of the answer to a command, as Redis writes it."""
        with socket.create_connection(self.address, 1) as connection:
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(4096)


class Webdis(_Server):
    """A Webdis with its default settings in front of a Redis."""

    def __init__(self, redis: Redis) -> None:
        super().__init__("webdis", _WEBDIS)
        self._redis = redis

    def start(self) -> Webdis:
        """Starts it, and waits until it answers."""
        settings = {"redis_host": "127.0.0.1", "redis_port": self._redis.port, "http_host": "127.0.0.1"}
        settings |= {"http_port": self.port, "threads": 2, "daemonize": False, "logfile": "webdis.log"}
        (self._directory / "webdis.json").write_text(json.dumps(settings))
        self._run("webdis.json")
        return self

    def _answers(self) -> bool:
        try:
            return fetch(f"http://127.0.0.1:{self.port}/PING")[0] == 200
        except OSError:
            return False
