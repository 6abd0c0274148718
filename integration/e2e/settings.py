"""envoy/envoy.yaml as data: each test changes only the settings that it tests."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Mapping

import yaml

import demo
from child import TOOL
from gateway import Address, MockModels, render

# With these weights the first of two targets is always tried first, as far as a test can see.
FIRST, SECOND = 1_000_000, 1
CLUSTER_ACTION = "type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction"
STRUCT = "type.googleapis.com/google.protobuf.Struct"


def rendered(models: Mapping[str, MockModels]) -> str:
    """The file with this run's addresses: free ports and these model servers. Answers name their server."""
    addresses: dict[Address, Address] = {demo.LISTENER: ("127.0.0.1", 0), demo.ADMIN: ("127.0.0.1", 0)}
    addresses.update({server.address: models[server.name].address for server in demo.SERVERS})
    text = render(demo.ENVOY_YAML.read_text(), addresses)
    # as text, to keep the file's aliases: a change of the VM's settings then applies to all filters
    return re.sub(r"^( +)router:\n", r"\g<0>\1  answer_headers: always\n", text, count=1, flags=re.MULTILINE)


def long_form(path: Path) -> str:
    """A configuration as Envoy takes it: a short file is rendered first."""
    text = path.read_text()
    if "static_resources:" in text:
        return text
    return subprocess.run([TOOL, "render", path], capture_output=True, text=True, timeout=30, check=True).stdout


class Settings:
    """The parsed file; the properties have the names of the file's comments."""

    def __init__(self, text: str):
        self.tree = yaml.safe_load(text)

    def text(self) -> str:
        """As text for Envoy: JSON is YAML too."""
        return json.dumps(self.tree, ensure_ascii=False)  # yaml-cpp does not support surrogates

    @property
    def manager(self) -> dict[str, Any]:
        """The connection manager's settings."""
        listener = self.tree["static_resources"]["listeners"][0]
        return listener["filter_chains"][0]["filters"][0]["typed_config"]

    @property
    def filters(self) -> list[dict[str, Any]]:
        """The HTTP filters; the last is Envoy's router."""
        return self.manager["http_filters"]

    @property
    def upstream_filters(self) -> list[dict[str, Any]]:
        """The filters that run once per attempt."""
        return self.filters[-1]["typed_config"]["upstream_http_filters"]

    def plugin(self, name: str) -> dict[str, Any]:
        """The entry of one of Sluice's filters; filters may share an entry."""
        plugins = [each["typed_config"].get("config", {}) for each in self.filters + self.upstream_filters]
        return next(plugin for plugin in plugins if name in plugin.get("root_id", "").split("+"))

    def values(self, name: str) -> dict[str, Any]:
        """The settings of one of Sluice's filters; changes apply to the file."""
        plugin = self.plugin(name)
        value = plugin.setdefault("configuration", {"@type": STRUCT, "value": {}})["value"]
        return value[name] if "+" in plugin["root_id"] else value

    def separate(self) -> "Settings":
        """Gives each filter its own entry, as the file's comment describes; returns itself."""
        return self.split(*self.plugin("router")["root_id"].split("+"))

    def split(self, *root_ids: str) -> "Settings":
        """Replaces the joined entry with these entries; returns itself."""
        index = next(index for index, each in enumerate(self.filters) if each["name"] == "sluice")
        joined = self.filters.pop(index)
        for root_id in reversed(root_ids):
            entry = copy.deepcopy(joined)
            plugin = entry["typed_config"]["config"]
            entry["name"] = f"sluice.{root_id}"
            plugin.update(name=root_id, root_id=root_id)
            settings = plugin["configuration"]["value"]
            own = {name: settings[name] for name in root_id.split("+") if name in settings}
            plugin["configuration"]["value"] = own if "+" in root_id else own.get(root_id, {})
            self.filters.insert(index, entry)
        return self

    @property
    def models(self) -> list[dict[str, Any]]:
        """The models of `router`."""
        return self.values("router")["models"]

    @property
    def upstreams(self) -> dict[str, Any]:
        """The upstreams of `router`."""
        return self.values("router")["upstreams"]

    def add_filter(self, root_id: str, before: str) -> None:
        """Adds another Sluice filter to the chain."""
        index = [each["name"] for each in self.filters].index(f"sluice.{before}")
        added = copy.deepcopy(self.filters[index])
        added["name"] = f"sluice.{root_id}"
        added["typed_config"]["config"].update(name=root_id, root_id=root_id)
        added["typed_config"]["config"].pop("configuration", None)
        self.filters.insert(index, added)

    def remove_filter(self, root_id: str) -> None:
        """Removes a filter."""
        self.filters[:] = [each for each in self.filters if each["name"] != f"sluice.{root_id}"]

    def add_cluster(self, name: str, address: Address) -> dict[str, Any]:
        """Adds a cluster as the file's comment 4 describes; returns it."""
        clusters = self.tree["static_resources"]["clusters"]
        added = copy.deepcopy(clusters[0])
        added["name"] = added["load_assignment"]["cluster_name"] = name
        lead_to(added, address)
        clusters.append(added)
        route = self.manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
        specifier = route["inline_cluster_specifier_plugin"]["extension"]["typed_config"]
        lines = specifier["cluster_matcher"]["matcher_tree"]["exact_match_map"]["map"]
        lines[name] = {"action": {"name": name, "typed_config": {"@type": CLUSTER_ACTION, "cluster": name}}}
        return added

    def add_model(self, name: str, *targets: str, **fields: Any) -> None:
        """Adds a model: the first of the `targets` (upstreams) is tried first, the others when it fails."""
        weights = [FIRST] + [SECOND] * (len(targets) - 1)
        self.models.append({"name": name, **fields, "targets": [_target(*each) for each in zip(targets, weights)]})


def lead_to(cluster: dict[str, Any], address: Address) -> None:
    """Gives a cluster another address."""
    endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    endpoint["address"]["socket_address"].update(address=address[0], port_value=address[1])


def _secret(name: str, value: str) -> dict[str, Any]:
    """A secret as Envoy reads it from a file."""
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    return {"@type": kind, "name": name, "generic_secret": {"secret": {"inline_string": value}}}


def with_tokens(config: str, directory: Path) -> str:
    """Writes the files with tokens that a configuration reads, and makes it read them in `directory`."""
    for file, name in set(re.findall(r'"\./(([\w-]+)-token\.yaml)"', config)):
        (directory / file).write_text(json.dumps({"resources": [_secret(name, "Bearer a-token")]}))
        config = config.replace(f'"./{file}"', json.dumps(str(directory / file)))
    return config


def _target(upstream: str, weight: int) -> dict[str, Any]:
    """A target with the model name that the demo's server of that name serves."""
    return {"upstream": upstream, "model": f"gpt-4o-{upstream}", "weight": weight}
