"""The configuration comes from etcd: `sluice run` and `sluice watch` take changes under load, and refuse mistakes."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

import demo
from child import TOOL, Child, free_port
from commands import Client, Load, ready, running, taken
from debian import NoProgram
from envoy_binary import find_envoy
from etcd import Etcd
from gateway import WASM, MockModels
from table import Table
from world import eventually

KEY = "sluice/gateway.yaml"
# How soon a change must be taken, in seconds.
SOON = 2


def _hash(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _short(server: MockModels, *names: str, admin: int = 0) -> str:
    keys = "".join(f'  - {{id: "{name}", hash: "{_hash(name)}"}}\n' for name in (demo.USER_KEY, *names))
    return (
        f"keys:\n{keys}upstreams: {{a: {{url: \"http://127.0.0.1:{server.port}\"}}}}\n"
        f"models: [{{name: gpt-4o, targets: [a]}}]\nlisten: 127.0.0.1:0\nadmin: 127.0.0.1:{admin}\n"
    )


@pytest.fixture(scope="module")
def server() -> Iterator[MockModels]:
    with MockModels("a") as running:
        yield running


@pytest.fixture
def etcd() -> Iterator[Etcd]:
    try:
        with Etcd() as running:
            yield running
    except NoProgram as problem:
        pytest.skip(f"skipped: {problem}")


def _said(said: Callable[[], str], before: str, *wanted: str) -> None:
    """Waits until a program has said this since then."""
    eventually(lambda: all(text in said()[len(before) :] for text in wanted), True)


def test_two_gateways_follow_etcd(etcd: Etcd, server: MockModels, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A key that is added under load, a mistake, a deleted key, etcd killed: no call fails, and both follow."""
    table = Table("a key in etcd is taken by two gateways under load", ["first", "second"])
    etcd.put(KEY, _short(server))
    with contextlib.ExitStack() as stack:
        gateways = []
        for name in ("one", "two"):
            (directory := tmp_path / name).mkdir()
            command = [TOOL, "run", "--from", f"etcd:{etcd.url}/{KEY}", "--wasm", WASM, "--concurrency", "2"]
            env = {"ENVOY": str(find_envoy()), "XDG_RUNTIME_DIR": str(directory)}
            gateways.append(stack.enter_context(running(command, env, directory)))
        ports = [ready(child, said)[0] for child, said in gateways]
        asking = [Client(port) for port in ports]

        def taken_by_both(row: str, key: str, status: int = 200) -> None:
            begun = time.monotonic()
            for column, client in zip(table.columns, asking):
                taken(lambda: client.ask("GET", "/gateway/whoami", key=key)[0] == status)
                table.put(row, column, f"{time.monotonic() - begun:.2f} s")
            assert time.monotonic() - begun < SOON

        with Load(ports[0]) as one, Load(ports[1]) as two:
            eventually(lambda: min(one.calls, two.calls, one.streams, two.streams) > 5, True, 20)
            etcd.put(KEY, _short(server, "sk-new"))
            taken_by_both("added", "sk-new")

            before = [said() for _, said in gateways]
            etcd.put(KEY, _short(server, "sk-other").replace("[a]", "[b]"))
            for (_, said), known in zip(gateways, before):
                _said(said, known, "not applied", '"b"')
            assert all(client.ask("GET", "/gateway/whoami", key="sk-new")[0] == 200 for client in asking)

            before = [said() for _, said in gateways]
            etcd.delete(KEY)
            for (_, said), known in zip(gateways, before):
                _said(said, known, f'etcd has no key "{KEY}"', "the old configuration stays")
            etcd.put(KEY, _short(server, "sk-new", "sk-third"))
            taken_by_both("after its deletion", "sk-third")

            before = [said() for _, said in gateways]
            etcd.kill()
            for (_, said), known in zip(gateways, before):
                _said(said, known, "not applied: etcd at", "the old configuration stays")
            time.sleep(2)
            assert all(said()[len(known) :].count("not applied") == 1 for (_, said), known in zip(gateways, before)), "told once"
            etcd.start()
            etcd.put(KEY, _short(server, "sk-fourth"))
            taken_by_both("after etcd's restart", "sk-fourth")
            assert all(client.ask("GET", "/gateway/whoami", key="sk-new")[0] == 401 for client in asking)
        assert not one.failures and not two.failures, (one.failures[:3], two.failures[:3])
        table.put("calls, and failed ones", "first", f"{one.calls + one.streams}, {len(one.failures)}")
        table.put("calls, and failed ones", "second", f"{two.calls + two.streams}, {len(two.failures)}")
    table.show(request.config)


def test_passwords_and_several_servers(etcd: Etcd, server: MockModels, tmp_path: Path) -> None:
    """etcd with users: a wrong password is told; a server that is away is left for the next."""
    etcd.put(KEY, _short(server))
    etcd.ask("auth/user/add", name="root", password="secret-1")
    etcd.ask("auth/user/grant", user="root", role="root")
    etcd.ask("auth/enable")
    away, here = f"127.0.0.1:{free_port()}", f"127.0.0.1:{etcd.port}"
    cases = [
        (f"{away},{here}", "secret-1", "written; start Envoy with"),
        (here, "secret-2", "invalid user ID or password; there is none yet"),
        (away, "secret-1", "Connection refused"),
    ]
    for number, (servers, password, wanted) in enumerate(cases):
        command = [TOOL, "watch", "--from", f"etcd:http://root@{servers}/{KEY}", "--dir", tmp_path / str(number)]
        with running(command, {"ETCDCTL_PASSWORD": password}, tmp_path) as (_, said):
            _said(said, "", wanted)
            assert password not in said()


def test_watch_writes_for_a_running_envoy(server: MockModels, tmp_path: Path) -> None:
    """`sluice watch` beside an Envoy that runs by itself: what Envoy refuses is taken back."""
    admin = free_port()
    source, directory = tmp_path / "sluice.yaml", tmp_path / "files"
    source.write_text(_short(server, admin=admin))
    command = [TOOL, "watch", "--from", f"file:{source}", "--dir", directory, "--admin", f"127.0.0.1:{admin}", "--drain-timeout", "1"]
    with running(command, {}, tmp_path) as (_, said):
        _said(said, "", "written; start Envoy with")
        (directory / "sluice.wasm").symlink_to(WASM.resolve())
        envoy = [find_envoy(), "-c", "envoy.yaml", "--disable-hot-restart", "--drain-strategy", "immediate", "--concurrency", "1"]
        child = Child("envoy", envoy, tmp_path / "envoy.log", cwd=directory)
        try:
            child.wait_for(f"http://127.0.0.1:{admin}/ready", 60)
            before = said()
            source.write_text(_short(server, "sk-new", admin=admin))
            _said(said, before, "the change is applied")
            files = {file.name: file.read_text() for file in directory.glob("*.yaml")}
            assert _hash("sk-new") in files["filters.yaml"]
            before = said()
            refused = _short(server, admin=admin).replace("upstreams: {", "upstreams: {d: {url: \"https://d.example\", trusted_ca: /nowhere.pem}, ")
            source.write_text(refused)
            _said(said, before, "not applied: Envoy refuses it")
            assert files == {file.name: file.read_text() for file in directory.glob("*.yaml")}
        finally:
            child.stop()
