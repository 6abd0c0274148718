"""The gateways the tests share. Whoever asks for one gets it with healthy servers and empty journals."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Any, Callable, ContextManager, Iterator, Mapping

import pytest

pytest.register_assert_rewrite("answers", "callers", "limited", "world")

import demo
import limited
from gateway import Gateway, MockModels
from resilience import NEVER_EJECTED
from settings import Settings, rendered
from world import World

CLOSED_PORT = ("127.0.0.1", 1)
LIMITED_KEY = "sk-demo-limited"

OpenWorld = Callable[..., ContextManager[World]]


@pytest.fixture(scope="session", autouse=True)
def _no_proxy() -> None:
    """A proxy named in the environment is not to get between programs of one machine."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"


@pytest.fixture(scope="session")
def models() -> Iterator[Mapping[str, MockModels]]:
    """The demo's model servers."""
    with contextlib.ExitStack() as running:
        yield {server.name: running.enter_context(MockModels.demo(server)) for server in demo.SERVERS}


@pytest.fixture(scope="session")
def settings(models: Mapping[str, MockModels]) -> Callable[[], Settings]:
    """Makes a copy of the demo's settings, for a test to change."""
    return lambda: Settings(rendered(models))


@pytest.fixture(scope="session")
def open_world(models: Mapping[str, MockModels]) -> OpenWorld:
    """Starts a gateway with a configuration of the test's own."""

    @contextlib.contextmanager
    def opened(text: str, further: Mapping[str, MockModels] | None = None, **options: Any) -> Iterator[World]:
        with Gateway(text, concurrency=2, **options) as gateway:
            world = World(gateway, {**models, **(further or {})})
            world.reset()
            with world.http:
                yield world
            assert "sluice: panic at" not in gateway.log(), "a filter has crashed"

    return opened


@pytest.fixture(scope="session")
def _demo_world(models: Mapping[str, MockModels], open_world: OpenWorld) -> Iterator[World]:
    with open_world(rendered(models)) as world:
        yield world


@pytest.fixture
def world(_demo_world: World) -> World:
    """The demo: envoy/envoy.yaml with other addresses, and answers that tell where they come from."""
    _demo_world.reset()
    return _demo_world


@pytest.fixture
def survivor(world: World) -> Iterator[None]:
    """For tests that send bad things: whatever a client sent, the next one is served."""
    yield
    world.reset()
    assert world.chat().status_code == 200


@pytest.fixture(scope="session")
def _wide_world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    with open_world(_widened(settings()).text()) as world:
        yield world


@pytest.fixture
def wide_world(_wide_world: World) -> World:
    """The demo with more models: by which server is asked first, and how long it may take."""
    _wide_world.reset()
    return _wide_world


@pytest.fixture(scope="session")
def _limited_world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    with open_world(limited.limited(settings()).text(), env=limited.ENV) as world:
        limited.begin_to_wait(world)
        yield world


@pytest.fixture
def limited_world(_limited_world: World) -> World:
    """The demo with the limits of `limited`; each test has keys and models of its own."""
    _limited_world.reset()
    return _limited_world


def _widened(settings: Settings) -> Settings:
    settings.values("router")["ejection"] = NEVER_EJECTED  # these tests are about single failures
    settings.separate()  # the demo has the filters joined: what is shown for one form holds for the other
    settings.add_cluster("mock-closed", CLOSED_PORT)
    settings.upstreams["mock-closed"] = {"dialects": ["openai", "anthropic"]}
    settings.add_model("a-first", "mock-a", "mock-b")
    settings.add_model("hasty", "mock-a", "mock-b", retry={"per_try_timeout": "500ms"})
    settings.add_model("closed-first", "mock-closed", "mock-b")
    settings.add_model("closed", "mock-closed")
    settings.add_model("only-a", "mock-a")
    settings.add_model("prefixed-*", "mock-b")
    settings.models.append({"name": "*", "targets": [{"upstream": "mock-c"}]})
    digest = hashlib.sha256(LIMITED_KEY.encode()).hexdigest()
    limited = {"id": "limited", "hash": f"sha256:{digest}", "models": ["gpt-4o", "prefixed-*"]}
    settings.values("auth")["keys"].append(limited)
    return settings


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says why, for everything that was not tested."""
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple):
            why = report.longrepr[2].removeprefix("Skipped: ")
            terminalreporter.write_line(f"skipped: {why} ({report.nodeid.rpartition('/')[2]})")
