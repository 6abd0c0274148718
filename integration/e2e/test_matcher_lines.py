"""A cluster whose line in `cluster_matcher` is missing, or names another cluster."""

from __future__ import annotations

from collections import Counter
from typing import Callable

import pytest

from callers import call
from conftest import CLOSED_PORT, OpenWorld
from settings import Settings
from world import ADMIN


def test_cluster_without_a_matcher_line(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Nothing is sent, and the log says where to look."""
    changed = settings()
    changed.upstreams["mock-a"]["cluster"] = "elsewhere"
    changed.add_model("only-a", "mock-a")
    with open_world(changed.text()) as world:
        response = world.chat(model="only-a")
        assert (response.status_code, response.json()["error"]["code"]) == (500, "gateway_error")
        assert not world.entries()
        assert 'an attempt at a cluster that was not chosen: "elsewhere" was' in world.gateway.log()
        assert 'no connection to cluster "elsewhere" (no_cluster)' in world.gateway.log()


@pytest.mark.parametrize("order", ["first", "second"])
def test_matcher_line_that_names_another_cluster(settings: Callable[[], Settings], open_world: OpenWorld, order: str) -> None:
    """At the first attempt and at a retry: one call fails, the log says where to look, and two healthy targets serve the others."""
    changed = settings()
    changed.add_cluster("local", CLOSED_PORT)
    route = changed.manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    lines = route["inline_cluster_specifier_plugin"]["extension"]["typed_config"]["cluster_matcher"]
    lines["matcher_tree"]["exact_match_map"]["map"]["local"]["action"]["typed_config"]["cluster"] = "mock-c"
    changed.upstreams["local"] = {}
    changed.add_model("crossed", *{"first": ("local", "mock-b"), "second": ("mock-a", "local", "mock-b")}[order])
    with open_world(changed.text()) as world:
        world.fault({"fault": "status", "status": 500}, "mock-a")
        statuses = Counter(world.chat(model="crossed").status_code for _ in range(60))
        assert statuses == {200: 59, 500: 1}
        assert world.journals()["mock-c"] == [], "nothing reaches the cluster that was not chosen"
        said = 'no connection to cluster "local" (no_cluster): it is not in `clusters`, has no host, or its line in `cluster_matcher` names another cluster'
        assert said in world.gateway.log()
        states = {entry["cluster"]: entry for entry in call(world, "GET", "/gateway/upstreams", ADMIN).json()["data"]}
        assert (states["local"]["state"], states["local"]["reason"]) == ("ejected", "no_cluster")
