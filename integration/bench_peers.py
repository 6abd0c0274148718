"""Other gateways for the benchmark, on the same core with the same work: Envoy's own AI filter, Higress's ai-proxy in the same
Envoy, and with PEERS=1 LiteLLM and TensorZero. A gateway that does not start is listed with the reason.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import sys
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, ContextManager, Iterator, Sequence

import demo
import load
import python_env
from bench_config import KIB, bare, body, gateway
from child import Child, ChildFailed, fetch, free_port
from gateway import WORK, Gateway, MockModels

REQUIREMENTS = Path(__file__).resolve().parent / "bench"
EVENTS = 500
_HTTP = "type.googleapis.com/envoy.extensions.filters.http"
_AI = f"{_HTTP}.ai_protocol_manager.v3"
_WASM = f"{_HTTP}.wasm.v3.Wasm"


@dataclass(frozen=True)
class Service:
    """A server for chats: its address and its process."""

    url: str
    pid: int
    model: str = "gpt-4o"


@dataclass(frozen=True)
class Work:
    """One kind of request. `answer` is the text of each answer, if it should be longer than usual."""

    name: str
    size: int
    stream: bool = False
    answer: str | None = None

    def body(self, model: str) -> str:
        """The request, for a model with this name."""
        request = {**json.loads(body(self.size)), "model": model}
        return json.dumps({**request, "stream": True} if self.stream else request, separators=(",", ":"))


WORKS = (
    Work("1 KiB", KIB),
    Work("64 KiB", 64 * KIB),
    Work("1 MiB", KIB * KIB),
    Work(f"{EVENTS} events", KIB, stream=True, answer="word " * EVENTS),
)


@dataclass
class Peer:
    """A gateway to compare with. `start` raises the error that it fails with."""

    name: str
    start: Callable[[], ContextManager[Service]]
    reason: str | None = None
    # requests per second, by the name of the work
    rates: dict[str, list[float]] = field(default_factory=dict)


def peers(config: dict, server: MockModels, prefix: Sequence[str]) -> list[Peer]:
    """The peers to measure."""
    found = [
        Peer("Envoy's ai_protocol_manager (usage only)", lambda: _envoy(with_ai_protocol_manager(config), prefix)),
        Peer("Higress ai-proxy in the same Envoy", lambda: _envoy(with_higress(config), prefix)),
    ]
    if os.environ.get("PEERS", "0") not in ("", "0"):
        found += [Peer("LiteLLM", lambda: _litellm(server, prefix)), Peer("TensorZero", lambda: _tensorzero(server, prefix))]
    return found


def compare(
    gateways: dict[str, Gateway], others: list[Peer], server: MockModels, arguments: argparse.Namespace, prefix: list[str]
) -> list[dict[str, object]]:
    """Requests per second of these gateways and of all peers that start, for each kind of work: medians of alternating rounds."""
    url = lambda port: f"http://127.0.0.1:{port}{demo.CHAT_PATH}"
    own = [(Peer(name, contextlib.nullcontext), Service(url(each.port), each.child.pid)) for name, each in gateways.items()]
    with contextlib.ExitStack() as running:
        contestants = own + [(peer, running.enter_context(started(peer))) for peer in others]
        for work in WORKS:
            server.fault({"text": work.answer} if work.answer else {})
            for _ in range(max(arguments.rounds // 2, 1)):
                for peer, service in contestants:
                    if service:
                        _measure(peer, service, work, arguments, prefix)
        server.fault({})
    medians = lambda peer: {name: round(statistics.median(rates), 1) for name, rates in peer.rates.items()}
    return [{"name": peer.name, "requests_per_second": medians(peer), "reason": peer.reason} for peer, _ in contestants]


def _measure(peer: Peer, service: Service, work: Work, arguments: argparse.Namespace, prefix: list[str]) -> None:
    load_options = {"connections": arguments.connections, "seconds": min(arguments.seconds, 3), "prefix": prefix, "patience": 20}
    try:
        result = load.run(service.url, service.pid, work.body(service.model), **load_options)
        peer.rates.setdefault(work.name, []).append(result["requests"] / result["microseconds"] * 1e6)
    except load.LoadFailed as failure:
        peer.reason = f"{work.name}: {failure}"


def lines(compared: list[dict]) -> list[str]:
    """The table as text: requests per second, and the share of bare Envoy's."""
    bare_rates = compared[0]["requests_per_second"]
    head = "requests/s (of bare Envoy)".ljust(42) + "".join(f"{work.name:>18}" for work in WORKS)
    rows = [head]
    for each in compared:
        cells = []
        for work in WORKS:
            rate, most = each["requests_per_second"].get(work.name), bare_rates.get(work.name)
            cells.append(f"{rate:.0f} ({rate / most:.3f})" if rate and most else "-")
        rows.append(each["name"].ljust(42) + "".join(f"{cell:>18}" for cell in cells))
    return rows + [f"{each['name']}: {each['reason']}" for each in compared if each["reason"]]


@contextlib.contextmanager
def _envoy(config: dict, prefix: Sequence[str]) -> Iterator[Service]:
    with gateway(config, prefix, wasm=None, start_seconds=120) as running:
        yield Service(f"http://127.0.0.1:{running.port}{demo.CHAT_PATH}", running.child.pid)


def with_ai_protocol_manager(config: dict) -> dict:
    """Bare Envoy with its own filter that reads the usage of answers."""
    changed = bare(config)
    usage = {"@type": f"{_AI}.AiProtocolManager", "response_handling": {"token_usage": {}}}
    _put_first(changed, {"name": "envoy.filters.http.ai_protocol_manager", "typed_config": usage})
    endpoint = {"@type": f"{_AI}.AiProtocolManagerPerRoute", "response": {"llm_protocol": "OPENAI_CHAT_COMPLETIONS"}}
    for route in _manager(changed)["route_config"]["virtual_hosts"][0]["routes"]:
        route["typed_per_filter_config"] = {"envoy.filters.http.ai_protocol_manager": endpoint}
    return changed


def with_higress(config: dict) -> dict:
    """Bare Envoy with Higress's filter for model providers. Raises python_env.InstallFailed, OSError."""
    home = python_env.ensure(REQUIREMENTS / "requirements-higress.txt", "higress").parent.parent
    plugins = sorted(home.glob("**/*ai-proxy/*/plugin.wasm"))
    if not plugins:
        raise FileNotFoundError("the package gpustack-higress-plugins has no ai-proxy")
    provider = {"id": "upstream", "type": "openai", "apiTokens": [demo.USER_KEY]}
    settings = json.dumps({"providers": [provider], "activeProviderId": "upstream"})
    changed = bare(config)
    vm = {"vm_id": "higress", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": str(plugins[-1])}}}
    text = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": settings}
    plugin = {"name": "ai-proxy", "root_id": "ai-proxy", "vm_config": vm, "configuration": text}
    _put_first(changed, {"name": "ai-proxy", "typed_config": {"@type": _WASM, "config": plugin}})
    return changed


def _manager(config: dict) -> dict:
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def _put_first(config: dict, http_filter: dict) -> None:
    _manager(config)["http_filters"].insert(0, http_filter)


@contextlib.contextmanager
def _litellm(server: MockModels, prefix: Sequence[str]) -> Iterator[Service]:
    python = python_env.ensure(REQUIREMENTS / "requirements-litellm.txt", "bench-litellm")
    directory = _directory("litellm")
    upstream = {"model": "openai/gpt-4o", "api_base": f"http://127.0.0.1:{server.port}/v1", "api_key": demo.USER_KEY}
    models = [{"model_name": "gpt-4o", "litellm_params": upstream}]
    config = {"model_list": models, "general_settings": {"master_key": demo.USER_KEY}}
    (directory / "config.yaml").write_text(json.dumps(config))
    port = free_port()
    command = [*prefix, python, "-m", "litellm.proxy.proxy_cli", "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    child = Child("litellm", command, directory / "litellm.log", cwd=directory)
    yield from _running(child, Service(f"http://127.0.0.1:{port}{demo.CHAT_PATH}", child.pid))


@contextlib.contextmanager
def _tensorzero(server: MockModels, prefix: Sequence[str]) -> Iterator[Service]:
    """TensorZero's Python package starts the gateway in its own process, and reports the address."""
    python = python_env.ensure(REQUIREMENTS / "requirements-tensorzero.txt", "tensorzero")
    directory = _directory("tensorzero")
    provider = f'type = "openai"\nmodel_name = "gpt-4o"\napi_base = "http://127.0.0.1:{server.port}/v1/"\n'
    config = f'[models.gpt-4o]\nrouting = ["upstream"]\n[models.gpt-4o.providers.upstream]\n{provider}'
    (directory / "tensorzero.toml").write_text(config)
    command = [*prefix, python, REQUIREMENTS / "tensorzero_gateway.py"]
    child = Child("tensorzero", command, directory / "tensorzero.log", env={"OPENAI_API_KEY": demo.USER_KEY}, cwd=directory)
    address = directory / "address"
    try:
        child.wait_until(address.exists, 120)
        url = urllib.parse.urljoin(address.read_text().rstrip("/") + "/", "chat/completions")
        yield Service(url, child.pid, model="tensorzero::model_name::gpt-4o")
    finally:
        child.stop()


def _running(child: Child, service: Service) -> Iterator[Service]:
    try:
        child.wait_until(lambda: _answers(service), 180)
        yield service
    finally:
        child.stop()


def _answers(service: Service) -> bool:
    try:
        return ask(service)[0] == 200
    except OSError:
        return False


def ask(service: Service, work: Work = WORKS[0]) -> tuple[int, bytes]:
    """Sends one request; returns status and body."""
    return fetch(service.url, "POST", work.body(service.model).encode(), demo.CHAT_HEADERS)


def _directory(name: str) -> Path:
    directory = WORK / f"peer-{name}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


@contextlib.contextmanager
def started(peer: Peer) -> Iterator[Service | None]:
    """The peer's server while it runs. Yields None, with the reason in the peer, if it does not start or does not answer."""
    with contextlib.ExitStack() as running:
        try:
            service = running.enter_context(peer.start())
            status, answer = ask(service)
            if status != 200:
                raise ChildFailed(f"it answers {status}: {answer.decode(errors='replace')}")
        except (ChildFailed, python_env.InstallFailed, OSError) as failure:
            peer.reason = re.sub(r"\s+", " ", str(failure))[:300]
            print(f"{peer.name}: {peer.reason}", file=sys.stderr)
            service = None
        yield service
