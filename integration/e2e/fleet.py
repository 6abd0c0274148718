"""Two Envoys beside one ledger."""

from __future__ import annotations

import contextlib
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Awaitable, Callable, Iterator, Mapping, Sequence

import clients
from conftest import OpenWorld
from gateway import Address
from settings import Settings
from world import World

CLUSTER = "ledger"
LOG = "access.log"
# So old is the clock's minute when a test begins.
_BEGUN = 5.0
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
_GRPC_LOG = "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig"


def add_service(settings: Settings, address: Address, http2: bool = True, name: str = CLUSTER) -> Settings:
    """Adds a cluster that speaks HTTP/2, or HTTP/1.1; returns the settings."""
    host, port = address
    endpoint = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
    cluster: dict[str, Any] = {
        "name": name,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if http2:
        protocol = {"explicit_http_config": {"http2_protocol_options": {}}}
        cluster["typed_extension_protocol_options"] = {_HTTP: {"@type": f"type.googleapis.com/{_HTTP}", **protocol}}
    settings.tree["static_resources"]["clusters"].append(cluster)
    return settings


def remember(settings: Settings, **fields: Any) -> Settings:
    """Lets each Envoy ask the ledger when it starts; returns the settings."""
    settings.values("auth")["ledger"] = {"cluster": CLUSTER, **fields}
    return settings


def share(settings: Settings, address: Address, name: str = CLUSTER, **fields: Any) -> Settings:
    """Lets the ledger, or another service, count the limits; returns the settings."""
    # More than the default of 20ms, because the test machine may be busy.
    settings.values("auth")["shared"] = {"cluster": name, "timeout": "5s", **fields}
    return add_service(settings, address, name=name)


def log_to(settings: Settings) -> Settings:
    """Sends the access log to the ledger, too; returns the settings."""
    service = {"envoy_grpc": {"cluster_name": CLUSTER}}
    common = {"log_name": "sluice", "transport_api_version": "V3", "grpc_service": service}
    common |= {"filter_state_objects_to_log": ["wasm.sluice.record"], "buffer_flush_interval": "0.1s"}
    config = {"@type": _GRPC_LOG, "common_config": common}
    settings.manager["access_log"].append({"name": "ledger", "typed_config": config})
    return settings


def add_key(settings: Settings, name: str, limits: Mapping[str, Any], **fields: Any) -> dict[str, str]:
    """Adds a key; returns its client's headers."""
    key = f"sk-test-{name}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    settings.values("auth")["keys"].append({"id": name, "hash": f"sha256:{digest}", "limits": limits, **fields})
    return {"authorization": f"Bearer {key}"}


def log_to_file(settings: Settings) -> Settings:
    """Writes the access log to a file in Envoy's directory, as envoy/examples/fleet.yaml does; returns the settings."""
    log = settings.manager["access_log"][0]["typed_config"]
    log.update({"@type": _FILE_LOG, "path": LOG})
    return settings


def in_one_minute(seconds: float) -> None:
    """Waits until the current minute is five seconds old and has at least this many seconds left."""
    age = time.time() % 60
    if age > 60 - seconds:
        time.sleep(60 - age + _BEGUN)
    elif age < _BEGUN:
        time.sleep(_BEGUN - age)


class Fleet:
    """Two Envoys with the same configuration, two workers each."""

    def __init__(self, one: World, other: World):
        self.worlds = (one, other)

    def ask(self, calls: int, headers: Mapping[str, str], body: bytes, at_once: int = 200) -> list[clients.Answer]:
        """This many requests, with so many at once, over both Envoys."""
        return self.each(at_once, [lambda client: client.ask(body, headers=headers)] * calls)

    def each(self, at_once: int, visits: Sequence[Callable[[clients.Client], Awaitable[Any]]]) -> list[Any]:
        """The results of the visits: the first half is made to the first Envoy."""
        half = len(visits) // 2
        with ThreadPoolExecutor(2) as pool:
            shares = zip(self.worlds, (visits[:half], visits[half:]))
            asked = [pool.submit(clients.each, world.gateway.port, at_once // 2, share) for world, share in shares]
            return [result for each in asked for result in each.result()]

    def stats(self, result: str) -> int:
        """The number of calls to the service with this result, at both Envoys."""
        name = f"wasmcustom.llm_shared_limits_total;outcome={result}"
        return sum(world.gateway.stats(f"^{name}$").get(name, 0) for world in self.worlds)

    @property
    def logs(self) -> list[Path]:
        """The access logs of `log_to_file`."""
        return [world.gateway.directory / LOG for world in self.worlds]


@contextlib.contextmanager
def opened(open_world: OpenWorld, changed: Settings, **options: Any) -> Iterator[Fleet]:
    """Starts two Envoys."""
    with open_world(changed.text(), own=True, **options) as one, open_world(changed.text(), own=True, **options) as other:
        yield Fleet(one, other)
