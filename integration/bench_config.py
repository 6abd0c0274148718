"""The configurations that the benchmark compares: envoy.yaml without Sluice, with some of its filters, with more keys, a guard or a
cache.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Iterator, Sequence

import yaml

import demo
from gateway import Gateway, MockModels, render

KIB = 1024
BODY_BYTES = KIB
FILTERS = ("auth", "guard", "router", "usage", "attempt")
WASM_TYPE = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"


def upstream(prefix: Sequence[str] = ()) -> MockModels:
    """One server for all clusters. It accepts the client's key and model, because bare Envoy rewrites neither."""
    models = {"gpt-4o", *(model for server in demo.SERVERS for model in server.models)}
    return MockModels("upstream", api_key=demo.USER_KEY, models=sorted(models), arguments=["--no-journal"], prefix=prefix)


def load_config(path: Path, server: MockModels) -> dict:
    """The demo's configuration as data. All clusters lead to `server`; ports are free ones."""
    addresses = {demo.LISTENER: ("127.0.0.1", 0), demo.ADMIN: ("127.0.0.1", 0)}
    addresses.update({model.address: server.address for model in demo.SERVERS})
    return yaml.safe_load(render(path.read_text(), addresses))


def gateway(config: dict, prefix: Sequence[str] = (), **options: object) -> Gateway:
    """An Envoy with one worker. Its upstream key is the client's key."""
    keys = {**demo.ENVIRONMENT, **{variable: demo.USER_KEY for variable in demo.PROVIDER_KEYS}}
    wasm = {} if WASM_TYPE in json.dumps(config) else {"wasm": None}
    return Gateway(json.dumps(config), env=keys, prefix=prefix, **{**wasm, **options})


def bare(config: dict) -> dict:
    """The configuration without Sluice."""
    config = with_filters(config, set())
    connection_manager(config).pop("local_reply_config", None)
    return config


def with_filters(config: dict, kept: set[str]) -> dict:
    """The configuration with only these of Sluice's filters; without `router`, a plain route."""
    config = json.loads(json.dumps(config))
    manager = connection_manager(config)
    manager["http_filters"] = _trimmed(manager["http_filters"], kept)
    router = manager["http_filters"][-1]["typed_config"]
    upstream_filters = _trimmed(router.pop("upstream_http_filters", []), kept)
    if len(upstream_filters) > 1:  # more than Envoy's codec, which is always there
        router["upstream_http_filters"] = upstream_filters
    if "router" not in kept:
        _route_plainly(manager)
    return config


def with_keys(config: dict, count: int) -> dict:
    """The configuration with this many client keys, including the demo's."""
    config = json.loads(json.dumps(config))
    for _, settings in _plugins(config, "auth"):
        keys = settings["keys"]
        hashes = (hashlib.sha256(f"sk-{number}".encode()).hexdigest() for number in range(count - len(keys)))
        keys += [{"id": f"key-{number}", "hash": f"sha256:{each}"} for number, each in enumerate(hashes)]
    return config


def with_guard(config: dict, checks: list[dict]) -> dict:
    """The configuration with a guard before `router`."""
    config = json.loads(json.dumps(config))
    for plugin, _ in _plugins(config, "router"):
        names = plugin["root_id"].split("+")
        if len(names) > 1:
            names.insert(names.index("router"), "guard")
            plugin["root_id"] = "+".join(names)
            plugin["configuration"]["value"]["guard"] = {"checks": checks}
    return config


def with_cache(config: dict) -> dict:
    """The configuration with a cache for each model, of answers to all requests."""
    config = json.loads(json.dumps(config))
    for _, settings in _plugins(config, "router"):
        for model in settings["models"]:
            model["cache"] = {"time": "1h", "always": True}
    return config


def _plugins(config: dict, name: str) -> Iterator[tuple[dict, dict]]:
    """The wasm entries that have the filter `name`, each with that filter's settings."""
    for entry in connection_manager(config)["http_filters"]:
        plugin = entry["typed_config"].get("config", {})
        names = plugin.get("root_id", "").split("+")
        if name in names:
            value = plugin["configuration"]["value"]
            yield plugin, value[name] if len(names) > 1 else value


def connection_manager(config: dict) -> dict:
    """The settings of the listener's connection manager."""
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def configured(config: dict) -> set[str]:
    """The names of the filters in a configuration; an entry may join several (`root_id: auth+router`)."""
    return {name for joined in re.findall(r'"root_id": "([^"]*)"', json.dumps(config)) for name in joined.split("+")}


def _trimmed(http_filters: list[dict], kept: set[str]) -> list[dict]:
    """The filters, but of Sluice's only the kept ones."""
    return [entry for entry in (_trim(each, kept) for each in http_filters) if entry]


def _trim(entry: dict, kept: set[str]) -> dict | None:
    typed = entry["typed_config"]
    if typed["@type"] != WASM_TYPE:
        return entry
    plugin = typed["config"]
    names = plugin["root_id"].split("+")
    left = [name for name in names if name in kept]
    if left == names:
        return entry
    plugin["root_id"] = "+".join(left)
    if parts := plugin.get("configuration", {}).get("value"):
        value = {name: parts.get(name, {}) for name in left}
        plugin["configuration"]["value"] = value if len(left) > 1 else next(iter(value.values()), {})
    return entry if left else None


def _route_plainly(manager: dict) -> None:
    """Replaces the cluster specifier that reads the filters' choice: its clusters get equal shares."""
    route = manager["route_config"]["virtual_hosts"][0]["routes"][-1]["route"]
    extension = route.pop("inline_cluster_specifier_plugin")["extension"]["typed_config"]
    clusters = extension["cluster_matcher"]["matcher_tree"]["exact_match_map"]["map"]
    route["weighted_clusters"] = {"clusters": [{"name": name, "weight": 1} for name in clusters]}
    route["retry_policy"].pop("refresh_cluster_on_retry", None)


def body(size: int = BODY_BYTES) -> str:
    """A chat request of this many bytes."""
    request = json.loads(demo.CHAT_BODY)
    words = "The quick brown fox jumps over the lazy dog. " * (size // 40)
    request["messages"][0]["content"] += words[: size - len(demo.CHAT_BODY)]
    return json.dumps(request, separators=(",", ":"))
