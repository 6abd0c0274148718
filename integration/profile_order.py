"""`make profile`: records the order in which requests run the filters' functions, for filters/order/profile.txt.

A special build of the filters logs each function's first call. It serves the requests below, the most common ones first.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import demo
from child import ROOT, TARGET, ChildFailed, fetch
from envoy_binary import NoEnvoy
from gateway import Gateway, MockModels, render
from python_env import InstallFailed

ORDER = TARGET / "debug" / "sluice-order"
BUILT = TARGET / "wasm32-wasip1" / "release" / "sluice_filters.wasm"
RECORDING = TARGET / "sluice-recording.wasm"
PROFILE = ROOT / "filters" / "order" / "profile.txt"
# The first requests are not recorded, because they include one-time work.
_WARM_UP = 60
_LINE = re.compile(r"order: (\d{8})")


def main() -> None:
    try:
        numbers = _record()
    except (ChildFailed, NoEnvoy, InstallFailed, OSError) as failure:
        sys.exit(f"error: {failure}")
    known = (line.split("\t") for line in _run("names", BUILT).splitlines())
    names = {int(number): name for number, _, name in known}
    profile = dict.fromkeys(name for name in (names.get(number) for number in numbers) if name)
    PROFILE.write_text("".join(f"{name}\n" for name in profile))
    print(f"{len(profile)} functions: {PROFILE.relative_to(ROOT)}")


def _record() -> list[int]:
    """The numbers of the functions that requests have run, in call order."""
    _run("record", BUILT, RECORDING)
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(MockModels.demo(server)) for server in demo.SERVERS]
        addresses = {demo.LISTENER: ("127.0.0.1", 0), demo.ADMIN: ("127.0.0.1", 0)}
        addresses.update({server.address: mock.address for server, mock in zip(demo.SERVERS, servers)})
        config = render(demo.ENVOY_YAML.read_text(), addresses)
        gateway = running.enter_context(Gateway(config, wasm=RECORDING))
        chat = json.loads(demo.CHAT_BODY)
        for _ in range(_WARM_UP):
            _ask(gateway, chat)
        for body in (chat, {**chat, "stream": True}, {**chat, "stream": True, "stream_options": {"include_usage": True}}):
            _ask(gateway, body)
        _ask(gateway, {**chat, "max_tokens": 100}, path="/v1/messages")
        _ask(gateway, {"model": "text-embedding-3-small", "input": "Hello"}, path="/v1/embeddings")
        servers[0].fault({"fault": "status", "status": 500})
        for stream in (False, True):
            for _ in range(6):
                _ask(gateway, {**chat, "stream": stream})
        _ask(gateway, chat, key="sk-unknown")
        return [int(number) for number in _LINE.findall(gateway.log())]


def _ask(gateway: Gateway, body: dict, path: str = demo.CHAT_PATH, key: str = demo.USER_KEY) -> None:
    headers = {**demo.CHAT_HEADERS, "Authorization": f"Bearer {key}"}
    fetch(f"http://127.0.0.1:{gateway.port}{path}", "POST", json.dumps(body).encode(), headers)


def _run(*arguments: str | Path) -> str:
    return subprocess.run([ORDER, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
