"""A gateway whose listeners Envoy reads from a file, so that they can change while it runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from settings import Settings
from world import World, eventually

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


def to_file(settings: Settings, path: Path) -> Settings:
    """Makes Envoy read the listeners from `path` (ending in .json), and writes them there; returns the settings."""
    listeners = settings.tree["static_resources"].pop("listeners")
    settings.tree["node"] = {"id": "gateway", "cluster": "gateway"}  # Envoy needs a node id to read a file
    settings.tree["dynamic_resources"] = {"lds_config": {"path_config_source": {"path": str(path)}}}
    _write(listeners, path)
    return settings


def update(world: World, path: Path, settings: Settings) -> str:
    """Replaces Envoy's listeners with those of these settings; returns the log of the change."""
    before, done = len(world.gateway.log()), _updates(world)
    _write(settings.tree["static_resources"]["listeners"], path)
    eventually(lambda: _updates(world) > done, True)
    return world.gateway.log()[before:]


def _write(listeners: list[dict[str, Any]], path: Path) -> None:
    """Replaces a file atomically: Envoy reads a file that is moved here."""
    written = path.with_suffix(".new")
    written.write_text(json.dumps({"resources": [{"@type": LISTENER, **each} for each in listeners]}))
    os.replace(written, path)


def _updates(world: World) -> int:
    """The number of accepted or refused updates so far."""
    stats = world.gateway.stats(r"^listener_manager\.lds\.update_(success|rejected)$")
    return sum(stats.values())
