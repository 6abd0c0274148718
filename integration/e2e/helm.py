"""Renders a Helm chart with Helm itself, from PyPI's binding, without a cluster: `helm.py CHART NAME`, values on standard input. Without
arguments, it only downloads the binding.

The binding can install but not only render. So this serves the little of Kubernetes' API that an installation asks, takes what
Helm sends, and prints it as JSON. Run as a program of its own: the binding has Go's runtime inside.
"""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import python_env

PACKAGE, VERSION = "helm_sdkpy", "0.1.32"
HOME = python_env.ENVIRONMENTS / f"helm-{VERSION}"

# The kinds that the chart may use, as Kubernetes' discovery names them.
KINDS = {
    "v1": {"ConfigMap": "configmaps", "Secret": "secrets", "Service": "services", "ServiceAccount": "serviceaccounts"},
    "apps/v1": {"Deployment": "deployments"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
    "autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    "monitoring.coreos.com/v1": {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"},
}


class NoHelm(Exception):
    """The binding does not run here; the text says why."""


class RenderFailed(Exception):
    """Helm refuses the chart or its values."""


def render(chart: Path, values: Any, name: str = "sluice") -> list[dict[str, Any]]:
    """What Helm would create, in namespace `llm`."""
    install()
    done = subprocess.run([sys.executable, __file__, str(chart), name], input=json.dumps(values), capture_output=True, text=True, timeout=60)
    if done.returncode == 3:
        raise RenderFailed(done.stderr)
    if done.returncode:
        raise NoHelm(f"helm-sdkpy does not run: {(done.stderr.strip() or '-').splitlines()[-1]}")
    return json.loads(done.stdout)


def install() -> None:
    """Downloads the binding. It asks for Python 3.12 but only loads a library, so it is unpacked instead of installed."""
    with python_env.locked(HOME.with_suffix(".lock")):
        if HOME.exists():
            return
        with tempfile.TemporaryDirectory(dir=python_env.ENVIRONMENTS) as directory:
            command = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", "3.12", "-d", directory]
            done = subprocess.run([*python_env.system_pip(), *command, f"{PACKAGE.replace('_', '-')}=={VERSION}"], capture_output=True, text=True)
            if done.returncode:
                raise NoHelm(f"helm-sdkpy cannot be downloaded: {(done.stderr.strip() or '-').splitlines()[-1]}")
            (wheel,) = Path(directory).glob("*.whl")
            zipfile.ZipFile(wheel).extractall(Path(directory) / "unpacked")
            os.rename(Path(directory) / "unpacked", HOME)


class _Kubernetes(http.server.BaseHTTPRequestHandler):
    """Nothing exists here, and everything can be created."""

    protocol_version = "HTTP/1.1"
    created: list[dict[str, Any]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        groups = [version for version in KINDS if "/" in version]
        known = {
            "version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
            "api": {"kind": "APIVersions", "versions": ["v1"]},
            "apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(version) for version in groups]},
            "api/v1": _resources("v1"),
            **{f"apis/{version}": _resources(version) for version in groups},
        }
        if path in known:
            return self._answer(200, known[path])
        if path.endswith("/secrets"):
            return self._answer(200, {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []})
        self._answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        kind = self.headers["content-type"]
        if "json" in kind:  # Helm's own record of the release comes as Protobuf
            self.created.append(json.loads(body))
        self._send(201, body, kind)

    do_PUT = do_PATCH = do_POST

    def _answer(self, status: int, answer: Any) -> None:
        self._send(status, json.dumps(answer).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _group(version: str) -> dict[str, Any]:
    one = {"groupVersion": version, "version": version.partition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [one], "preferredVersion": one}


def _resources(version: str) -> dict[str, Any]:
    verbs = ["create", "delete", "get", "list", "patch", "update"]
    kinds = [{"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": verbs} for kind, name in KINDS[version].items()]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": kinds}


def main() -> None:
    sys.path.append(str(HOME))
    from helm_sdkpy import Configuration, HelmError, Install

    chart, name = sys.argv[1:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Kubernetes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster = {"name": "fake", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "fake", "context": {"cluster": "fake", "user": "fake"}}
    users = [{"name": "fake", "user": {}}]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "fake", "contexts": [context], "users": users, "clusters": [cluster]}, config)
        config.flush()
        try:
            asyncio.run(Install(Configuration(namespace="llm", kubeconfig=config.name)).run(name, chart, values=json.load(sys.stdin), wait=False))
        except HelmError as error:
            print(error, file=sys.stderr)
            sys.exit(3)
    json.dump(_Kubernetes.created, sys.stdout)


if __name__ == "__main__" and sys.argv[1:]:
    main()
elif __name__ == "__main__":
    try:
        install()
    except NoHelm as why:
        print(why, file=sys.stderr)
