"""Ten configurations of LiteLLM's proxy, modelled on its documentation: what `sluice import` takes over works against servers."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import demo
from child import TOOL, fetch
from gateway import Gateway, MockModels
from hosts import Hosts
from test_short_file import render

FOLDER = Path(__file__).parent / "litellm"
MASTER = "sk-litellm-master"
ADDRESSES = "\nlisten: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"
_UPSTREAM = re.compile(r"^  ([\w-]+): \{provider: (\w+)(.*)\}$", re.M)


class Imported:
    """The gateway of an imported configuration. `servers` replace its providers, by the upstreams' names."""

    def __init__(self, servers: dict[str, MockModels], gateway: Gateway, notes: str):
        self.servers, self._gateway, self.notes = servers, gateway, notes

    def ask(self, model: str, *, status: int = 200, path: str = demo.CHAT_PATH, stream: bool = False, text: str = "Hello") -> Any:
        """The answer of a model; a stream as text."""
        body: dict[str, Any] = {"model": model}
        if path == demo.CHAT_PATH:
            body.update(messages=[{"role": "user", "content": text}], stream=stream)
        else:
            body.update(input=text)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {MASTER}"}
        found, answer = fetch(f"http://127.0.0.1:{self._gateway.port}{path}", "POST", json.dumps(body).encode(), headers, 30)
        assert found == status, (found, answer)
        return answer.decode() if stream else json.loads(answer)

    def asked(self) -> Counter[tuple[str, str]]:
        """How often each server was asked for which model."""
        entries = ((name, entry) for name, server in self.servers.items() for entry in server.requests())
        return Counter((name, entry["body"]["model"]) for name, entry in entries)


def _variables(text: str) -> dict[str, str]:
    """The variables that a configuration of LiteLLM reads."""
    return {variable: f"secret-{variable}" for variable in re.findall(r"os\.environ/(\w+)", text)} | {"LITELLM_MASTER_KEY": MASTER}


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """An Envoy for one after the other; all that `sluice render` makes have the same bootstrap."""
    usual = 'keys: [{id: a, hash: "sha256:%064d"}]\nupstreams: {a: {url: "http://127.0.0.1:1"}}\nmodels: [{name: a, targets: [a]}]\n' % 0
    every = "".join(path.read_text() for path in FOLDER.glob("*.yaml"))
    with Hosts(render(usual + ADDRESSES), _variables(every)) as hosts:
        yield hosts


@contextlib.contextmanager
def imported(name: str, hosts: Hosts) -> Iterator[Imported]:
    """Imports a configuration, checks it, and starts it with servers of its own."""
    text = (FOLDER / f"{name}.yaml").read_text()
    variables = _variables(text)
    run = subprocess.run([TOOL, "import", "litellm", "-"], input=text, capture_output=True, text=True, timeout=30, env=variables)
    assert run.returncode == 0 and "secret-" not in run.stdout and MASTER not in run.stdout, run.stderr
    checked = subprocess.run([TOOL, "check", "-"], input=run.stdout, capture_output=True, text=True, timeout=30, env=variables)
    assert checked.returncode == 0, checked.stdout
    servers: dict[str, MockModels] = {}

    def here(found: re.Match[str]) -> str:
        upstream, provider, rest = found.groups()
        own = re.search(r"env: (\w+)", rest)
        secret = variables.get(own[1] if own else f"{provider.upper()}_API_KEY")
        servers[upstream] = MockModels(upstream, api_key=secret)
        rest = re.sub(r', url: "[^"]*"', "", rest)
        path = "" if provider == "ollama" else "/v1"
        return f'  {upstream}: {{provider: {provider}, url: "http://127.0.0.1:{servers[upstream].port}{path}"{rest}}}'

    short = _UPSTREAM.sub(here, run.stdout) + ADDRESSES
    with contextlib.ExitStack() as started:
        for server in servers.values():
            started.enter_context(server)
        gateway = started.enter_context(hosts.gateway(render(short)))
        assert gateway, "its bootstrap is another one"
        yield Imported(servers, gateway, run.stderr)


def _quick_start(it: Imported) -> None:
    for model in ("gpt-4o", "claude", "small"):
        it.ask(model)
        assert it.ask(model, stream=True).rstrip().endswith("data: [DONE]")
    models = {"azure": "my-gpt-4o", "anthropic": "claude-sonnet-4-5", "groq": "llama-3.1-8b-instant"}
    assert it.asked() == {pair: 2 for pair in models.items()}
    assert "api_version is left out" in it.notes


def _load_balancing(it: Imported) -> None:
    for _ in range(20):
        it.ask("gpt-4o")
    assert it.asked() == {("azure", "gpt-4o-eu"): 15, ("azure-2", "gpt-4o-us"): 5}
    it.servers["azure"].fault({"fault": "status", "status": 503})
    for _ in range(10):
        it.ask("gpt-4o")


def _fallbacks(it: Imported) -> None:
    it.servers["openai"].fault({"fault": "status", "status": 503})
    it.ask("small")
    assert it.asked()["anthropic", "claude-sonnet-4-5"] == 1
    it.servers["openai"].clear()
    too_long = {"error": {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}
    it.servers["openai"].fault({"fault": "status", "status": 400, "body": json.dumps(too_long)})
    it.ask("small")
    assert it.asked()["mistral", "mistral-large-latest"] == 1


def _default_fallbacks(it: Imported) -> None:
    for name in ("gpt-4o", "gpt-4", "gpt-3.5-turbo"):
        it.ask(name)
    assert it.asked() == {("openai", "gpt-4o"): 3}
    it.servers["openai"].fault({"fault": "status", "status": 503})
    it.ask("gpt-4")
    assert it.asked()["deepseek", "deepseek-chat"] == 1
    assert "model_group_alias.gpt-3.5-turbo.hidden" in it.notes


def _wildcard(it: Imported) -> None:
    for name in ("gpt-4o", "o3-mini"):
        it.ask(name)
    assert it.asked() == {("openai", "gpt-4o"): 1, ("openai", "o3-mini"): 1}
    assert "anthropic/*: the name that clients send is passed on" in it.notes


def _own_servers(it: Imported) -> None:
    for name in ("llama", "qwen", "local"):
        it.ask(name)
    assert it.asked() == {
        ("vllm", "meta-llama/Llama-3.3-70B-Instruct"): 1,
        ("openai", "Qwen3-32B"): 1,
        ("ollama", "llama3.2"): 1,
    }
    assert not any(line for line in it.notes.splitlines() if line)


def _order(it: Imported) -> None:
    for _ in range(3):
        it.ask("gpt-4o")
    assert it.asked() == {("openai", "gpt-4o"): 3}
    it.servers["openai"].fault({"fault": "reset"})
    it.ask("gpt-4o")
    assert it.asked()["openrouter", "openai/gpt-4o"] == 1
    assert "enable_pre_call_checks has no counterpart" in it.notes


def _embeddings(it: Imported) -> None:
    answer = it.ask("text-embedding-3-small", path="/v1/embeddings")
    assert answer["data"][0]["embedding"]
    it.ask("chat")
    assert it.ask("bge", path="/v1/embeddings", status=404)["error"]["code"] == "model_not_found"
    assert 'the provider of "huggingface/BAAI/bge-large-en" is unknown' in it.notes and "model_info.mode" in it.notes


def _timeouts(it: Imported) -> None:
    it.servers["openai"].fault({"delay_ms": 3000})
    it.ask("gpt-4o")
    assert it.ask("gpt-4o", stream=True).rstrip().endswith("data: [DONE]")
    assert it.asked()["xai", "grok-4"] == 2
    for told in ("litellm_settings.callbacks", "general_settings.database_url"):
        assert f"{told} has no counterpart" in it.notes


def _limits(it: Imported) -> None:
    for _ in range(3):
        it.ask("gpt-4o")
    assert it.ask("gpt-4o", status=429)["error"]["code"] == "rate_limit_exceeded"
    it.ask("free")
    assert {model for _, model in it.asked()} == {"gpt-4o", "accounts/fireworks/models/gpt-oss-120b", "command-a-03-2025"}
    assert "router_settings.redis_host" in it.notes and "the sum of its deployments'" in it.notes
    assert "the budget's 30d become the calendar's month" in it.notes


CASES: dict[str, Callable[[Imported], None]] = {
    "quick_start": _quick_start,
    "load_balancing": _load_balancing,
    "fallbacks": _fallbacks,
    "default_fallbacks": _default_fallbacks,
    "wildcard": _wildcard,
    "own_servers": _own_servers,
    "order": _order,
    "embeddings": _embeddings,
    "timeouts": _timeouts,
    "limits": _limits,
}


@pytest.mark.parametrize("name", CASES)
def test_imported(name: str, hosts: Hosts) -> None:
    with imported(name, hosts) as it:
        CASES[name](it)
    assert sorted(CASES) == sorted(path.stem for path in FOLDER.glob("*.yaml"))
