"""Prints how long each step of `make test` took, and all of them together: step_times.py DIRECTORY

Each step has a file there: its start and its end in seconds since 1970, then what the shell's `times` prints.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

_CPU = re.compile(r"(\d+)m([\d.]+)s")


def main(directory: Path) -> None:
    steps = [(name.name, *_read(name.read_text())) for name in directory.iterdir() if name.name != "start"]
    print(f"{'step':<16}{'seconds':>8}{'CPU':>8}")
    for name, begun, ended, cpu in sorted(steps, key=lambda step: step[1]):
        print(f"{name:<16}{ended - begun:>8}{cpu:>8.0f}")
    taken = int(time.time()) - int((directory / "start").read_text())
    print(f"{'make test':<16}{taken:>8}{sum(cpu for *_, cpu in steps):>8.0f}  ({taken // 60}:{taken % 60:02})")


def _read(text: str) -> tuple[int, int, float]:
    """Start, end, and the CPU seconds of the step's programs."""
    first, *rest = text.splitlines()
    begun, ended = map(int, first.split())
    # The shell's own times come first, then those of its children.
    return begun, ended, sum(int(minutes) * 60 + float(seconds) for line in rest[1:2] for minutes, seconds in _CPU.findall(line))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
