"""One run of wrk against a gateway."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Sequence

import demo

SCRIPT = Path(__file__).resolve().parent / "bench" / "chat.lua"


class LoadFailed(Exception):
    """Requests failed, or wrk failed; the text says what."""


def run(
    url: str, pid: int, content: str, *, connections: int, seconds: int, prefix: Sequence[str] = (), patience: int = 2
) -> dict[str, float]:
    """Sends `content` repeatedly for this many seconds; each answer may take `patience` seconds.

    Returns wrk's figures, with two more. `busy` is the share of its core that the gateway, process `pid`, used. `cpu` is its CPU
    time per request in microseconds. Raises LoadFailed."""
    command = [*prefix, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{patience}s", "-s", str(SCRIPT), url]
    before = _cpu_seconds(pid)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(content)
        file.flush()
        ended = subprocess.run([*command, "--", demo.USER_KEY, file.name], capture_output=True, text=True)
    used = _cpu_seconds(pid) - before
    if ended.returncode != 0:
        raise LoadFailed(f"wrk failed: {ended.stderr or ended.stdout}")
    result = json.loads(ended.stdout.strip().splitlines()[-1])
    if result["failed"] or not result["requests"]:
        raise LoadFailed(f"{result['failed']} of {result['requests']} requests failed")
    return {**result, "busy": used / result["microseconds"] * 1e6, "cpu": used / result["requests"] * 1e6}


def _cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
