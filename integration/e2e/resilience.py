"""Settings for the tests of retries, ejection and strategies."""

from __future__ import annotations

import copy
from typing import Any

from gateway import Address, MockModels
from settings import Settings

# For `router.ejection`: the faulty are asked again and again, for none of them leaves the pool.
NEVER_EJECTED: dict[str, Any] = {"consecutive_failures": 100_000, "max_ejected_percent": 0}
# For one upstream, as long as its server does not ask for a pause.
NEVER_EJECTED_ALONE: dict[str, Any] = {"consecutive_failures": 100_000}
# However many calls fail at first, all of them are tried again.
UNLIMITED_RETRIES: dict[str, Any] = {"budget": {"percent": 1000, "min_per_second": 100_000}}

FAULT_FILTER = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"


def hold(settings: Settings, name: str, *, milliseconds: int, percent: int) -> None:
    """One more filter, between Sluice's and Envoy's router, that holds so many requests for so long."""
    delay = {"fixed_delay": f"{milliseconds / 1000:.3f}s", "percentage": {"numerator": percent}}
    settings.filters.insert(-1, {"name": name, "typed_config": {"@type": FAULT_FILTER, "delay": delay}})


def add_upstream(settings: Settings, name: str, server: str, address: Address, **fields: Any) -> None:
    """One more upstream with a cluster of its own, which takes the key of the demo's `server`.

    What the gateway knows of a cluster does not pass on to another one at the same address, so that tests with
    clusters of their own do not disturb each other.
    """
    settings.add_cluster(name, address)
    settings.upstreams[name] = {**copy.deepcopy(settings.upstreams[server]), "cluster": name, **fields}


def target(upstream: str, server: str | None = None, **fields: Any) -> dict[str, Any]:
    """A target with the model name that the demo's `server` serves; left out: the upstream has the server's name."""
    return {"upstream": upstream, "model": f"gpt-4o-{server or upstream}", **fields}


def add_group(settings: Settings, name: str, servers: list[MockModels], *, ejection: Any = None, **fields: Any) -> None:
    """A model, and upstreams for it alone: `name-a` leads to mock-a. The first is asked first, always. They say when a
    stream is complete."""
    targets = []
    for rank, server in enumerate(servers):
        upstream = f"{name}-{server.name[-1]}"
        own = {"ejection": ejection, "strict_end": True} if ejection else {"strict_end": True}
        add_upstream(settings, upstream, server.name, server.address, **own)
        targets.append(target(upstream, server.name, weight=1 if rank else 1_000_000))
    settings.models.append({"name": name, "targets": targets, **fields})
