"""Running Envoys that take a test's configuration.

Starting an Envoy takes seconds, because V8 compiles the wasm. A running Envoy that has compiled it takes the same configuration
in a tenth of a second, from files with listeners and clusters. Each gateway gets its own VMs there, so it knows nothing of
earlier gateways. When it ends, its VMs, listeners, clusters and their stats end with it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from typing import Any, Iterator, Mapping

import yaml

import demo
from child import ChildFailed
from gateway import Gateway, _work_directory
from settings import long_form

XDS = {"lds": "envoy.config.listener.v3.Listener", "cds": "envoy.config.cluster.v3.Cluster"}
# The VM that keeps the compiled code in memory while there is no gateway.
WASM_SERVICE = "type.googleapis.com/envoy.extensions.wasm.v3.WasmService"
# The variables of the examples, so that they can run in these Envoys as well.
EXAMPLE_KEYS = {
    name.strip(): f"{name.strip()}-secret"
    for path in (demo.ENVOY_YAML.parent / "examples").glob("*.yaml")
    for names in re.findall(r"host_env_keys: \[(.*?)\]", long_form(path))
    for name in names.split(",")
}
# What Envoy signs requests to Amazon with.
AWS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
# Fields that these Envoys set, whatever a gateway's are: a name, and histograms that are merged often.
_OWN = {"node": {"id": "host", "cluster": "host"}, "stats_flush_interval": "1s"}
_VMS = "wasm.wasm_vm_count"
_UPDATES = re.compile(r"\.([cl]ds)\.update_(success|rejected)$")


class Host(Gateway):
    """An Envoy for one gateway at a time."""

    def __init__(self, bootstrap: dict[str, Any], env: Mapping[str, str]):
        directory = _work_directory("host")
        self._files = {kind: directory / f"{kind}.json" for kind in XDS}
        config = {**bootstrap, **_OWN, "bootstrap_extensions": [_keeper()]}
        config["dynamic_resources"] = {
            f"{kind}_config": {"path_config_source": {"path": str(path)}} for kind, path in self._files.items()
        }
        # Old listeners must end at once, and a mistake must be refused as at a start.
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
        """Becomes a gateway; raises ChildFailed with Envoy's message if it refuses."""
        self._begin = {name: (self.directory / name).stat().st_size for name in self._begin}
        self._update("cds", clusters)
        self._update("lds", listeners)
        statuses = {each["name"]: each for each in self.ask("/listeners?format=json")["listener_statuses"]}
        self.port = statuses[listeners[0]["name"]]["local_address"]["socket_address"]["port_value"]

    def clear(self) -> None:
        """Removes the gateway, and waits until nothing of it is left."""
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
        """Replaces a file atomically: Envoy reads a file that is moved there."""
        path = self._files[kind]
        written = path.with_suffix(".new")
        typed = [{"@type": f"type.googleapis.com/{XDS[kind]}", **each} for each in resources]
        written.write_text(json.dumps({"resources": typed}))
        os.replace(written, path)

    def _updates(self, kind: str) -> dict[str, int]:
        """The numbers of accepted and refused updates."""
        return {_UPDATES.search(name)[2]: value for name, value in self.stats(rf"_manager\.{kind}\.update_(success|rejected)$").items()}

    def log(self) -> str:
        return self._since("envoy.log")

    def output(self) -> str:
        return self._since("stdout.log")

    def _since(self, name: str) -> str:
        """The log since the gateway's start."""
        with (self.directory / name).open("rb") as log:
            log.seek(self._begin[name])
            return log.read().decode(errors="replace")


class Hosts:
    """As many Envoys as are needed at once, all with this environment. `usual` is a configuration; gateways may only differ from
    it in listeners, clusters, the node and the interval of stats."""

    def __init__(self, usual: str, env: Mapping[str, str]):
        self._env = env
        self._bootstrap = _split(yaml.safe_load(usual))[0]
        self._all = contextlib.ExitStack()
        self._idle: list[Host] = []
        self._numbers = itertools.count()

    @contextlib.contextmanager
    def gateway(self, config: str) -> Iterator[Gateway | None]:
        """A gateway with that configuration; None if it differs in more, and so needs its own Envoy."""
        bootstrap, listeners, clusters = _split(yaml.safe_load(config))
        if bootstrap != self._bootstrap or not listeners:
            yield None
            return
        host = self._idle.pop() if self._idle else self._all.enter_context(Host(self._bootstrap, self._env))
        # Filters may be in clusters as well.
        own = re.sub(r'("vm_id": "[^"]*)"', rf'\1 {next(self._numbers)}"', json.dumps([listeners, clusters]))
        host.take_in(*json.loads(own))
        yield host
        host.clear()
        self._idle.append(host)  # not used again after a failed test

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        self._all.close()


def _split(tree: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """A configuration without listeners and clusters, and the listeners and clusters."""
    static = dict(tree.get("static_resources", {}))
    listeners, clusters = static.pop("listeners", []), static.pop("clusters", [])
    rest = {name: value for name, value in tree.items() if name not in _OWN}
    return {**rest, "static_resources": static}, listeners, clusters


def _keeper() -> dict[str, Any]:
    """The filter without settings."""
    vm = {"vm_id": "keeper", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": "sluice.wasm"}}}
    plugin = {"name": "keeper", "root_id": "attempt", "vm_config": vm}
    return {"name": "envoy.bootstrap.wasm", "typed_config": {"@type": WASM_SERVICE, "singleton": True, "config": plugin}}
