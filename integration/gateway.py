"""Envoy with Sluice and the model servers behind it, as Python objects.

Used by `make run`, the end-to-end tests, the benchmark and compose. Standard library only.

    with MockModels.demo(demo.SERVERS[0]) as mock, Gateway(render(text, {...}), env=...) as gateway:
        mock.fault({...}); ...; gateway.stats()
"""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import urllib.parse
from pathlib import Path
from typing import Any, Mapping, Sequence

import demo
from child import TARGET, Child, ChildFailed, answers, fetch, free_port
from envoy_binary import find_envoy

WASM = TARGET / "sluice.wasm"
MOCK_MODELS = TARGET / "mock" / "mock-models"
WORK = TARGET / "work"

Address = demo.Address

_ADDRESS = re.compile(r"(socket_address: \{address: )([^\s,{}]+)(, port_value: )(\d+)(\})")


def render(text: str, addresses: Mapping[Address, Address]) -> str:
    """`text`, an Envoy configuration, with other addresses; everything else is unchanged.

    A demo, a test and a container differ only in addresses, so all of them run the file that an operator copies. Raises
    ValueError for an address that the file does not contain.
    """
    unused = set(addresses)

    def replace(match: re.Match[str]) -> str:
        address = (match[2], int(match[4]))
        unused.discard(address)
        host, port = addresses.get(address, address)
        return f"{match[1]}{host}{match[3]}{port}{match[5]}"

    rendered = _ADDRESS.sub(replace, text)
    if unused:
        missing = ", ".join(f"{host}:{port}" for host, port in sorted(unused))
        raise ValueError(f"the Envoy configuration does not mention {missing}")
    return rendered


def mentions(text: str, address: Address) -> bool:
    """Whether an Envoy configuration has this address, in the way `render` looks for it."""
    return address in ((match[2], int(match[4])) for match in _ADDRESS.finditer(text))


def _work_directory(name: str) -> Path:
    """A new directory for one program's files; its logs remain until `make clean`."""
    WORK.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=WORK))


class MockModels:
    """A running mock model server. `port` 0 takes a free one; `tls` is (certificate, key)."""

    def __init__(
        self,
        name: str = "mock",
        port: int = 0,
        *,
        api_key: str | None = None,
        models: Sequence[str] = (),
        tls: tuple[Path, Path] | None = None,
        arguments: Sequence[str] = (),
        directory: Path | None = None,
        prefix: Sequence[str] = (),
    ):
        self.name = name
        self.port = port or free_port()
        self._command = [*prefix, MOCK_MODELS, "--listen", f"127.0.0.1:{self.port}", "--name", name]
        self._command += ["--api-key", api_key] if api_key else []
        self._command += [word for model in models for word in ("--model", model)]
        self._command += ["--tls-cert", tls[0], "--tls-key", tls[1]] if tls else []
        self._command += arguments
        self._directory = directory
        self.child: Child | None = None

    @classmethod
    def demo(cls, server: demo.ModelServer, port: int = 0, **options: Any) -> MockModels:
        """One of the demo's servers, on a free port by default."""
        return cls(server.name, port, api_key=server.key, models=server.models, **options)

    @property
    def address(self) -> Address:
        """For `render`."""
        return ("127.0.0.1", self.port)

    def start(self) -> MockModels:
        """Starts it and waits until it answers."""
        if not MOCK_MODELS.exists():
            raise ChildFailed(f"{MOCK_MODELS} is missing: run `make mock`")
        directory = self._directory or _work_directory(self.name)
        self.child = Child(self.name, self._command, directory / f"{self.name}.log")
        # Always plain HTTP, even if models are served over TLS: only Envoy should check the certificate.
        self.child.wait_for(f"http://127.0.0.1:{self.port}/healthz")
        return self

    def stop(self) -> None:
        """Ends it."""
        if self.child:
            self.child.stop()

    def fault(self, fault: Mapping[str, Any]) -> None:
        """Sets how it answers from now on; the mock's documentation lists the fields."""
        self._control("PUT", "/_mock", json.dumps(fault).encode())

    def clear(self) -> None:
        """Resets it: healthy answers and an empty journal."""
        self._control("DELETE", "/_mock")

    def requests(self) -> Any:
        """The requests in its journal."""
        return json.loads(self._control("GET", "/_mock/requests"))

    def _control(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body else {}
        status, answer = fetch(f"http://127.0.0.1:{self.port}{path}", method, body, headers)
        if status >= 300:
            raise ValueError(f"{self.name} answered {method} {path} with {status}: {answer.decode()}")
        return answer

    def __enter__(self) -> MockModels:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Gateway:
    """A running Envoy. `config` is a configuration's text or path; `env` holds the providers' keys.

    It listens where the configuration says. Port 0 takes a free port; `port` has its number.
    """

    def __init__(
        self,
        config: str | Path,
        *,
        env: Mapping[str, str] | None = None,
        concurrency: int = 1,
        directory: Path | None = None,
        wasm: Path | None = WASM,
        prefix: Sequence[str] = (),
        arguments: Sequence[str] = (),
        start_seconds: float = 60,
        flush_ms: int = 50,
    ):
        self._config = config.read_text() if isinstance(config, Path) else config
        self._env = demo.ENVIRONMENT if env is None else env
        self._concurrency = concurrency
        self._wasm = wasm
        self._prefix = prefix
        self._arguments = arguments
        self._start_seconds = start_seconds
        self._flush_ms = flush_ms
        self.directory = directory or _work_directory("gateway")
        self.child: Child | None = None
        self.port = 0
        self.admin = ""

    def start(self) -> Gateway:
        """Starts Envoy and waits until it is ready; raises ChildFailed with Envoy's message if it refuses."""
        envoy = find_envoy()
        admin_file = self._prepare()
        command = [*self._prefix, envoy, "-c", "envoy.yaml", "--admin-address-path", admin_file.name]
        # No hot restart: it would leave shared memory behind. Quick flushes: tests read the access log.
        command += ["--concurrency", str(self._concurrency), "--disable-hot-restart"]
        command += ["--file-flush-interval-msec", str(self._flush_ms), *self._arguments]
        self.child = Child(
            "envoy",
            command,
            self.directory / "envoy.log",
            env=self._env,
            cwd=self.directory,
            stdout=self.directory / "stdout.log",
        )
        try:
            self._wait(admin_file)
        except BaseException:
            self.stop()
            raise
        return self

    def _prepare(self) -> Path:
        """Prepares Envoy's working directory; returns the file to which Envoy writes its admin address."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for left in ("stdout.log", "admin.address", "sluice.wasm"):
            (self.directory / left).unlink(missing_ok=True)
        (self.directory / "envoy.yaml").write_text(self._config)
        if self._wasm:
            if not self._wasm.exists():
                raise ChildFailed(f"{self._wasm} is missing: run `make wasm`")
            (self.directory / "sluice.wasm").symlink_to(self._wasm.resolve())
        return self.directory / "admin.address"

    def _wait(self, admin_file: Path) -> None:
        """Waits for the workers, then asks for Envoy's listening addresses."""
        try:
            self.child.wait_until(lambda: admin_file.exists() and bool(admin_file.read_text()), self._start_seconds)
            self.admin = f"http://{admin_file.read_text().strip()}"
            self.child.wait_until(lambda: answers(f"{self.admin}/ready"), self._start_seconds)
        except ChildFailed as failure:
            raise ChildFailed(self._complaints() or str(failure)) from None
        listeners = self.ask("/listeners?format=json").get("listener_statuses")
        if listeners:
            self.port = listeners[0]["local_address"]["socket_address"]["port_value"]

    def _complaints(self) -> str:
        """Envoy's messages about its configuration, without those of every start."""
        said = [line for line in self.log().splitlines() if "[critical]" in line or "[error]" in line]
        return "\n".join(["Envoy does not start:", *said]) if said else ""

    def kill(self) -> None:
        """Kills it with SIGKILL, so that it cannot write what it has buffered."""
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.stop()

    def stop(self) -> None:
        """Ends it."""
        if self.child:
            self.child.stop()

    def ask(self, path: str) -> Any:
        """Envoy's answer to GET `path` at its admin endpoint: parsed if it is JSON, else as text."""
        status, body = fetch(f"{self.admin}{path}")
        if status != 200:
            raise ValueError(f"Envoy's admin endpoint answered {path} with {status}: {body.decode()}")
        return json.loads(body) if body[:1] in (b"{", b"[") else body.decode()

    def stats(self, pattern: str = "") -> dict[str, int]:
        """Counters and gauges by name; only those that match the regular expression `pattern`."""
        stats = self.ask(f"/stats?format=json&filter={urllib.parse.quote(pattern)}")["stats"]
        return {stat["name"]: stat["value"] for stat in stats if "name" in stat}

    def prometheus(self) -> str:
        """The metrics as Prometheus scrapes them."""
        return fetch(f"{self.admin}/stats/prometheus")[1].decode()

    def log(self) -> str:
        """Envoy's log so far."""
        return (self.directory / "envoy.log").read_text(errors="replace")

    def output(self) -> str:
        """Its standard output so far, which has the access log if the configuration sends it there."""
        return (self.directory / "stdout.log").read_text(errors="replace")

    def __enter__(self) -> Gateway:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
