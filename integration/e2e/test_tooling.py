"""The demo as users start it: `make run`, and `make compose` if there is Docker."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

import compose
import compose_failover
import demo
import ports
from child import ROOT, Child, fetch, free_port
from classifier import Classifier, Unavailable

RUN = ROOT / "integration" / "run.py"
PROJECT = "sluice-e2e"


@pytest.fixture
def model_ports() -> None:
    """The model servers' own ports."""
    for server in demo.SERVERS:
        try:
            ports.require_free(server.port, "")
        except ports.PortBusy:
            pytest.skip(f"port {server.port} is busy")


def test_run(tmp_path: Path) -> None:
    """The printed curl command and the page work; SIGTERM ends all started programs."""
    with _running(tmp_path) as (child, output):
        assert _answer(_ready_line(output.read_text())) == 200
        page = _line(output.read_text(), "page").split()[0]
        assert fetch(page)[0] == 200
        started = _descendants(child.pid)
        assert len(started) == 2 + len(demo.SERVERS), "`sluice run` with its Envoy, and the servers"
        assert "changes of envoy/demo.yaml apply" in output.read_text()
        healthy = _line(output.read_text(), "healthy again")
        assert '"state":"healthy"' in subprocess.run(["sh", "-c", healthy], capture_output=True, text=True, timeout=30).stdout
        os.kill(child.pid, signal.SIGTERM)
        _wait_for(lambda: child.ended() is not None)
        assert "stopped" in output.read_text()
    _wait_for(lambda: not any(map(_is_alive, started)))


@pytest.fixture
def classifiers(model_ports: None) -> None:
    """`make run GUARD=1` also needs the classifiers' ports and packages."""
    for address in (demo.TOXICITY, demo.PRESIDIO):
        try:
            ports.require_free(address[1], "")
        except ports.PortBusy:
            pytest.skip(f"port {address[1]} is busy")
    try:
        for classifier in (Classifier.toxicity(), Classifier.presidio()):
            classifier.install()
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.mark.usefixtures("classifiers")
def test_run_with_a_guard(tmp_path: Path) -> None:
    """The request printed as blocked is blocked, the restored value did not reach a model; SIGTERM ends all programs."""
    own = {server.port_variable: "" for server in demo.SERVERS}
    with _running(tmp_path, GUARD="1", **own) as (child, output):
        printed = output.read_text()
        assert _answer(_line(printed, "ready")) == 200
        status, body = _paste(_line(printed, "blocked"))
        assert (status, body["error"]["code"]) == (400, "content_filter")
        assert "`toxicity`" in body["error"]["message"]
        status, body = _paste(_line(printed, "restored"))
        assert status == 200 and demo.PERSONAL in body["choices"][0]["message"]["content"]
        journals = b"".join(fetch(f"http://127.0.0.1:{server.port}/_mock/requests")[1] for server in demo.SERVERS)
        assert b"<EMAIL_ADDRESS_1>" in journals and demo.ADDRESS.encode() not in journals
        started = _descendants(child.pid)
        assert len(started) == 1 + len(demo.SERVERS) + 2
        os.kill(child.pid, signal.SIGTERM)
        _wait_for(lambda: child.ended() is not None)
        assert "stopped" in output.read_text()
    _wait_for(lambda: not any(map(_is_alive, started)))


def test_guard_without_packages(tmp_path: Path) -> None:
    """In a new checkout without a package index: it says what is missing, and starts nothing."""
    for part in ("integration", "envoy"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "e2e"))
    unreachable = {"PIP_INDEX_URL": f"http://127.0.0.1:{free_port()}/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "0"}
    ended = _run({"GUARD": "1", **unreachable}, tmp_path / "integration" / "run.py")
    assert ended.returncode != 0
    assert "error: no packages for toxicity: " in ended.stderr and "GUARD=1 needs" in ended.stderr
    assert "Traceback" not in ended.stderr and "ready: " not in ended.stdout


@pytest.mark.parametrize("variable", ["GATEWAY_PORT", "ADMIN_PORT"])
def test_run_on_a_busy_port(variable: str) -> None:
    with _listening() as port:
        ended = _run({variable: str(port)})
    assert ended.returncode != 0
    assert f"port {port} is busy" in ended.stderr and f"{variable}=" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_run_with_a_busy_model_port() -> None:
    with _listening() as port:
        ended = _run({"MOCK_B_PORT": str(port)})
    assert ended.returncode != 0
    assert f"port {port} is busy" in ended.stderr and "MOCK_B_PORT=" in ended.stderr


def test_run_shows_the_failover(tmp_path: Path) -> None:
    """The printed command makes a model server fail until it is ejected. The gateway continues when that server is
    killed. When `make run` itself is killed, no process is left that keeps a port. (Only Linux signals children when their parent
    ends.)
    """
    with _running(tmp_path) as (child, output):
        command = _line(output.read_text(), "failover")
        said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30).stdout
        statuses, _, states = said.partition("\n")
        assert set(statuses.split()) == {"200"}, said
        assert {each["upstream"]: each["state"] for each in json.loads(states)["data"]}["mock-a"] == "ejected"
        (server,) = [pid for pid in _descendants(child.pid) if b"mock-a" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(server, signal.SIGKILL)
        _wait_for(lambda: "mock-a has ended" in output.read_text())
        assert child.ended() is None and _answer(_ready_line(output.read_text())) == 200
        if sys.platform == "linux":
            started = _descendants(child.pid)
            os.kill(child.pid, signal.SIGKILL)
            _wait_for(lambda: not any(map(_is_alive, started)))


def test_run_with_an_edited_file(tmp_path: Path) -> None:
    """Another listener, other models, and one server less."""
    edited = tmp_path / "envoy.yaml"
    gateway, elsewhere = free_port(), free_port()
    text = demo.ENVOY_YAML.read_text().replace("name: gpt-4o\n", "name: my-model\n").replace("aliases: [gpt-4o-latest]", "aliases: []")
    text = text.replace("port_value: 10000", f"port_value: {gateway}").replace("port_value: 9101", f"port_value: {elsewhere}")
    edited.write_text(text)
    with _running(tmp_path, "--config", edited, GATEWAY_PORT="", MOCK_A_PORT="") as (child, output):
        ready = _ready_line(output.read_text())
        assert f"http://127.0.0.1:{gateway} " in ready and "404" in ready and "my-model" in ready
        assert len(_descendants(child.pid)) == 1 + len(demo.SERVERS) - 1


def test_compose_passes_host_env_keys() -> None:
    text = demo.ENVOY_YAML.read_text()
    assert compose.further_variables(text) == []
    flow = text.replace("MOCK_A_KEY, MOCK_B_KEY, MOCK_C_KEY]", "MOCK_A_KEY, OPENAI_API_KEY, 'OTHER']")
    assert compose.further_variables(flow) == ["OPENAI_API_KEY", "OTHER"]
    assert compose.further_variables("host_env_keys:\n  - MOCK_A_KEY\n  - OPENAI_API_KEY\n") == ["OPENAI_API_KEY"]


def test_demo_constants_match_envoy_yaml() -> None:
    """demo.py agrees with envoy.yaml."""
    tree = yaml.safe_load(demo.ENVOY_YAML.read_text())
    found = {leaf for _, leaf in _leaves(tree)}
    assert {demo.LISTENER[1], demo.ADMIN[1], *(server.port for server in demo.SERVERS)} <= found
    assert {*demo.ENVIRONMENT, *(model for server in demo.SERVERS for model in server.models)} <= found


def test_the_guard_is_the_only_difference() -> None:
    """Without its guard, examples/guard.yaml equals envoy.yaml."""
    guarded, plain = (yaml.safe_load(file.read_text()) for file in (demo.GUARD_YAML, demo.ENVOY_YAML))
    resources = guarded["static_resources"]
    clusters = {cluster["name"]: cluster for cluster in resources["clusters"]}
    for name, address in (("toxicity", demo.TOXICITY), ("presidio", demo.PRESIDIO)):
        resources["clusters"].remove(clusters[name])
        assert {"address": address[0], "port_value": address[1]} in _values(clusters[name], "socket_address")
    (config,) = [each for each in _values(guarded, "config") if each.get("root_id") == "auth+guard+router+usage"]
    config["root_id"] = "auth+router+usage"
    guard = config["configuration"]["value"].pop("guard")
    assert [check["cluster"] for check in guard["checks"] if "cluster" in check] == ["toxicity", "presidio"]
    assert guarded == plain


def test_containers_differ_in_addresses_only() -> None:
    """`make compose` runs envoy.yaml, with names instead of loopback addresses."""
    original = demo.ENVOY_YAML.read_text()
    rendered = compose.render(original, compose.container_addresses())
    before, after = _leaves(yaml.safe_load(original)), _leaves(yaml.safe_load(rendered))
    assert [path for path, _ in before] == [path for path, _ in after]
    changed = {path[-1]: {} for (path, old), (_, new) in zip(before, after) if old != new}
    for (path, old), (_, new) in zip(before, after):
        if old != new:
            changed[path[-1]].setdefault(old, set()).add(new)
    names = {server.name for server in demo.SERVERS}
    assert changed == {"address": {"127.0.0.1": {"0.0.0.0", *names}}}


def test_compose(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """In containers, beside a running demo: it has its own project and ports."""
    _require_docker()
    monkeypatch.setattr(compose, "PROJECT", PROJECT)
    monkeypatch.delenv("PYTHONPATH", raising=False)  # docker-compose 1.29 is a Python program with a module `compose`
    for variable in ("GATEWAY_PORT", "ADMIN_PORT"):
        monkeypatch.setenv(variable, str(free_port()))
    try:
        _compose_up(monkeypatch)
        assert _answer(_ready_line(capfd.readouterr().out)) == 200
        status, metrics = fetch(f"http://127.0.0.1:{os.environ['ADMIN_PORT']}/stats/prometheus")
        assert status == 200 and b"llm_requests_total{" in metrics
        print(compose_failover.failover(int(os.environ["GATEWAY_PORT"]), seconds=1))
    finally:
        compose.down()


def test_containers_of_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose accepts the classifiers' file, and they listen where guard.yaml expects them. (Building needs a registry.)"""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    try:
        command = [*compose.compose_command(guarded=True), "config"]
    except compose.ComposeFailed as why:
        pytest.skip(str(why))
    (compose.STAGE / "mock").mkdir(parents=True, exist_ok=True)  # the mocks' build context must exist
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    services = yaml.safe_load(ended.stdout)["services"]
    started = {name for name, service in services.items() if not set(service.get("profiles", [])) - set(compose.GUARD_PROFILES)}
    assert {"envoy", "toxicity", "presidio", *(server.name for server in demo.SERVERS)} == started
    assert {"toxicity", "presidio", "mock-a", "mock-b", "mock-c"} == set(services["envoy"]["depends_on"])
    addresses = compose.container_addresses(guarded=True)
    compose.render(demo.GUARD_YAML.read_text(), addresses)
    for loopback in (demo.TOXICITY, demo.PRESIDIO):
        name, port = addresses[loopback]
        service = services[name]
        assert service["command"][-1] == str(port) and service["build"]["args"] == {"CLASSIFIER": name}
        context = Path(service["build"]["context"])
        assert {"Dockerfile", "service.py", f"{name}.py", f"requirements-{name}.txt"} <= set(os.listdir(context))


def _require_docker() -> None:
    """Skips if `make compose` could not work here."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, timeout=30).returncode != 0:
        pytest.skip("no docker engine")
    try:
        compose.stage()
    except compose.ComposeFailed as failure:
        pytest.skip(str(failure).replace(f"{ROOT}/", ""))


def _compose_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an image that is present, else on the stand-in: no test waits for a registry."""
    if "SLUICE_ENVOY_IMAGE" not in os.environ and not _has_image("envoyproxy/envoy:v1.40.0"):
        if not _has_image(compose.STANDIN):
            compose.build_standin()
        monkeypatch.setenv("SLUICE_ENVOY_IMAGE", compose.STANDIN)
    compose.up()


def _has_image(name: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode == 0


def _free_ports() -> dict[str, str]:
    """Variables that keep `make run` off the ports of a running demo."""
    variables = ["GATEWAY_PORT", "ADMIN_PORT", *(server.port_variable for server in demo.SERVERS)]
    return {variable: str(free_port()) for variable in variables}


@contextlib.contextmanager
def _running(directory: Path, *arguments: str | Path, **environment: str) -> Iterator[tuple[Child, Path]]:
    """`make run` on free ports, once it has printed its `ready` line."""
    output = directory / "output"
    environment = {**_free_ports(), **environment}
    child = Child("run", [sys.executable, RUN, *arguments], directory / "errors", env=environment, stdout=output)
    try:
        child.wait_until(lambda: "ready: " in output.read_text() and output.read_text().endswith("\n"), 120)
        yield child, output
    finally:
        child.stop()


def _run(environment: dict[str, str], program: Path = RUN) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program)]
    return subprocess.run(command, env={**os.environ, **_free_ports(), **environment}, capture_output=True, text=True, timeout=60)


def _ready_line(output: str) -> str:
    return _line(output, "ready")


def _line(output: str, name: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith(f"{name}: ")]
    return line.removeprefix(f"{name}: ")


def _answer(command: str) -> int:
    """Runs the command in a shell; returns the status of the answer."""
    status, body = _paste(command)
    assert body["choices"][0]["message"]["content"].startswith("Hello from mock-")
    return status


def _paste(command: str) -> tuple[int, Any]:
    """The status and the body that the command prints."""
    if not shutil.which("curl"):
        pytest.skip("no curl")
    ended = subprocess.run(["sh", "-c", command + " -m 10 -w '\\n%{http_code}'"], capture_output=True, text=True, timeout=20)
    body, _, status = ended.stdout.rpartition("\n")
    return int(status), json.loads(body)


def _leaves(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Every value of the tree with its path."""
    if isinstance(tree, (dict, list)):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return [leaf for name, value in items for leaf in _leaves(value, (*path, name))]
    return [(path, tree)]


def _values(tree: Any, name: str) -> list[Any]:
    """All values in the tree with this key."""
    if isinstance(tree, list):
        return [value for each in tree for value in _values(each, name)]
    if not isinstance(tree, dict):
        return []
    return [tree[key] for key in tree if key == name] + [value for each in tree.values() for value in _values(each, name)]


def _descendants(pid: int) -> set[int]:
    """The processes that a process has started, and their children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {each for child in map(int, children) for each in {child, *_descendants(child)}}


def _is_alive(pid: int) -> bool:
    """False for a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_for(true: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def _listening(port: int = 0) -> Iterator[int]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield listener.getsockname()[1]
