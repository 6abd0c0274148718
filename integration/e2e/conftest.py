"""The gateways that the tests share. Each test gets them with healthy servers and empty journals."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Any, Callable, ContextManager, Iterator, Mapping

import pytest

pytest.register_assert_rewrite("answers", "callers", "limited", "sockets", "world")

import demo
import limited
import sockets as sockets_of_clients
from callers import KEY_SECRETS
from gateway import Gateway, MockModels
from hosts import AWS, EXAMPLE_KEYS, Hosts
from resilience import NEVER_EJECTED
from settings import Settings, rendered
from table import SHOWN
from world import World

CLOSED_PORT = ("127.0.0.1", 1)
LIMITED_KEY = "sk-demo-limited"

OpenWorld = Callable[..., ContextManager[World]]


@pytest.fixture(scope="session", autouse=True)
def _no_proxy() -> None:
    """All programs run on one machine, so a proxy from the environment must not be used."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"


@pytest.fixture(scope="session")
def models() -> Iterator[Mapping[str, MockModels]]:
    """The demo's model servers."""
    with contextlib.ExitStack() as running:
        yield {server.name: running.enter_context(MockModels.demo(server)) for server in demo.SERVERS}


@pytest.fixture(scope="session")
def settings(models: Mapping[str, MockModels]) -> Callable[[], Settings]:
    """Copies the demo's settings, so that a test can change them."""
    return lambda: Settings(rendered(models))


@pytest.fixture(scope="session")
def _hosts(models: Mapping[str, MockModels]) -> Iterator[Hosts]:
    with Hosts(rendered(models), {**EXAMPLE_KEYS, **AWS, **limited.ENV, **KEY_SECRETS}) as hosts:
        yield hosts


@pytest.fixture(scope="session")
def open_world(models: Mapping[str, MockModels], _hosts: Hosts) -> OpenWorld:
    """Opens a gateway with a test's own configuration. It runs in a shared Envoy if possible. It runs in its own Envoy if the
    test wants that (`own`), gives options, or changes what `Hosts` cannot take."""

    @contextlib.contextmanager
    def opened(text: str, further: Mapping[str, MockModels] | None = None, own: bool = False, **options: Any) -> Iterator[World]:
        with contextlib.ExitStack() as running:
            gateway = None if own or options else running.enter_context(_hosts.gateway(text))
            gateway = gateway or running.enter_context(Gateway(text, concurrency=2, **options))
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
    """The demo: envoy/envoy.yaml with other addresses, and answers that name their server."""
    _demo_world.reset()
    return _demo_world


@pytest.fixture
def survivor(world: World) -> Iterator[None]:
    """For tests that send bad requests: after each test, the next request must be served."""
    yield
    world.reset()
    assert world.chat().status_code == 200


@pytest.fixture(scope="session")
def _wide_world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    with open_world(_widened(settings()).text()) as world:
        yield world


@pytest.fixture
def wide_world(_wide_world: World) -> World:
    """The demo with more models, which set the first server and the timeouts."""
    _wide_world.reset()
    return _wide_world


@pytest.fixture(scope="module")
def _limited_world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    with open_world(limited.limited(settings()).text()) as world:
        limited.begin_to_wait(world)
        yield world


@pytest.fixture
def limited_world(_limited_world: World) -> World:
    """The demo with the limits of `limited`; each test of a file has its own keys and models."""
    _limited_world.reset()
    return _limited_world


def _widened(settings: Settings) -> Settings:
    settings.values("router")["ejection"] = NEVER_EJECTED  # these tests are about single failures
    settings.separate()  # the demo joins the filters; this tests the separate form as well
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


# These take longest. With several processes they come first, so that none of them runs alone at the end.
LONGEST = ("test_fault_storm", "test_fleet", "test_fleet_records", "test_limits_told", "test_fault_matrix", "test_config", "test_tooling", "test_prometheus", "test_guard_places")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps each file's tests together, in the order of their names, with the long ones first."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With several processes: sends the tables to the process that has the terminal."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tables"] = session.config.stash.get(SHOWN, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receives the tables of another process."""
    node.config.stash.setdefault(SHOWN, []).extend(getattr(node, "workeroutput", {}).get("tables", []))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints the measurements, and the reasons of skipped tests."""
    for table in config.stash.get(SHOWN, []):
        terminalreporter.write_line(table)
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple):
            why = report.longrepr[2].removeprefix("Skipped: ")
            terminalreporter.write_line(f"skipped: {why} ({report.nodeid.rpartition('/')[2]})")


@pytest.fixture(scope="session")
def _sockets(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    with open_world(sockets_of_clients.configured(settings()).text()) as world:
        yield world


@pytest.fixture
def sockets(_sockets: World) -> World:
    """The demo with a path, models and keys for WebSocket."""
    _sockets.reset()
    return _sockets
