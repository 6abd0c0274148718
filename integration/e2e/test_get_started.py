"""The tutorial, docs/get-started.md, walked as a reader walks it: one shell, its commands and files in order."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

from child import ROOT, TARGET, TOOL, free_port
from envoy_binary import find_envoy
from gateway import WASM

PAGE = ROOT / "docs" / "get-started.md"
PORTS = ("10000", "9901", "9101", "9102")


class Reader:
    """A shell in which the page's commands run, and the directory with the page's file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = {port: str(free_port()) for port in PORTS}
        self._said = directory / "said.log"
        with self._said.open("wb") as said:
            self._shell = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, cwd=directory)
        self._begun = 0
        # the page's commands find what a clone has after `make cli mock`
        (directory / "target" / "mock").mkdir(parents=True)
        (directory / "target" / "sluice").symlink_to(TOOL)
        (directory / "target" / "mock" / "mock-models").symlink_to(TARGET / "mock" / "mock-models")
        shutil.copy(WASM, directory / "sluice.wasm")
        self.run(f"export ENVOY={find_envoy()} NO_PROXY=127.0.0.1")

    def here(self, text: str) -> str:
        """The page's text with free ports."""
        return re.sub("|".join(PORTS), lambda port: self.ports[port[0]], text)

    def run(self, commands: str) -> str:
        """Runs a block, and returns what was printed since the last one."""
        mark = f"--{time.monotonic_ns()}--"
        self._tell(f"{self.here(commands)}\necho; echo {mark}\n")
        return self.wait_for(mark)

    def wait_for(self, text: str) -> str:
        """What was printed since the last wait, as soon as it has `text`."""
        end = time.monotonic() + 60
        while text not in (said := self._said.read_text(errors="replace")[self._begun :]):
            assert time.monotonic() < end and self._shell.poll() is None, said
            time.sleep(0.02)
        self._begun += len(said)
        return said

    def write(self, text: str) -> None:
        """Writes the file; the addresses are at its end, as the page leaves them at their defaults."""
        listen = f"listen: 127.0.0.1:{self.ports['10000']}\nadmin: 127.0.0.1:{self.ports['9901']}\n"
        (self.directory / "sluice.yaml").write_text(self.here(text) + listen)

    def close(self) -> None:
        """Ends what the reader has started in the background."""
        self._tell("kill $(jobs -p); wait; exit\n")
        self._shell.wait(60)

    def _tell(self, text: str) -> None:
        assert self._shell.stdin
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    try:
        yield reader
    finally:
        reader.close()


def test_every_step(reader: Reader) -> None:
    """Each block gives what the page says of it."""
    blocks = re.findall(r"^```(sh|yaml)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    makes, *steps = blocks
    assert makes == ("sh", "make cli mock\n")
    printed = []
    for number, (language, block) in enumerate(steps):
        if language == "yaml":
            reader.write(block)
            if any("sluice run" in before for _, before in steps[:number]):
                reader.wait_for("the change is applied")
        else:
            printed.append(reader.run(block))
            if "sluice run" in block:
                printed[-1] += reader.wait_for("ready: ")
            if "mock-models" in block:
                for port in ("9101", "9102"):
                    reader.run(f"until curl -sf -m 5 http://127.0.0.1:{port}/healthz; do sleep 0.05; done")
    _, key, checked, _, hello, failover, _, personal, limited, used = printed
    assert "sk-" in key and "hash:" in key
    assert "sluice.yaml: nothing is wrong" in checked
    assert "Hello from first" in hello
    assert "x-sluice-attempts: first=server_error, second=success" in failover
    answer, sent = personal.split("<EMAIL_ADDRESS_1>", 1)
    assert "mario@example.com" in answer and "mario@example.com" not in sent
    assert "rate_limit_exceeded" in limited
    assert '"model"' in used and "gpt-4o" in used and "llm_requests_total" in used
