"""The real classifiers of `classifiers/`, as Python objects like `MockModels`.

    with Classifier.toxicity() as toxicity, Classifier.presidio() as presidio:
        toxicity.ask("/v1/moderations", {"input": ["good morning"]})
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import python_env
from child import ROOT, Child, fetch, free_port
from gateway import Address, _work_directory

CLASSIFIERS = ROOT / "integration" / "classifiers"


class Unavailable(Exception):
    """A classifier's packages cannot be installed here; the text says why."""


class Classifier:
    """A running classifier. `port` 0 takes a free one."""

    def __init__(self, name: str, port: int = 0, directory: Path | None = None):
        self.name = name
        self.port = port or free_port()
        self._directory = directory
        self.child: Child | None = None

    @classmethod
    def toxicity(cls, port: int = 0, **options: Any) -> Classifier:
        """`POST /v1/moderations`."""
        return cls("toxicity", port, **options)

    @classmethod
    def presidio(cls, port: int = 0, **options: Any) -> Classifier:
        """`POST /analyze`, `POST /anonymize`."""
        return cls("presidio", port, **options)

    @property
    def address(self) -> Address:
        """For `render`."""
        return ("127.0.0.1", self.port)

    def install(self) -> Path:
        """The Python with the classifier's packages; raises Unavailable if they cannot be installed."""
        try:
            return python_env.ensure(CLASSIFIERS / f"requirements-{self.name}.txt", self.name)
        except (python_env.InstallFailed, OSError) as failure:
            raise Unavailable(f"no packages for {self.name}: {failure}") from failure

    def start(self) -> Classifier:
        """Starts it and waits until it answers. The first start installs its packages."""
        python = self.install()
        directory = self._directory or _work_directory(self.name)
        command = [python, CLASSIFIERS / f"{self.name}.py", "--port", str(self.port)]
        self.child = Child(self.name, command, directory / f"{self.name}.log")
        self.child.wait_for(f"http://127.0.0.1:{self.port}/health", 60)
        return self

    def stop(self) -> None:
        """Ends it."""
        if self.child:
            self.child.stop()

    def ask(self, path: str, question: Any, timeout: float = 30) -> Any:
        """Calls it directly and returns the parsed answer; raises ValueError for an error."""
        body = json.dumps(question).encode()
        headers = {"Content-Type": "application/json"}
        status, answer = fetch(f"http://127.0.0.1:{self.port}{path}", "POST", body, headers, timeout)
        if status != 200:
            raise ValueError(f"{self.name} answered {path} with {status}: {answer.decode()}")
        return json.loads(answer)

    def __enter__(self) -> Classifier:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
