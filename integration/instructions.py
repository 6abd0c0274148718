"""Counts the instructions of a program for each request, with valgrind's callgrind.

Other programs on the machine do not change the count, so it shows small changes that times would hide. It includes neither the
kernel's work nor how long an instruction takes.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Callable

_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)


class NotCounted(Exception):
    """Valgrind could not count; the text says why."""


def prefix(out: Path) -> list[str]:
    """The prefix of the measured program's command. `out` is a file for the counts."""
    # WebAssembly code is written while the program runs
    return ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--smc-check=all-non-file", f"--callgrind-out-file={out}"]


# How often a measurement has callgrind write what it has counted.
DUMPS = 3


def per_request(pid: int, out: Path, load: Callable[[], int], dumps: int = 0) -> float:
    """Measures the program while `load` runs, which returns how many requests it made. `dumps` is how many earlier measurements of
    the same process have left. Raises NotCounted.

    The program's own work on timers is subtracted: it is measured without requests for the same time. Under valgrind a program is
    so slow that timers would otherwise outweigh small changes."""
    load()  # do all one-time work first
    _control(pid, "--instr=on")
    load()  # the first instrumented requests translate the code
    _total(pid, out, dumps + 1)
    began = time.monotonic()
    requests = load()
    took = time.monotonic() - began
    busy = _total(pid, out, dumps + 2)
    time.sleep(took)
    return (busy - _total(pid, out, dumps + 3)) / requests


def _total(pid: int, out: Path, number: int) -> int:
    """The instructions since the previous dump; `number` counts the dumps."""
    _control(pid, "--dump")
    dump = Path(f"{out}.{number}")
    totals = _TOTALS.search(dump.read_text(errors="replace")) if dump.exists() else None
    if totals is None:
        raise NotCounted(f"callgrind has left no totals in {dump}")
    return int(totals[1])


def _control(pid: int, order: str) -> None:
    run = subprocess.run(["callgrind_control", order, str(pid)], capture_output=True, text=True)
    if run.returncode != 0:
        raise NotCounted(f"callgrind_control {order} failed: {run.stderr or run.stdout}")
