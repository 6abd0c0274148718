"""The demo by `sluice run`, so that a change of envoy/demo.yaml applies when it is saved."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Mapping

import demo
from child import ROOT, TARGET, TOOL, Child
from envoy_binary import find_envoy
from gateway import WASM

SHORT_FILE = demo.ENVOY_YAML.parent / "demo.yaml"
# `make run` builds the first one, the tests the second one; the newer one knows the current envoy.yaml.
_TOOLS = (TARGET / "mock" / "sluice", TOOL)


def tool(text: str) -> Path | None:
    """The command, if the short file gives the Envoy configuration `text`; None if that was edited by hand."""
    if found := max((path for path in _TOOLS if path.exists()), key=lambda path: path.stat().st_mtime, default=None):
        rendered = subprocess.run([found, "render", SHORT_FILE], capture_output=True, text=True, timeout=30)
        if rendered.returncode == 0 and rendered.stdout == text:
            return found
    return None


class Live:
    """A running `sluice run`. `ports` has the port for each address of the demo."""

    def __init__(self, tool: Path, ports: Mapping[demo.Address, int], directory: Path):
        self._ports = ports
        self._seen = SHORT_FILE.read_text()
        self._copy = directory / SHORT_FILE.name
        self._told = 0
        self.port = ports[demo.LISTENER]
        self.admin = f"http://127.0.0.1:{ports[demo.ADMIN]}"
        directory.mkdir(parents=True, exist_ok=True)
        self._copy.write_text(self._with_ports())
        self._log = directory / "envoy.log"
        command = [tool, "run", self._copy, "--wasm", WASM, "--concurrency", "2", "--drain-timeout", "2"]
        env = {**demo.ENVIRONMENT, demo.KEY_SECRET: _kept_secret(directory), "ENVOY": str(find_envoy())}
        self.child = Child("envoy", command, self._log, env=env, stdout=directory / "stdout.log")

    def _with_ports(self) -> str:
        text = self._seen
        for (host, port), other in self._ports.items():
            text = text.replace(f"//{host}:{port}", f"//{host}:{other}")
        own = {"listen": demo.LISTENER, "admin": demo.ADMIN}
        return text + "".join(f"\n{field}: 127.0.0.1:{self._ports[address]}\n" for field, address in own.items())

    def __enter__(self) -> Live:
        try:
            self.child.wait_until(lambda: "metrics: " in self._log.read_text(errors="replace"), 120)
        except BaseException:
            self.child.stop()
            raise
        self._told = self._log.stat().st_size
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stop()

    def follow(self) -> list[str]:
        """Passes a change of the short file on; returns what the command has said since the last time."""
        try:
            text = SHORT_FILE.read_text()
        except OSError:
            text = self._seen  # an editor replaces it
        if text != self._seen:
            self._seen = text
            self._copy.write_text(self._with_ports())
        with self._log.open(errors="replace") as log:
            log.seek(self._told)
            said = log.read()
            self._told = log.tell()
        # the user edits the short file, not its copy with the ports
        shown = str(SHORT_FILE.relative_to(ROOT))
        return [line.replace(str(self._copy), shown) for line in said.splitlines() if line and not line.startswith("[")]


def _kept_secret(directory: Path) -> str:
    """The secret of virtual keys, in a file beside the logs: so keys that were issued are still valid after a restart."""
    file = directory / "key-secret"
    try:
        if secret := file.read_text().strip():
            return secret
    except OSError:
        pass
    with open(file, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as kept:
        kept.write(demo.ENVIRONMENT[demo.KEY_SECRET])
    return demo.ENVIRONMENT[demo.KEY_SECRET]
