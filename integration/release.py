"""`make release`: the files of a release in target/release-files, with checksums and a bill of materials (CycloneDX) for each of
the two programs. The same sources make the same archives, whoever packs them, and when.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from child import ROOT, TARGET

FILES = TARGET / "release-files"
# The programs of a release: the crate of each, and the target that it is built for.
PROGRAMS = {"sluice.wasm": ("sluice-filters", "wasm32-wasip1"), "sluice": ("sluice-cli", f"{platform.machine().replace('arm64', 'aarch64')}-unknown-linux-musl")}


def main() -> None:
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir(parents=True)
    for name, (crate, target) in PROGRAMS.items():
        graph = metadata(target)
        version = package(graph, crate)["version"]
        released = FILES / (name if name.endswith(".wasm") else f"{name}-{version}-{platform.system().lower()}-{platform.machine()}")
        shutil.copy(TARGET / name, released)
        (FILES / f"{name}.cdx.json").write_text(bill(graph, crate, released))
    (FILES / f"sluice-chart-{version}.tgz").write_bytes(archive(ROOT / "envoy" / "helm" / "sluice", "sluice"))
    (FILES / f"sluice-envoy-{version}.tar.gz").write_bytes(archive(ROOT / "envoy", f"sluice-envoy-{version}"))
    (FILES / "SHA256SUMS").write_text(checksums(FILES))
    print((FILES / "SHA256SUMS").read_text(), end="")


def metadata(target: str) -> dict[str, Any]:
    """The packages that cargo would build for a target, from Cargo.lock."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def package(graph: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in graph["packages"] if each["name"] == name)


def bill(graph: dict[str, Any], crate: str, program: Path) -> str:
    """What is in a program: the crate and all that it needs at run time, with versions, licences and checksums."""
    packages = {each["id"]: each for each in graph["packages"]}
    needed = {node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])] for node in graph["resolve"]["nodes"]}
    root = package(graph, crate)["id"]
    components = {root: _component(packages[root], program)}
    waiting = [root]
    while waiting:
        for dependency in needed[waiting.pop()]:
            if dependency not in components:
                components[dependency] = _component(packages[dependency])
                waiting.append(dependency)
    bom = Bom(components=[component for id, component in components.items() if id != root])
    bom.metadata.component = components[root]
    for id, component in components.items():
        bom.register_dependency(component, [components[dependency] for dependency in needed[id]])
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _component(crate: dict[str, Any], program: Path | None = None) -> Component:
    licence = (crate["license"] or "").replace("/", " OR ")
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(program.read_bytes()).hexdigest())] if program else []
    return Component(
        type=ComponentType.APPLICATION if program else ComponentType.LIBRARY,
        name=program.name if program else crate["name"],
        version=crate["version"],
        bom_ref=f"{crate['name']}@{crate['version']}",
        purl=PackageURL("cargo", name=crate["name"], version=crate["version"]) if crate["source"] else None,
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        hashes=hashes,
    )


def archive(directory: Path, name: str) -> bytes:
    """A directory as a compressed archive in which it is called `name`. Links to files are replaced by the files."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in sorted(path for path in directory.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(f"{name}/{file.relative_to(directory)}")
            content = file.read_bytes()
            entry.size, entry.mode = len(content), 0o755 if file.suffix == ".sh" else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def checksums(directory: Path) -> str:
    """For `sha256sum --check SHA256SUMS`."""
    files = sorted(file for file in directory.iterdir() if file.is_file() and file.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)


if __name__ == "__main__":
    main()
