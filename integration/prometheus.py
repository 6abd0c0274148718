"""Prometheus and promtool: from the PATH, else from Debian's package, unpacked under target/."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from child import TARGET

HOME = TARGET / "prometheus"


class NoPrometheus(Exception):
    """There is no Prometheus; the text says why."""


def find(program: str) -> Path:
    """`prometheus` or `promtool`."""
    if path := shutil.which(program):
        return Path(path)
    unpacked = HOME / "usr" / "bin" / program
    if not unpacked.exists():
        _unpack()
    return unpacked


def _unpack() -> None:
    """Downloads the package and unpacks it here; installs nothing."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NoPrometheus("prometheus is not installed, and there is no Debian to get it from")
    HOME.mkdir(parents=True, exist_ok=True)
    if not _succeeds(["apt-get", "download", "prometheus"]):
        # The package lists may be old or missing, and only root can update them.
        _succeeds(["apt-get", "update"])
        if not _succeeds(["apt-get", "download", "prometheus"]):
            raise NoPrometheus("prometheus is not installed, and cannot be downloaded: apt-get install prometheus")
    (package,) = HOME.glob("prometheus_*.deb")
    if not _succeeds(["dpkg-deb", "-x", package.name, "."]):
        raise NoPrometheus(f"{package} cannot be unpacked")
    package.unlink()


def _succeeds(command: list[str]) -> bool:
    run = subprocess.run(command, cwd=HOME, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
    return run.returncode == 0
