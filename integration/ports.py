"""Checks whether a port is taken, and by which process.

Envoy does not report a port that another Envoy listens on: each gets part of the connections.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

_LISTENING = "0A"


class PortBusy(Exception):
    """A needed port is taken; the text names port, process and remedy."""


def require_free(port: int, remedy: str) -> None:
    """Raises PortBusy if 127.0.0.1:`port` is taken."""
    if _is_busy(port):
        raise PortBusy(f"port {port} is busy ({_listener(port)}): {remedy}")


def _is_busy(port: int) -> bool:
    """SO_REUSEADDR: connections of a gateway that has just ended do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _listener(port: int) -> str:
    """The process that listens on `port`, if /proc shows it to this user."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(handle) in sockets for handle in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()}, process {process.name}"
        except OSError:
            continue
    return "by a process that cannot be seen"


def _listening_inodes(port: int) -> set[str]:
    """The sockets that listen on `port`, from the kernel's tables."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes
