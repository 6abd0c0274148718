"""`make run`: the demo gateway with its three model servers, until Ctrl-C.

It prints its `ready` line only after it has seen the command in that line work. `make run GUARD=1` runs the gateway of
examples/guard.yaml with the two classifiers it asks, and prints a request that is blocked and one with an e-mail
address that the model does not see.
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
from classifier import Classifier, Unavailable
from envoy_binary import NoEnvoy
from gateway import Gateway, MockModels, render
from python_env import InstallFailed

DIRECTORY = TARGET / "run"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the demo gateway and its model servers.")
    parser.add_argument("--port", type=int, default=os.environ.get("GATEWAY_PORT") or demo.LISTENER[1])
    parser.add_argument("--admin-port", type=int, default=os.environ.get("ADMIN_PORT") or demo.ADMIN[1])
    parser.add_argument("--guard", action="store_true", default=demo.is_guarded(), help="check what passes, by two classifiers")
    arguments = parser.parse_args()
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, _interrupt)
    for port in (arguments.port, arguments.admin_port):
        if not 0 < port < 65536:
            parser.error(f"{port} is no port: choose one from 1 to 65535")
    fixed = [port for port, _ in _fixed_ports(arguments.guard)]
    if arguments.port in (arguments.admin_port, *fixed) or arguments.admin_port in fixed:
        parser.error(f"the gateway, its admin interface and what it calls ({', '.join(map(str, fixed))}) need different ports")
    try:
        _run(arguments.port, arguments.admin_port, arguments.guard)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    except Unavailable as why:
        sys.exit(
            f"error: {why}\nGUARD=1 needs the classifiers' packages from PyPI, or from the index that PIP_INDEX_URL names. "
            "Without GUARD `make run` does not."
        )
    except (ports.PortBusy, ChildFailed, NoEnvoy, InstallFailed, ValueError) as failure:
        sys.exit(f"error: {failure}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _fixed_ports(guarded: bool) -> list[tuple[int, str]]:
    """The ports that the configuration names, and who listens there."""
    servers = [(server.port, "model servers") for server in demo.SERVERS]
    return servers + [(address[1], "classifiers") for address in (demo.TOXICITY, demo.PRESIDIO) if guarded]


def _run(port: int, admin_port: int, guarded: bool) -> None:
    """Starts everything, says so, and waits; whatever was started ends with it."""
    for fixed, whose in _fixed_ports(guarded):
        ports.require_free(fixed, f"the {whose}' ports cannot be changed: stop that process")
    ports.require_free(port, "stop it, or choose another: GATEWAY_PORT=10001 make run")
    ports.require_free(admin_port, "stop it, or choose another: ADMIN_PORT=9902 make run")
    addresses = {demo.LISTENER: ("127.0.0.1", port), demo.ADMIN: ("127.0.0.1", admin_port)}
    config = render((demo.GUARD_YAML if guarded else demo.ENVOY_YAML).read_text(), addresses)
    with contextlib.ExitStack() as started:
        children = [started.enter_context(classifier).child for classifier in (_classifiers() if guarded else [])]
        children += [
            started.enter_context(MockModels.demo(server, server.port, directory=DIRECTORY)).child
            for server in demo.SERVERS
        ]
        gateway = started.enter_context(Gateway(config, concurrency=2, directory=DIRECTORY))
        _check_answer(port)
        lines = [f"ready: {demo.curl(port)}"]
        if guarded:
            _check_guard(port)
            lines += [f"blocked: {demo.curl(port, demo.TOXIC)}", f"restored: {demo.curl(port, demo.PERSONAL)}"]
            journals = [f"http://127.0.0.1:{server.port}/_mock/requests" for server in demo.SERVERS]
            lines += [f"what the models were asked: curl -s {' '.join(journals)}"]
        lines += [f"metrics: {gateway.admin}/stats/prometheus  logs: {DIRECTORY}  Ctrl-C ends it"]
        print("\n".join(lines), flush=True)
        _watch([*children, gateway.child])


def _classifiers() -> list[Classifier]:
    """Installed before anything is started: the first time that takes a while."""
    classifiers = [
        Classifier.toxicity(demo.TOXICITY[1], directory=DIRECTORY),
        Classifier.presidio(demo.PRESIDIO[1], directory=DIRECTORY),
    ]
    for classifier in classifiers:
        classifier.install()
    return classifiers


def _check_answer(port: int) -> None:
    """Raises unless the command about to be printed works."""
    status, body = _ask(port, demo.GREETING)
    if status != 200:
        raise ChildFailed(f"the gateway answered {status}: {body.decode()}; see {DIRECTORY}/envoy.log")


def _check_guard(port: int) -> None:
    """Raises unless the guard does what is about to be said of it."""
    status, body = _ask(port, demo.TOXIC)
    if status != 400 or b"content_filter" not in body:
        raise ChildFailed(f"the toxic request was answered {status}: {body.decode()}; see {DIRECTORY}/envoy.log")
    status, body = _ask(port, demo.PERSONAL)
    if status != 200 or demo.ADDRESS.encode() not in body:
        raise ChildFailed(f"the address did not come back: {status}: {body.decode()}; see {DIRECTORY}/envoy.log")


def _ask(port: int, text: str) -> tuple[int, bytes]:
    try:
        return demo.chat(port, text=text)
    except OSError as error:
        raise ChildFailed(f"the gateway does not answer: {error}; see {DIRECTORY}/envoy.log") from error


def _watch(children: list[Child]) -> None:
    """Returns never; raises when one of the programs ends by itself."""
    while True:
        for child in children:
            if end := child.ended():
                raise ChildFailed(end)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
