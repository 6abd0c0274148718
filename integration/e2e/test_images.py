"""The images, built by the local Docker engine on the stand-in for Envoy's image."""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from pathlib import Path
from typing import Iterator

import pytest

import compose
import images
from test_tooling import _has_image, _require_docker


@pytest.fixture
def context(tmp_path: Path) -> Path:
    _require_docker()
    images.stage(tmp_path / "context")
    return tmp_path / "context"


@pytest.fixture
def tag() -> Iterator[str]:
    """A name for an image, which is removed."""
    name = f"sluice-test:{uuid.uuid4().hex}"
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, timeout=60)


def _docker(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["docker", *arguments], capture_output=True, timeout=120)


def test_the_filters_alone(context: Path, tag: str) -> None:
    images.build("wasm.Dockerfile", tag, context)
    saved = tarfile.open(fileobj=io.BytesIO(_docker("save", tag).stdout))
    layers = [tarfile.open(fileobj=saved.extractfile(name)) for name in saved.getnames() if name.endswith("layer.tar")]
    assert [(entry.name, entry.size, oct(entry.mode & 0o777)) for layer in layers for entry in layer] == [
        ("sluice.wasm", (context / "sluice.wasm").stat().st_size, "0o644")
    ]


def test_all_in_one(context: Path, tag: str) -> None:
    """Envoy accepts what is in the image, on a read-only file system and without rights."""
    envoy = "envoyproxy/envoy:v1.40.0"
    if not _has_image(envoy):
        envoy = compose.STANDIN
        if not _has_image(envoy):
            compose.build_standin()
    images.build("Dockerfile", tag, context, ENVOY=envoy)
    rights = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none"]
    secrets = ["-e", "OPENAI_API_KEY=sk-test", "-e", f"SLUICE_KEY_SECRET={'0' * 64}"]
    done = _docker("run", "--rm", *rights, *secrets, tag, "--mode", "validate")
    assert done.returncode == 0 and b"OK" in done.stdout + done.stderr, done.stderr[-2000:]
    user = _docker("run", "--rm", *rights, "--entrypoint", "bash", tag, "-c", "echo $UID $PWD && [ -r sluice.wasm ] && bash -n drain.sh")
    assert user.stdout.split() == [b"101", b"/opt/sluice"] and user.returncode == 0
