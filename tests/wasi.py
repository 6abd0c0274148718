"""Runs the core's tests, compiled for wasm32-wasip1, in Wasmtime. Cargo calls it: wasi.py TESTS [ARGUMENT ...]"""

from __future__ import annotations

import os
import sys

from wasmtime import Config, Engine, ExitTrap, Linker, Module, Store, WasiConfig


def main(tests: str, *arguments: str) -> int:
    """Returns the tests' own exit status."""
    config = Config()
    # Compiled code stays in the user's cache, so that a second run starts at once.
    config.cache = True
    engine = Engine(config)
    linker = Linker(engine)
    linker.define_wasi()
    wasi = WasiConfig()
    wasi.argv = (tests, *arguments)
    wasi.env = list(os.environ.items())
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    store = Store(engine)
    store.set_wasi(wasi)
    instance = linker.instantiate(store, Module.from_file(engine, tests))
    try:
        instance.exports(store)["_start"](store)
    except ExitTrap as exit:
        return exit.code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
