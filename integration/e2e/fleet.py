"""Two Envoys beside one ledger."""

from __future__ import annotations

import hashlib
import time
from typing import Any, Mapping

from gateway import Address
from settings import Settings

CLUSTER = "ledger"
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_GRPC_LOG = "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig"


def add_service(settings: Settings, address: Address, http2: bool = True) -> Settings:
    """Adds a cluster that speaks HTTP/2, or HTTP/1.1; returns the settings."""
    host, port = address
    endpoint = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
    cluster: dict[str, Any] = {
        "name": CLUSTER,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
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


def share(settings: Settings, address: Address, **fields: Any) -> Settings:
    """Lets the ledger count the limits; returns the settings."""
    # More than the default of 20ms, because the test machine may be busy.
    settings.values("auth")["shared"] = {"cluster": CLUSTER, "timeout": "2s", **fields}
    return add_service(settings, address)


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


def in_one_minute(seconds: float) -> None:
    """Waits until the current minute has at least this many seconds left."""
    left = 60 - time.time() % 60
    if left < seconds:
        time.sleep(left + 0.05)
