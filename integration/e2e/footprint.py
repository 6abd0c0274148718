"""The memory of a gateway, measured from outside: all of it, and the part that is the filters' memory.

V8 reserves gigabytes of inaccessible addresses behind a VM's memory, so that WebAssembly cannot read beyond it. These
reservations identify VM memory among all of Envoy's memory.
"""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from gateway import Gateway

MIB = 1 << 20
_GUARD = 4 << 30
_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) [^\n]*\n(?:\w+:[^\n]*\n)*?Rss: +(\d+) kB", re.MULTILINE)
_SIZE, _USED = "wasmcustom.llm_memory_bytes", "wasmcustom.llm_memory_used_bytes"


class Footprint(NamedTuple):
    """In bytes."""

    # Envoy without its filters' memory: buffers, connections, code.
    envoy: int
    # All VMs together.
    wasm: int
    # The size of the largest VM, as the gateway reports it.
    size: int = 0
    # The most memory in use in any VM.
    used: int = 0


def footprint(gateway: Gateway) -> Footprint:
    """The current values."""
    mappings = _MAPPING.findall(Path(f"/proc/{gateway.child.pid}/smaps").read_text())
    spans = [(int(start, 16), int(end, 16), mode, int(resident) * 1024) for start, end, mode, resident in mappings]
    wasm = sum(
        resident
        for (_, end, mode, resident), (start, guard_end, guard, _) in zip(spans, spans[1:])
        if mode == "rw-p" and guard == "---p" and start == end and guard_end - start >= _GUARD
    )
    told = gateway.stats("^wasmcustom.llm_memory_(used_)?bytes$")
    return Footprint(sum(span[3] for span in spans) - wasm, wasm, told.get(_SIZE, 0), told.get(_USED, 0))


class Watch(threading.Thread):
    """Measures repeatedly: `seen` has times and values."""

    def __init__(self, gateway: Gateway, every: float = 1.0):
        super().__init__(daemon=True)
        self.seen: list[tuple[float, Footprint]] = []
        self._gateway = gateway
        self._every = every
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(self._every):
            self.look()

    def look(self) -> Footprint:
        """Takes one more measurement."""
        self.seen.append((time.monotonic(), footprint(self._gateway)))
        return self.seen[-1][1]

    def most(self) -> Footprint:
        """The maximum of each value."""
        return Footprint(*(max(values) for values in zip(*(seen for _, seen in self.seen))))

    def __enter__(self) -> Watch:
        self.look()
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self.join()
        self.look()
