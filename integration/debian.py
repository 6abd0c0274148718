"""Programs from Debian's packages, unpacked under target/ without installing anything. Standard library only."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Sequence

from child import TARGET

# Where a package puts its programs and its libraries.
_PROGRAMS = Path("usr/bin")
_LIBRARIES = "usr/lib/*-linux-gnu"


class NoProgram(Exception):
    """There is no such program; the text says why."""


def find(program: str, packages: Sequence[str]) -> Path:
    """A program from the PATH, else from these packages; the first one names the directory."""
    if path := shutil.which(program):
        return Path(path)
    home = TARGET / packages[0]
    unpacked = home / _PROGRAMS / program
    if not unpacked.exists():
        _unpack(home, packages)
    return unpacked


def libraries(program: Path) -> dict[str, str]:
    """The environment with which a program finds the libraries of the other packages."""
    found = sorted(program.parent.parent.parent.glob(_LIBRARIES))
    return {"LD_LIBRARY_PATH": ":".join(map(str, found))} if found and program.is_relative_to(TARGET) else {}


def _unpack(home: Path, packages: Sequence[str]) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NoProgram(f"{packages[0]} is not installed, and there is no Debian to get it from")
    home.mkdir(parents=True, exist_ok=True)
    for package in packages:
        if not _succeeds(home, ["apt-get", "download", package]):
            # The package lists may be old or missing, and only root can update them.
            _succeeds(home, ["apt-get", "update"])
            if not _succeeds(home, ["apt-get", "download", package]):
                raise NoProgram(f"{package} is not installed, and cannot be downloaded: apt-get install {packages[0]}")
        (archive,) = home.glob(f"{package}_*.deb")
        if not _succeeds(home, ["dpkg-deb", "-x", archive.name, "."]):
            raise NoProgram(f"{archive} cannot be unpacked")
        archive.unlink()


def _succeeds(home: Path, command: list[str]) -> bool:
    run = subprocess.run(command, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
    return run.returncode == 0
