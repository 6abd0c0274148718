"""Programs started by a test, a demo or a benchmark. None of them may outlive it.

An Envoy that is left behind keeps its port. It listens with SO_REUSEPORT, so the next Envoy seems to work but gets only half of
the requests. So each child is asked to end, then killed. On Linux the kernel also kills it when the thread that started it ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target"
# The `sluice` command that the core's tests have built; `make cli` builds a smaller and faster one. SLUICE_TOOL names another.
TOOL = Path(os.environ.get("SLUICE_TOOL", TARGET / "debug" / "sluice"))

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
# These programs run on one machine, so a proxy from the environment must not be used.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ChildFailed(Exception):
    """A program did not start, or it ended. The text holds the end of its log."""


class Child:
    """A running program. Start it from a thread that lives at least as long as the program."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: Path | None = None,
    ):
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as errors, (stdout or log).open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    [str(word) for word in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    env=None if env is None else {**os.environ, **env},
                    cwd=cwd,
                    # Its own process group: Ctrl-C reaches only the parent, which ends its children in order.
                    start_new_session=True,
                    preexec_fn=_die_with_parent if _LIBC else None,
                )
            except OSError as error:
                raise ChildFailed(f"{name} did not start: {error}") from error

    @property
    def pid(self) -> int:
        """The process id, to read its CPU time or memory."""
        return self._process.pid

    def ended(self) -> str | None:
        """The exit status with the end of the log; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        return f"{self.name} ended with {how}; the end of {self.log}:\n{tail(self.log)}"

    def wait_until(self, ready: Callable[[], bool], seconds: float = 20) -> None:
        """Returns when `ready` is true; raises if the program ends first or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if end := self.ended():
                raise ChildFailed(end)
            if time.monotonic() > deadline:
                raise ChildFailed(f"{self.name} is not ready after {seconds:g} s:\n{tail(self.log)}")
            time.sleep(0.02)

    def wait_for(self, url: str, seconds: float = 20) -> None:
        """Returns when `url` answers 200. If the program does not get there, it is stopped, and this raises."""
        try:
            self.wait_until(lambda: answers(url), seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it and everything that it started, and waits until they are gone."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._process.wait()


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log, for an error message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10,
) -> tuple[int, bytes]:
    """Sends one HTTP request; returns status and body, for any status. Raises OSError if unanswered."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with _DIRECT.open(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def answers(url: str) -> bool:
    """Whether `url` answers 200 now."""
    try:
        return fetch(url, timeout=2)[0] == 200
    except OSError:
        return False
