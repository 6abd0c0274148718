"""Prometheus and promtool: from the PATH, else from Debian's package, unpacked under target/."""

from __future__ import annotations

from pathlib import Path

import debian
from child import TARGET

HOME = TARGET / "prometheus"
NoPrometheus = debian.NoProgram


def find(program: str) -> Path:
    """`prometheus` or `promtool`."""
    return debian.find(program, ["prometheus"])
