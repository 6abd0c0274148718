"""`make images`: the images that envoy/helm/sluice uses. SLUICE_ENVOY_IMAGE replaces Envoy's official image."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from child import ROOT, TARGET
from gateway import WASM

CONTEXT = TARGET / "images"
ENVOY = ROOT / "envoy"


def stage(context: Path = CONTEXT) -> None:
    """Copies what the Dockerfiles need, readable for Envoy's user, so that the context is small."""
    shutil.rmtree(context, ignore_errors=True)
    (context / "gateway").mkdir(parents=True)
    files = {WASM: "sluice.wasm", ENVOY / "drain.sh": "drain.sh"}
    files |= {file: f"gateway/{file.name}" for file in (ENVOY / "helm" / "sluice" / "files" / "gateway").glob("*.yaml")}
    for source, name in files.items():
        shutil.copyfile(source, context / name)
        (context / name).chmod(0o755 if name.endswith(".sh") else 0o644)
    for directory in (context, context / "gateway"):
        directory.chmod(0o755)


def build(dockerfile: str, tag: str, context: Path = CONTEXT, **arguments: str) -> None:
    """Builds an image from one of envoy's Dockerfiles."""
    further = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    subprocess.run(["docker", "build", "--quiet", "-f", str(ENVOY / dockerfile), "-t", tag, *further, str(context)], check=True)


def main() -> None:
    prefix, version = os.environ.get("IMAGES") or "", os.environ.get("VERSION") or "0.1.0"
    stage()
    try:
        build("wasm.Dockerfile", f"{prefix}sluice-wasm:{version}-scratch")
        build("wasm.Dockerfile", f"{prefix}sluice-wasm:{version}", BASE="busybox:stable")
        build("Dockerfile", f"{prefix}sluice-envoy:{version}", ENVOY=os.environ.get("SLUICE_ENVOY_IMAGE") or "envoyproxy/envoy:v1.40.0")
    except FileNotFoundError:
        sys.exit("error: docker is not installed")
    except subprocess.CalledProcessError as failure:
        sys.exit(f"error: this failed: {' '.join(map(str, failure.cmd))}")


if __name__ == "__main__":
    main()
