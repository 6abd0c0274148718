"""How many instructions a program takes for each request, by valgrind's callgrind.

Other programs on the machine make no difference to that, so small changes show where times differ from round to round.
What the kernel does is not in it, nor how long an instruction takes.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Callable

_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)


class NotCounted(Exception):
    """Valgrind has not counted; the text says why."""


def prefix(out: Path) -> list[str]:
    """What the command of a program to be measured begins with. `out` is a file for it."""
    # the code of WebAssembly is written while the program runs
    return ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--smc-check=all-non-file", f"--callgrind-out-file={out}"]


def per_request(pid: int, out: Path, load: Callable[[], int]) -> float:
    """Measures the program while `load` runs, which returns how many requests it made. Raises NotCounted.

    What the program does by itself, on timers, is taken off: it is measured for as long a time without requests. A
    program runs so slowly here that timers would otherwise weigh more than many changes do."""
    load()  # until all that is made once is made
    _control(pid, "--instr=on")
    load()  # the first instrumented requests translate the code
    _total(pid, out, 1)
    began = time.monotonic()
    requests = load()
    took = time.monotonic() - began
    busy = _total(pid, out, 2)
    time.sleep(took)
    return (busy - _total(pid, out, 3)) / requests


def _total(pid: int, out: Path, number: int) -> int:
    """The instructions since the dump before; `number` counts the dumps."""
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
