"""Python packages on a machine that may have nothing but a bare Python.

Debian's `python3` comes without `ensurepip`, and often without pip. `make test` must still work there, since that is a very
common server. So there are three ways to get the packages, tried in this order: a virtual environment; an installed pip, with
`--target`; a pip downloaded for this purpose. Nothing outside `target/python` is written.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "target" / "python"

PIP_VERSION = "25.3"
PIP_SHA256 = "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd"

# Lets a Python use a directory that `pip install --target` has filled.
TARGET_PYTHON = """#!/bin/sh
PYTHONPATH="{packages}${{PYTHONPATH:+:$PYTHONPATH}}" exec "{python}" "$@"
"""


class InstallFailed(Exception):
    """The packages cannot be installed; the text tells the operator what was tried."""


def ensure(requirements: Path | str, name: str, alone: bool = False) -> Path:
    """Returns a Python that can import what `requirements` lists, in the environment `name`. `alone`: without what those packages
    depend on.

    The environment is only rebuilt if the requirements, the Python or the checkout's path have changed. A lock prevents `make -j`
    from building it twice at once.
    """
    requirements = Path(requirements)
    home = ENVIRONMENTS / name
    stamp = home / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes() + f"{sys.version}{home}".encode()).hexdigest()
    with locked(ENVIRONMENTS / f"{name}.lock"):
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"installing {requirements.name} into {home.relative_to(ROOT)}", file=sys.stderr)
            shutil.rmtree(home, ignore_errors=True)
            _install(requirements, home, ["--no-deps"] if alone else [])
            stamp.write_text(wanted)
    return home / "bin" / "python"


def _install(requirements: Path, home: Path, options: list[str]) -> None:
    """Fills `home`, through a virtual environment if this Python can make one."""
    python = home / "bin" / "python"
    if _succeeds([sys.executable, "-m", "venv", str(home)]):
        _pip([str(python), "-m", "pip"], [*options, "-r", str(requirements)])
        return
    shutil.rmtree(home, ignore_errors=True)
    packages = home / "packages"
    _pip(system_pip(), [*options, "--target", str(packages), "-r", str(requirements)])
    python.parent.mkdir()
    python.write_text(TARGET_PYTHON.format(packages=packages, python=sys.executable))
    python.chmod(0o755)


def _pip(pip: list[str], arguments: list[str]) -> None:
    # Python compiles the imported modules later; they are a small part of the installed ones.
    command = [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-compile", *arguments]
    # pip warns against running as root, but in its own directory it does no harm.
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    if subprocess.run(command, stdout=sys.stderr, env=environment).returncode != 0:
        raise InstallFailed(f"this failed: {' '.join(command)}")


def system_pip() -> list[str]:
    """The command for pip: the installed one, or else a downloaded wheel, which runs unpacked."""
    if _succeeds([sys.executable, "-m", "pip", "--version"]):
        return [sys.executable, "-m", "pip"]
    wheel = ENVIRONMENTS / f"pip-{PIP_VERSION}-py3-none-any.whl"
    if not wheel.exists():
        wheel.write_bytes(_fetch_pip(wheel.name))
    return [sys.executable, f"{wheel}/pip"]


def _fetch_pip(file_name: str) -> bytes:
    """Downloads pip's wheel through the package index's simple listing, which mirrors have too."""
    listing = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    try:
        with urllib.request.urlopen(listing, timeout=60) as answer:
            link = re.search(rf'href="([^"]*/{re.escape(file_name)}[^"]*)"', answer.read().decode())
        if link is None:
            raise InstallFailed(f"{listing} does not list {file_name}")
        with urllib.request.urlopen(urllib.parse.urljoin(listing, link[1]), timeout=60) as answer:
            wheel = answer.read()
    except OSError as error:
        raise InstallFailed(f"no pip here, and none from {listing}: {error}") from error
    if hashlib.sha256(wheel).hexdigest() != PIP_SHA256:
        raise InstallFailed(f"{file_name} from {listing} is not the file it should be")
    return wheel


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


@contextlib.contextmanager
def locked(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description="Print a Python that has the packages of a requirements file.")
    parser.add_argument("requirements", type=Path)
    parser.add_argument("name", help="the environment's name under target/python")
    parser.add_argument("--alone", action="store_true", help="install nothing that the packages depend on")
    arguments = parser.parse_args()
    try:
        print(ensure(arguments.requirements, arguments.name, arguments.alone))
    except InstallFailed as failure:
        sys.exit(f"error: {failure}")


if __name__ == "__main__":
    main()
