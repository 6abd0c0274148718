"""`make run`: the demo gateway with its three model servers, until Ctrl-C.

It runs envoy/demo.yaml by `sluice run`, which applies changes of that file while it runs. If envoy/envoy.yaml was edited by hand,
it starts Envoy with that, as it is. It prints its `ready` line only after the command in that line has worked. If the
configuration has other keys or models than the demo, it prints the answer to the demo's request. `make run GUARD=1` runs the
gateway of examples/guard.yaml with its two classifiers. It prints a request that is blocked, and one with an e-mail address that
the model does not see.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import demo
import ports
from child import ROOT, TARGET, Child, ChildFailed
from classifier import Classifier, Unavailable
from envoy_binary import NoEnvoy
from gateway import Gateway, MockModels, mentions, render
from live import SHORT_FILE, Live, tool
from python_env import InstallFailed

DIRECTORY = TARGET / "run"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the demo gateway and its model servers.")
    parser.add_argument("--port", type=int, default=os.environ.get("GATEWAY_PORT") or None)
    parser.add_argument("--admin-port", type=int, default=os.environ.get("ADMIN_PORT") or None)
    parser.add_argument("--guard", action="store_true", default=demo.is_guarded(), help="check what passes, by two classifiers")
    parser.add_argument("--config", type=Path, help="instead of envoy/envoy.yaml")
    arguments = parser.parse_args()
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, _interrupt)
    text = (arguments.config or (demo.GUARD_YAML if arguments.guard else demo.ENVOY_YAML)).read_text()
    try:
        plan = _ports(text, arguments)
        if len(set(plan.values())) < len(plan):
            parser.error(f"the gateway, its admin interface and what it calls ({', '.join(map(str, plan.values()))}) need different ports")
        _run(text, plan, arguments.guard)
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


def _ports(text: str, arguments: argparse.Namespace) -> dict[demo.Address, int]:
    """The port for each address of the demo that the configuration still has. Raises ValueError for an invalid port, and PortBusy
    for one that is taken."""
    wanted = {demo.LISTENER: ("GATEWAY_PORT", arguments.port), demo.ADMIN: ("ADMIN_PORT", arguments.admin_port)}
    wanted.update({server.address: (server.port_variable, os.environ.get(server.port_variable)) for server in demo.SERVERS})
    chosen = {}
    for address, (variable, port) in wanted.items():
        if not port and not mentions(text, address):
            continue  # the user has edited it, and chosen an address
        port = int(port or address[1])
        if not 0 < port < 65536:
            raise ValueError(f"{variable}={port} is no port: choose one from 1 to 65535")
        chosen[address] = port
    for address in (demo.TOXICITY, demo.PRESIDIO) if arguments.guard else ():
        chosen[address] = address[1]
    variables = {address: variable for address, (variable, _) in wanted.items()}
    for address, port in chosen.items():
        if variable := variables.get(address):
            ports.require_free(port, f"stop it, or choose another: {variable}={port + 1} make run")
        else:
            ports.require_free(port, "the classifiers' ports cannot be changed: stop that process")
    return chosen


def _run(text: str, plan: dict[demo.Address, int], guarded: bool) -> None:
    """Starts everything, prints the commands, and waits. All started programs end with it."""
    config = render(text, {address: ("127.0.0.1", port) for address, port in plan.items() if port != address[1]})
    servers = [(server, plan[server.address]) for server in demo.SERVERS if server.address in plan]
    with contextlib.ExitStack() as started:
        children = [started.enter_context(classifier).child for classifier in (_classifiers() if guarded else [])]
        children += [started.enter_context(MockModels.demo(server, port, directory=DIRECTORY)).child for server, port in servers]
        command = tool(text) if len(servers) == len(demo.SERVERS) else None
        gateway = started.enter_context(
            Live(command, plan, DIRECTORY) if command else Gateway(config, concurrency=2, directory=DIRECTORY)
        )
        port = gateway.port
        lines = [_ready(port)]
        if guarded:
            _check_guard(port)
            lines += [f"blocked: {demo.curl(port, demo.TOXIC)}", f"restored: {demo.curl(port, demo.PERSONAL)}"]
            journals = [f"http://127.0.0.1:{port}/_mock/requests" for _, port in servers]
            lines += [f"what the models were asked: curl -s {' '.join(journals)}"]
        if servers:
            lines += [f"failover: {_failover(port, servers[0][1])}", f"healthy again: {_healthy_again(port, servers[0])}"]
        if command:
            lines += [f"changes of {SHORT_FILE.relative_to(ROOT)} apply when it is saved"]
        lines += [f"page: http://127.0.0.1:{port}{demo.PAGE_PATH} (sign in with {demo.ADMIN_KEY}; it also issues keys)"]
        lines += [f"metrics: {gateway.admin}/stats/prometheus  logs: {DIRECTORY}  Ctrl-C ends it"]
        print("\n".join(lines), flush=True)
        _watch(gateway, children)


def _classifiers() -> list[Classifier]:
    """Installs the packages before it starts anything, because the first time takes a while."""
    classifiers = [
        Classifier.toxicity(demo.TOXICITY[1], directory=DIRECTORY),
        Classifier.presidio(demo.PRESIDIO[1], directory=DIRECTORY),
    ]
    for classifier in classifiers:
        classifier.install()
    return classifiers


def _ready(port: int) -> str:
    """A command that works, or the gateway's answer to it, since the configuration may have other keys and models."""
    status, body = _ask(port, demo.GREETING)
    if status == 200:
        return f"ready: {demo.curl(port)}"
    answer = body.decode(errors="replace").strip()
    return f"ready: http://127.0.0.1:{port} (the demo's own request is answered {status}: {answer}; ask with your keys and models)"


def _failover(port: int, server_port: int) -> str:
    """A command that makes a model server fail, sends requests until it is ejected, and shows that."""
    fault = shlex.quote(json.dumps({"fault": "status", "status": 503}))
    breaks = f"curl -s -o /dev/null -X PUT http://127.0.0.1:{server_port}/_mock -H 'Content-Type: application/json' -d {fault}"
    asks = f"for i in $(seq 30); do {demo.curl(port)} -o /dev/null -w '%{{http_code}} '; done; echo"
    return f"{breaks}; {asks}; curl -s http://127.0.0.1:{port}/gateway/upstreams -H 'Authorization: Bearer {demo.ADMIN_KEY}'"


def _healthy_again(port: int, server: tuple[demo.ModelServer, int]) -> str:
    """A command that undoes that, and puts the server back into the pool at once."""
    restore = f"http://127.0.0.1:{port}/gateway/upstreams/{server[0].name}/restore"
    return f"curl -s -o /dev/null -X DELETE http://127.0.0.1:{server[1]}/_mock; curl -s -X POST {restore} -H 'Authorization: Bearer {demo.ADMIN_KEY}'"


def _check_guard(port: int) -> None:
    """Raises unless the guard does what the printed text is going to say."""
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


def _watch(gateway: Gateway | Live, others: list[Child]) -> None:
    """Never returns; raises when Envoy ends. If another program ends, the gateway continues without it."""
    while True:
        if end := gateway.child.ended():
            raise ChildFailed(end)
        for line in gateway.follow() if isinstance(gateway, Live) else []:
            print(line, flush=True)
        for child in [child for child in others if child.ended()]:
            others.remove(child)
            print(f"{child.name} has ended; the gateway continues without it (log: {child.log})", flush=True)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
