"""The Helm chart: Kubernetes' schemas accept what Helm makes of it, and Envoy what is in its ConfigMap."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import jsonschema
import kubernetes_validate
import pytest
import yaml

import helm
from child import ROOT, TOOL, Child, fetch, free_port
from envoy_binary import find_envoy
from gateway import WASM

CHART = ROOT / "envoy" / "helm" / "sluice"
GATEWAY = CHART / "files" / "gateway"
ENV = {"OPENAI_API_KEY": "sk-test", "SLUICE_KEY_SECRET": "0" * 64}

FULL = {
    "replicas": 3,
    "imagePullSecrets": [{"name": "registry"}],
    "wasm": {"from": "volume", "image": {"repository": "registry.example/sluice-wasm", "tag": "1.2.3"}},
    "config": {"files": {file.name: file.read_text() for file in GATEWAY.glob("*.yaml")}},
    "secret": {"data": ENV},
    "env": [{"name": "GROQ_API_KEY", "valueFrom": {"secretKeyRef": {"name": "groq", "key": "key"}}}],
    "extraArgs": ["--component-log-level", "wasm:info"],
    "service": {"type": "LoadBalancer", "annotations": {"example.com/internal": "true"}},
    "podAnnotations": {"example.com/team": "llm"},
    "podLabels": {"team": "llm"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "llm", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "sluice"}}}}]}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    "priorityClassName": "high",
    "extraVolumes": [{"name": "tls", "secret": {"secretName": "tls"}}],
    "extraVolumeMounts": [{"name": "tls", "mountPath": "/etc/tls", "readOnly": True}],
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/llm"}},
    "autoscaling": {"enabled": True, "inFlight": 20},
    "networkPolicy": {"enabled": True, "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboard": {"enabled": True},
}
VALUES = {"default": {}, "full": FULL}
# The oldest and the newest Kubernetes whose schemas are checked.
VERSIONS = {"default": "1.25", "full": "1.37"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


TEXT, LABELS = {"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}
RULE = _object(["expr"], record=TEXT, alert=TEXT, expr=TEXT, labels=LABELS, annotations=LABELS, **{"for": TEXT})
# The parts of the Prometheus operator's resources that the chart uses.
CUSTOM = {
    "ServiceMonitor": _object(
        ["selector", "endpoints"],
        selector=_object(["matchLabels"], matchLabels=LABELS),
        endpoints={"type": "array", "items": _object(["port"], port=TEXT, path=TEXT, interval=TEXT, params={"type": "object", "additionalProperties": {"type": "array", "items": TEXT}})},
    ),
    "PrometheusRule": _object(["groups"], groups={"type": "array", "items": _object(["name", "rules"], name=TEXT, rules={"type": "array", "items": RULE})}),
}


@functools.cache
def _render(name: str) -> dict[tuple[str, str], Any]:
    """What Helm makes of one of VALUES, by kind and name."""
    try:
        return {(each["kind"], each["metadata"]["name"]): each for each in helm.render(CHART, VALUES[name])}
    except helm.NoHelm as why:
        pytest.skip(str(why))


@pytest.mark.parametrize("values", VALUES)
def test_schemas(values: str) -> None:
    things = _render(values)
    kinds = {kind for kind, _ in things}
    wanted = {"ConfigMap", "Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"}
    assert kinds == (wanted if values == "default" else wanted | {"Secret", "HorizontalPodAutoscaler", "NetworkPolicy", *CUSTOM})
    for (kind, _), thing in things.items():
        assert thing["metadata"]["namespace"] == "llm"
        if kind in CUSTOM:
            jsonschema.validate(thing["spec"], CUSTOM[kind])
        else:
            kubernetes_validate.validate(thing, VERSIONS[values], strict=True)


@pytest.mark.parametrize("values", VALUES)
def test_parts_fit(values: str) -> None:
    """Names, labels and ports agree, and the pod has no more rights than it needs."""
    things = _render(values)
    deployment, service = things["Deployment", "sluice"], things["Service", "sluice"]
    pod = deployment["spec"]["template"]
    labels, spec = pod["metadata"]["labels"], pod["spec"]
    for selector in (service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"], things["PodDisruptionBudget", "sluice"]["spec"]["selector"]["matchLabels"]):
        assert selector and selector.items() <= labels.items()
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
    for each in [container, *spec.get("initContainers", [])]:
        security = each["securityContext"]
        assert security == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert {mount["name"] for mount in each["volumeMounts"]} <= {volume["name"] for volume in spec["volumes"]}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports)
    assert all(probe in container for probe in ("startupProbe", "readinessProbe", "livenessProbe"))
    assert spec["terminationGracePeriodSeconds"] > int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert ("initContainers" in spec) == (values == "default")
    if values == "full":
        assert "replicas" not in deployment["spec"]  # the autoscaler's
        assert container["envFrom"] == [{"secretRef": {"name": "sluice"}}] and things["Secret", "sluice"]["stringData"] == ENV
        files = [ROOT / "envoy" / "prometheus" / name for name in ("rules.yaml", "gen_ai_rules.yaml")]
        assert things["PrometheusRule", "sluice"]["spec"]["groups"] == [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
        assert json.loads(things["ConfigMap", "sluice-dashboard"]["data"]["sluice.json"])["uid"] == "sluice"


# Values that values.schema.json refuses, and what the message names.
WRONG = {
    "an unknown value": ({"replica": 3}, "replica"),
    "an unknown value inside": ({"service": {"ports": 80}}, "ports"),
    "no number": ({"replicas": "three"}, "replicas"),
    "a negative number": ({"drainSeconds": -1}, "drainSeconds"),
    "no worker": ({"concurrency": 0}, "concurrency"),
    "no port": ({"port": 70000}, "port"),
    "a port for root": ({"metricsPort": 80}, "metricsPort"),
    "one of several": ({"wasm": {"from": "web"}}, "from"),
    "a log level": ({"logLevel": "verbose"}, "logLevel"),
    "a pull policy": ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    "an empty name": ({"image": {"tag": ""}}, "tag"),
    "a file that is no text": ({"config": {"files": {"envoy.yaml": {"admin": {}}}}}, "envoy.yaml"),
    "a name that no variable has": ({"secret": {"data": {"OPENAI-API-KEY": "x"}}}, "OPENAI-API-KEY"),
    "a variable without a name": ({"env": [{"value": "x"}]}, "name"),
    "an annotation that is no text": ({"podAnnotations": {"a": True}}, "podAnnotations"),
    "a type of service": ({"service": {"type": "Internal"}}, "type"),
    "no percentage": ({"podDisruptionBudget": {"maxUnavailable": "half"}}, "maxUnavailable"),
    "an interval without a unit": ({"serviceMonitor": {"interval": "15"}}, "interval"),
    "a switch that is a text": ({"autoscaling": {"enabled": "yes"}}, "enabled"),
}
# Values that the templates refuse.
UNFIT = {
    "two secrets": ({"secret": {"existing": "a", "data": {"B": "c"}}}, "secret.existing"),
    "an autoscaler by nothing": ({"autoscaling": {"enabled": True, "cpu": 0}}, "set cpu or inFlight"),
}


def test_the_schema_knows_every_value() -> None:
    """values.yaml and the schema have the same names, and no value may have a name that neither has."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.Draft7Validator.check_schema(schema)

    def compare(path: str, values: Any, schema: Any) -> None:
        if "properties" in schema and path != ".resources":
            assert set(values) == set(schema["properties"]) - {"global"} and schema["additionalProperties"] is False, path
            for name, value in values.items():
                compare(f"{path}.{name}", value, schema["properties"][name])

    compare("", values, schema)
    for each in VALUES.values():
        jsonschema.validate(each, schema)


@pytest.mark.parametrize("wrong", WRONG)
def test_the_schema_refuses(wrong: str) -> None:
    change, problem = WRONG[wrong]
    errors = list(jsonschema.Draft7Validator(json.loads((CHART / "values.schema.json").read_text())).iter_errors(change))
    assert len(errors) == 1 and problem in f"{errors[0].json_path} {errors[0].message}"


@pytest.mark.parametrize("wrong", ["an unknown value", "one of several", *UNFIT])
def test_helm_refuses(wrong: str) -> None:
    """Helm reads the schema, and the templates refuse what it cannot say. (Loading Helm takes a second, so not all of WRONG.)"""
    change, problem = {**WRONG, **UNFIT}[wrong]
    with pytest.raises(helm.RenderFailed, match=re.escape(problem)):
        try:
            helm.render(CHART, change)
        except helm.NoHelm as why:
            pytest.skip(str(why))


def test_its_gateway_is_rendered(tmp_path: Path) -> None:
    """The files of the chart's own gateway are what the command makes of its short file."""
    command = [TOOL, "render", CHART / "files" / "sluice.yaml", "--dir", tmp_path, "--at", "/etc/sluice"]
    subprocess.run(command, check=True, timeout=60)
    made = {file.name: file.read_text() for file in tmp_path.glob("*.yaml")}
    kept = {file.name: file.read_text() for file in GATEWAY.glob("*.yaml")}
    short = CHART.relative_to(ROOT) / "files"
    assert made == kept, f"run: target/debug/sluice render {short}/sluice.yaml --dir {short}/gateway --at /etc/sluice"


@contextlib.contextmanager
def _pod(directory: Path, *arguments: str, files: dict[str, str] | None = None) -> Iterator[tuple[Child, dict[str, int], list[str]]]:
    """Envoy as the pod runs it, on free ports: the process, its ports, and the command of its preStop."""
    things = _render("full")
    files = files or things["ConfigMap", "sluice"]["data"]
    container = things["Deployment", "sluice"]["spec"]["template"]["spec"]["containers"][0]
    ports = {name: free_port() for name in ("http", "admin", "metrics")}
    written = {"http": 10000, "admin": 9901, "metrics": 9902}

    def here(text: str) -> str:
        for name, port in written.items():
            text = re.sub(rf"(port_value: |ADMIN_PORT=){port}\b", rf"\g<1>{ports[name]}", text)
        return text.replace("/etc/sluice", str(directory)).replace("0.0.0.0", "127.0.0.1")

    for name, text in files.items():
        (directory / name).write_text(here(text))
    (directory / "sluice.wasm").symlink_to(WASM.resolve())
    command = ["sh", "-c", 'cd "$0" && exec "$@"', directory, find_envoy(), *map(here, container["args"]), *arguments]
    child = Child("envoy", command, directory / "envoy.log", env={**os.environ, **ENV, "GROQ_API_KEY": "x"})
    try:
        yield child, ports, [here(word) for word in container["lifecycle"]["preStop"]["exec"]["command"]]
    finally:
        child.stop()


@pytest.mark.parametrize("form", ["files", "one file"])
def test_envoy_accepts_the_configuration(form: str, tmp_path: Path) -> None:
    """Envoy's own validation, with what the chart adds to the bootstrap. (Of a configuration in files it reads only the
    bootstrap: that the rest works, `test_a_pod` shows.)"""
    command = [TOOL, "render", CHART / "files" / "sluice.yaml"]
    one = {"envoy.yaml": subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout}
    log = tmp_path / "envoy.log"
    with _pod(tmp_path, "--mode", "validate", files=one if form == "one file" else None) as (child, _, _):
        child.wait_until(lambda: re.search("configuration '.*' OK", log.read_text()) is not None, 60)


def test_a_pod(tmp_path: Path) -> None:
    """Its probes and metrics are served, nothing else of the admin interface is; preStop drains."""
    with _pod(tmp_path) as (child, ports, drain):
        metrics = f"http://127.0.0.1:{ports['metrics']}"
        child.wait_until(lambda: _status(f"{metrics}/ready") == 200, 60)
        assert _status(f"http://127.0.0.1:{ports['http']}/healthz") == 200
        assert b"envoy_server_live" in fetch(f"{metrics}/stats/prometheus")[1]
        for path in ("/", "/config_dump", "/quitquitquit", "/readyx"):
            assert _status(f"{metrics}{path}") == 404
        assert fetch(f"{metrics}/ready", "POST")[0] == 404
        begun = time.monotonic()
        assert subprocess.run(drain, timeout=30).returncode == 0
        assert 1.5 < time.monotonic() - begun < 10
        assert _status(f"{metrics}/ready") == 503 and child.ended() is None
        assert _status(f"http://127.0.0.1:{ports['http']}/healthz") == 503


def _status(url: str) -> int:
    try:
        return fetch(url)[0]
    except OSError:
        return 0


def test_draining_waits_for_requests() -> None:
    """It tells Envoy first, and ends when no request is active."""
    asked: list[str] = []

    class Admin(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path.partition('?')[0]}")
            active = 0 if asked.count("GET /stats") > 1 else 3
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"http.gateway.downstream_rq_active: {active}\n".encode())

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Admin) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = ["bash", ROOT / "envoy" / "drain.sh", "20"]
        assert subprocess.run(command, env={**os.environ, "ADMIN_PORT": str(server.server_port)}, timeout=30).returncode == 0
        server.shutdown()
    assert asked == ["POST /healthcheck/fail", "POST /drain_listeners", "GET /stats", "GET /stats"]
