"""The servers of the semantic cache's tests: real embeddings, and a real Chroma. Standard library only."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import python_env
from child import ROOT, Child, fetch, free_port

SEMANTIC = ROOT / "integration" / "semantic"
MODEL = "all-MiniLM-L6-v2"


class Unavailable(Exception):
    """The packages cannot be installed here; the text says why."""


class _Server:
    """A program of the environment `semantic`, on a free port."""

    def __init__(self, name: str) -> None:
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix=f"sluice-{name}-"))
        self._name = name
        self._child: Child | None = None

    @property
    def address(self) -> tuple[str, int]:
        """As an address for a cluster."""
        return ("127.0.0.1", self.port)

    def _arguments(self) -> list[str | Path]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> _Server:
        """Starts it, and waits until it answers. The first start installs its packages."""
        try:
            python = python_env.ensure(SEMANTIC / "requirements-semantic.txt", "semantic", alone=True)
        except (python_env.InstallFailed, OSError) as failure:
            raise Unavailable(f"no packages for {self._name}: {failure}") from failure
        env = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._child = Child(self._name, [python, *self._arguments()], self.directory / "log", env=env, cwd=self.directory)
        self._child.wait_until(self._answers, 60)
        return self

    def stop(self) -> None:
        """Ends it."""
        if self._child:
            self._child.stop()

    def post(self, path: str, question: Any) -> Any:
        """Calls it directly."""
        body, headers = json.dumps(question).encode(), {"content-type": "application/json"}
        status, answer = fetch(f"http://127.0.0.1:{self.port}{path}", "POST", body, headers)
        assert status in (200, 201), answer
        return json.loads(answer)

    def __enter__(self) -> Any:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class Embeddings(_Server):
    """`POST /v1/embeddings`."""

    def __init__(self) -> None:
        super().__init__("embeddings")

    def _arguments(self) -> list[str | Path]:
        return [SEMANTIC / "server.py", str(self.port)]

    def _answers(self) -> bool:
        try:
            self.post("/v1/embeddings", {"model": MODEL, "input": "ready?"})
        except OSError:
            return False
        return True


class Chroma(_Server):
    """A Chroma server with one collection."""

    COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"

    def __init__(self) -> None:
        super().__init__("chroma")
        self.collection = ""

    def _arguments(self) -> list[str | Path]:
        run = ["chroma", "run", "--host", "127.0.0.1", "--port", str(self.port), "--path", str(self.directory / "data")]
        return ["-c", f"import chromadb_rust_bindings; chromadb_rust_bindings.cli({run!r})"]

    def _answers(self) -> bool:
        try:
            return fetch(f"http://127.0.0.1:{self.port}/api/v2/heartbeat")[0] == 200
        except OSError:
            return False

    def start(self) -> Chroma:
        """Also makes the collection."""
        super().start()
        self.collection = self.collection or self.post(self.COLLECTIONS, {"name": "answers"})["id"]
        return self

    def count(self) -> int:
        """The number of vectors."""
        return json.loads(fetch(f"http://127.0.0.1:{self.port}{self.COLLECTIONS}/{self.collection}/count")[1])
