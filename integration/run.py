"""`make run`: the demo gateway with its three model servers, until Ctrl-C.

It prints its `ready` line only after it has seen the command in that line work.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time

import demo
import ports
from child import TARGET, Child, ChildFailed
from envoy_binary import NoEnvoy
from gateway import Gateway, MockModels, render
from python_env import InstallFailed

DIRECTORY = TARGET / "run"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the demo gateway and its model servers.")
    parser.add_argument("--port", type=int, default=os.environ.get("GATEWAY_PORT") or demo.LISTENER[1])
    parser.add_argument("--admin-port", type=int, default=os.environ.get("ADMIN_PORT") or demo.ADMIN[1])
    arguments = parser.parse_args()
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, _interrupt)
    for port in (arguments.port, arguments.admin_port):
        if not 0 < port < 65536:
            parser.error(f"{port} is no port: choose one from 1 to 65535")
    taken = [arguments.admin_port, *(server.port for server in demo.SERVERS)]
    if arguments.port in taken or arguments.admin_port in taken[1:]:
        parser.error(f"the gateway, its admin interface and the model servers ({taken[1]} to {taken[-1]}) need different ports")
    try:
        _run(arguments.port, arguments.admin_port)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    except (ports.PortBusy, ChildFailed, NoEnvoy, InstallFailed, ValueError) as failure:
        sys.exit(f"error: {failure}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(port: int, admin_port: int) -> None:
    """Starts everything, says so, and waits; whatever was started ends with it."""
    for server in demo.SERVERS:
        ports.require_free(server.port, "the model servers' ports cannot be changed: stop that process")
    ports.require_free(port, "stop it, or choose another: GATEWAY_PORT=10001 make run")
    ports.require_free(admin_port, "stop it, or choose another: ADMIN_PORT=9902 make run")
    addresses = {demo.LISTENER: ("127.0.0.1", port), demo.ADMIN: ("127.0.0.1", admin_port)}
    config = render(demo.ENVOY_YAML.read_text(), addresses)
    with contextlib.ExitStack() as started:
        children = [
            started.enter_context(MockModels.demo(server, server.port, directory=DIRECTORY)).child
            for server in demo.SERVERS
        ]
        gateway = started.enter_context(Gateway(config, concurrency=2, directory=DIRECTORY))
        _check_answer(port)
        print(f"ready: {demo.curl(port)}", flush=True)
        print(f"metrics: {gateway.admin}/stats/prometheus  logs: {DIRECTORY}  Ctrl-C ends it", flush=True)
        _watch([*children, gateway.child])


def _check_answer(port: int) -> None:
    """Raises unless the command about to be printed works."""
    try:
        status, body = demo.chat(port)
    except OSError as error:
        raise ChildFailed(f"the gateway does not answer: {error}; see {DIRECTORY}/envoy.log") from error
    if status != 200:
        raise ChildFailed(f"the gateway answered {status}: {body.decode()}; see {DIRECTORY}/envoy.log")


def _watch(children: list[Child]) -> None:
    """Returns never; raises when one of the programs ends by itself."""
    while True:
        for child in children:
            if end := child.ended():
                raise ChildFailed(end)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
