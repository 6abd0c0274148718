"""A PostgreSQL server for one test. Its programs come from the PATH or from Debian's package. Standard library only."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from child import Child, free_port

# Debian's directory for the programs.
_DEBIAN = Path("/usr/lib/postgresql")


class NoPostgres(Exception):
    """There is no PostgreSQL; the text says why."""


def _program(name: str) -> str:
    if path := shutil.which(name):
        return path
    for path in sorted(_DEBIAN.glob(f"*/bin/{name}"), reverse=True):
        return str(path)
    raise NoPostgres(f"{name} is not installed: apt-get install postgresql")


class Postgres:
    """A running server with an empty database. Its directory is removed with it."""

    def __init__(self) -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="sluice-postgres-"))
        self._child: Child | None = None
        self._prefix: list[str] = []
        self._command: list[str | Path] = []

    @property
    def url(self) -> str:
        """The connection URL."""
        return f"postgres://sluice@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Postgres:
        initdb, postgres = _program("initdb"), _program("postgres")
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise NoPostgres("PostgreSQL does not run as root, and there is no user postgres") from None
            os.chown(self._directory, user.pw_uid, user.pw_gid)
            self._prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        data = self._directory / "data"
        command = [*self._prefix, initdb, "-D", data, "-U", "sluice", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"]
        made = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120)
        if made.returncode != 0:
            raise NoPostgres(f"initdb failed: {made.stderr}")
        settings = ["-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self._directory}"]
        self._command = [*self._prefix, postgres, "-D", data, *settings]
        return self.start()

    def start(self) -> Postgres:
        """Starts it, and waits until it answers."""
        self._child = Child("postgres", self._command, self._directory / "postgres.log", cwd=Path("/"))
        self._child.wait_until(lambda: "ready to accept connections" in (self._directory / "postgres.log").read_text())
        return self

    def stop(self) -> None:
        """Ends it; its data stays."""
        self._child.stop()

    def __exit__(self, *_: object) -> None:
        if self._child:
            self._child.stop()
        shutil.rmtree(self._directory, ignore_errors=True)
