"""`make compose-test`: the demo's containers under load, while a model server stops and starts again.

It fails unless every call is answered 200 and the server takes requests again. Prints its figures, and removes the containers.
Envoy's image is `SLUICE_ENVOY_IMAGE`, else the official one, else a stand-in that is built here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Callable

import compose
import demo
import envoy_binary
import ports
from child import free_port

OFFICIAL = "envoyproxy/envoy:v1.40.0"
CLIENTS = 8
SERVER = demo.SERVERS[0].name
# An ejection lasts 30 s by the demo's configuration, and Envoy resolves the server's name again within 5 s.
PATIENCE = 90.0


class Load:
    """Clients that call without a pause, each from a thread of its own, until the block ends."""

    def __init__(self, port: int, clients: int = CLIENTS):
        self._port = port
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._call) for _ in range(clients)]
        self.failures: list[str] = []
        self.slowest = 0.0
        self.served: Counter[str] = Counter()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        while not self._ended.is_set():
            begun = time.monotonic()
            server, failure = _one_call(self._port)
            with self._lock:
                self.slowest = max(self.slowest, time.monotonic() - begun)
                self.served[server] += 1
                if failure:
                    self.failures.append(failure)

    def answers(self, server: str) -> int:
        """How many calls this server has answered."""
        with self._lock:
            return self.served[server]

    def total(self) -> int:
        """How many calls have ended."""
        with self._lock:
            return self.served.total()


def _one_call(port: int) -> tuple[str, str]:
    """The server that answered, and why the call failed: empty if it did not."""
    try:
        status, body = demo.chat(port, timeout=30)
        if status != 200:
            return "", f"{status}: {body.decode(errors='replace')}"
        said = json.loads(body)["choices"][0]["message"]["content"]
    except (OSError, ValueError, LookupError) as error:
        return "", f"{type(error).__name__}: {error}"
    return next((server.name for server in demo.SERVERS if server.name in said), ""), ""


def failover(port: int, seconds: float = 5) -> str:
    """Stops a model server under load, and starts it again, with `seconds` of load in each state. Returns the figures.

    Raises ComposeFailed if a call fails, or if the server gets no requests before it stops or after it has started."""
    with Load(port) as load:
        _wait(lambda: load.answers(SERVER) > 0, 20, f"{SERVER} gets no requests", load)
        time.sleep(seconds)
        begun = load.total()
        compose.run_compose("stop", "--timeout", "1", SERVER)
        stopped = load.total()
        time.sleep(seconds)
        without, before = load.total(), load.answers(SERVER)
        compose.run_compose("start", SERVER)
        started = time.monotonic()
        _wait(lambda: load.answers(SERVER) > before, PATIENCE, f"{SERVER} gets no requests after it has started again", load)
        took = time.monotonic() - started
        time.sleep(seconds)
        again = load.answers(SERVER) - before
    if load.failures:
        raise compose.ComposeFailed(f"{len(load.failures)} of {load.total()} calls failed; the first: {load.failures[0]}")
    return (
        f"{load.total()} calls of {CLIENTS} clients, 0 failed; the slowest took {load.slowest * 1000:.0f} ms\n"
        f"{stopped - begun} calls while {SERVER} stopped, {without - stopped} while it was away\n"
        f"{SERVER} took requests again {took:.1f} s after its start, and answered {again}"
    )


def _wait(condition: Callable[[], bool], seconds: float, problem: str, load: Load) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise compose.ComposeFailed(f"{problem}, in {seconds:.0f} s; the first failed call: {(load.failures or ['none'])[0]}")
        time.sleep(0.1)


def choose_image() -> str:
    """An image of Envoy that is present, or can be pulled; else the stand-in, which is built if it is missing."""
    chosen = os.environ.get("SLUICE_ENVOY_IMAGE")
    if chosen:
        return chosen
    if _docker("image", "inspect", OFFICIAL) or _docker("pull", OFFICIAL):
        return OFFICIAL
    print(f"{OFFICIAL} cannot be pulled: a stand-in with PyPI's Envoy serves", flush=True)
    if not _docker("image", "inspect", compose.STANDIN):
        compose.build_standin()
    return compose.STANDIN


def _docker(*arguments: str) -> bool:
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, timeout=300).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def main() -> None:
    # beside a running demo: a project and ports of its own
    compose.PROJECT = "sluice-failover"
    for variable in ("GATEWAY_PORT", "ADMIN_PORT"):
        os.environ[variable] = str(free_port())
    try:
        os.environ["SLUICE_ENVOY_IMAGE"] = choose_image()
        try:
            compose.up()
            figures = failover(int(os.environ["GATEWAY_PORT"]))
        finally:
            compose.down()
        print(figures, flush=True)
    except (compose.ComposeFailed, ports.PortBusy, envoy_binary.NoEnvoy, ValueError, OSError) as failure:
        sys.exit(f"error: {failure}")
    except subprocess.CalledProcessError as failure:
        sys.exit(f"error: this failed: {' '.join(map(str, failure.cmd))}")


if __name__ == "__main__":
    main()
