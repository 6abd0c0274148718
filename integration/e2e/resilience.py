"""Settings for the tests of retries, ejection and strategies."""

from __future__ import annotations

import copy
from typing import Any

from gateway import Address, MockModels
from settings import Settings

# For `router.ejection`: no cluster leaves the pool, so faulty servers are tried again and again.
NEVER_EJECTED: dict[str, Any] = {"consecutive_failures": 100_000, "max_ejected_percent": 0}
# For one upstream, unless its server sends `Retry-After`.
NEVER_EJECTED_ALONE: dict[str, Any] = {"consecutive_failures": 100_000}
# Every failed call is retried, however many fail at first.
UNLIMITED_RETRIES: dict[str, Any] = {"budget": {"percent": 1000, "min_per_second": 100_000}}

FAULT_FILTER = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"


def hold(settings: Settings, name: str, *, milliseconds: int, percent: int) -> None:
    """Another filter between Sluice's and Envoy's router, which delays this share of requests for this long."""
    delay = {"fixed_delay": f"{milliseconds / 1000:.3f}s", "percentage": {"numerator": percent}}
    settings.filters.insert(-1, {"name": name, "typed_config": {"@type": FAULT_FILTER, "delay": delay}})


def add_upstream(settings: Settings, name: str, server: str, address: Address, **fields: Any) -> None:
    """Another upstream with its own cluster, which takes the key of the demo's `server`.

    The gateway's state of a cluster does not apply to other clusters with the same address. So tests with their own clusters do
    not disturb each other.
    """
    settings.add_cluster(name, address)
    settings.upstreams[name] = {**copy.deepcopy(settings.upstreams[server]), "cluster": name, **fields}


def target(upstream: str, server: str | None = None, **fields: Any) -> dict[str, Any]:
    """A target with the model name that the demo's `server` serves. Without `server`, the upstream has the server's name."""
    return {"upstream": upstream, "model": f"gpt-4o-{server or upstream}", **fields}


def add_group(settings: Settings, name: str, servers: list[MockModels], *, ejection: Any = None, **fields: Any) -> None:
    """A model with upstreams for it alone: `name-a` leads to mock-a. The first is always tried first. Their streams mark their
    end."""
    targets = []
    for rank, server in enumerate(servers):
        upstream = f"{name}-{server.name[-1]}"
        own = {"ejection": ejection, "strict_end": True} if ejection else {"strict_end": True}
        add_upstream(settings, upstream, server.name, server.address, **own)
        targets.append(target(upstream, server.name, weight=1 if rank else 1_000_000))
    settings.models.append({"name": name, "targets": targets, **fields})
