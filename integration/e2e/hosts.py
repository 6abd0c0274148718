"""Envoys that run already, for gateways with a configuration of a test's own.

To start an Envoy takes seconds, which V8 needs to compile the wasm. One that has compiled it takes the same
configuration, as listeners and clusters it reads from files, in a tenth of a second. Each gateway gets VMs of its own
there and so knows nothing of those before it: when it ends, they end, and with them and the listeners and clusters all
of their stats.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from pathlib import Path
from typing import Any, Iterator, Mapping

import yaml

from child import ChildFailed
from gateway import Gateway, _work_directory

XDS = {"lds": "envoy.config.listener.v3.Listener", "cds": "envoy.config.cluster.v3.Cluster"}
# What is said of a VM that keeps the compiled code in memory while there is no gateway.
WASM_SERVICE = "type.googleapis.com/envoy.extensions.wasm.v3.WasmService"
_VMS = "wasm.wasm_vm_count"
_UPDATES = re.compile(r"\.([cl]ds)\.update_(success|rejected)$")


class Host(Gateway):
    """An Envoy for one gateway at a time."""

    def __init__(self, bootstrap: dict[str, Any], env: Mapping[str, str]):
        directory = _work_directory("host")
        self._files = {kind: directory / f"{kind}.json" for kind in XDS}
        config = {**bootstrap, "node": {"id": "host", "cluster": "host"}, "bootstrap_extensions": [_keeper()]}
        config["dynamic_resources"] = {
            f"{kind}_config": {"path_config_source": {"path": str(path)}} for kind, path in self._files.items()
        }
        # What is gone is to be gone at once; and a configuration's mistakes are refused as they are at a start.
        arguments = ["--drain-time-s", "0", "--reject-unknown-dynamic-fields"]
        super().__init__(json.dumps(config), env=env, concurrency=2, directory=directory, arguments=arguments)
        self._begin = {"envoy.log": 0, "stdout.log": 0}
        self._idle_vms = 0

    def start(self) -> Host:
        for kind in XDS:
            self._write(kind, [])
        super().start()
        self._idle_vms = self.stats(f"^{_VMS}$")[_VMS]
        return self

    def take_in(self, listeners: list[dict[str, Any]], clusters: list[dict[str, Any]]) -> None:
        """Becomes a gateway; raises ChildFailed with Envoy's words if it refuses."""
        self._begin = {name: (self.directory / name).stat().st_size for name in self._begin}
        self._update("cds", clusters)
        self._update("lds", listeners)
        statuses = {each["name"]: each for each in self.ask("/listeners?format=json")["listener_statuses"]}
        self.port = statuses[listeners[0]["name"]]["local_address"]["socket_address"]["port_value"]

    def clear(self) -> None:
        """Ends what it was, and waits until nothing of it is left."""
        for kind in XDS:
            self._update(kind, [])
        self.child.wait_until(lambda: self.stats(f"^{_VMS}$")[_VMS] == self._idle_vms, 10)

    def _update(self, kind: str, resources: list[dict[str, Any]]) -> None:
        before = self._updates(kind)
        self._write(kind, resources)
        self.child.wait_until(lambda: self._updates(kind) != before, 10)
        if self._updates(kind)["rejected"] != before["rejected"]:
            raise ChildFailed(f"Envoy refuses the configuration:\n{self.log()}")

    def _write(self, kind: str, resources: list[dict[str, Any]]) -> None:
        """All at once: Envoy reads a file that is moved there."""
        path = self._files[kind]
        written = path.with_suffix(".new")
        typed = [{"@type": f"type.googleapis.com/{XDS[kind]}", **each} for each in resources]
        written.write_text(json.dumps({"resources": typed}))
        os.replace(written, path)

    def _updates(self, kind: str) -> dict[str, int]:
        """How many were taken, and how many refused."""
        return {_UPDATES.search(name)[2]: value for name, value in self.stats(rf"_manager\.{kind}\.update_(success|rejected)$").items()}

    def log(self) -> str:
        return self._since("envoy.log")

    def output(self) -> str:
        return self._since("stdout.log")

    def _since(self, name: str) -> str:
        """A log from where the gateway began."""
        with (self.directory / name).open("rb") as log:
            log.seek(self._begin[name])
            return log.read().decode(errors="replace")


class Hosts:
    """As many as are needed at once, all with this environment. `usual` is a configuration; only its listeners and
    clusters may be others."""

    def __init__(self, usual: str, env: Mapping[str, str]):
        self._env = env
        self._bootstrap = _split(yaml.safe_load(usual))[0]
        self._all = contextlib.ExitStack()
        self._idle: list[Host] = []
        self._numbers = itertools.count()

    @contextlib.contextmanager
    def gateway(self, config: str) -> Iterator[Gateway | None]:
        """A gateway of that configuration; None if it differs in more, and so needs an Envoy of its own."""
        bootstrap, listeners, clusters = _split(yaml.safe_load(config))
        if bootstrap != self._bootstrap or not listeners:
            yield None
            return
        host = self._idle.pop() if self._idle else self._all.enter_context(Host(self._bootstrap, self._env))
        own = re.sub(r'("vm_id": "[^"]*)"', rf'\1 {next(self._numbers)}"', json.dumps(listeners))
        host.take_in(json.loads(own), clusters)
        yield host
        host.clear()
        self._idle.append(host)  # it is not used again after a test that failed in it

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        self._all.close()


def _split(tree: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """A configuration without its listeners and clusters, and those."""
    static = dict(tree.get("static_resources", {}))
    listeners, clusters = static.pop("listeners", []), static.pop("clusters", [])
    return {**tree, "static_resources": static}, listeners, clusters


def _keeper() -> dict[str, Any]:
    """The filter that needs no settings."""
    vm = {"vm_id": "keeper", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": "sluice.wasm"}}}
    plugin = {"name": "keeper", "root_id": "attempt", "vm_config": vm}
    return {"name": "envoy.bootstrap.wasm", "typed_config": {"@type": WASM_SERVICE, "singleton": True, "config": plugin}}
