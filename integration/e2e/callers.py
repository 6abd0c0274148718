"""Callers: the credentials that they send, their entries in the configuration, and checks that no secret leaks."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
from typing import Any, Callable, ContextManager, Iterable, Iterator

import httpx

import demo
from settings import Settings
from world import World

ACCESS_LOG = {
    "name": "envoy.access_loggers.stdout",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        "log_format": {
            "text_format_source": {
                "inline_string": "%REQ(:METHOD)% %REQ(:PATH)% %REQ(AUTHORIZATION)% %REQ(X-API-KEY)% %REQ(COOKIE)%"
                " %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %DYNAMIC_METADATA(envoy.filters.http.wasm)%\n"
            }
        },
    },
}


def bearer(key: str) -> dict[str, str]:
    """The header of a key or a token."""
    return {"authorization": f"Bearer {key}"}


def basic(name: str, password: str) -> dict[str, str]:
    """The header of a user."""
    return {"authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def key_entry(name: str, key: str, **fields: Any) -> dict[str, Any]:
    """An entry of `auth.keys`."""
    return {"id": name, "hash": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}", **fields}


def user_entry(name: str, password: str, iterations: int, **fields: Any) -> dict[str, Any]:
    """An entry of `auth.users`."""
    return {"name": name, "hash": _password_hash(password, iterations), **fields}


@functools.cache
def _password_hash(password: str, iterations: int) -> str:
    """One salt for all users: hashing is slow, and many users of these tests share a password."""
    salt = b"salt of everyone"
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    salt, digest = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"pbkdf2-sha256${iterations}${salt}${digest}"


def see_variables(settings: Settings, *names: str) -> None:
    """Lets the filters read these variables of Envoy's environment, and turns on request logging."""
    settings.plugin("auth")["vm_config"]["environment_variables"]["host_env_keys"] += names
    attempt = settings.plugin("attempt")["vm_config"]["environment_variables"]["host_env_keys"]
    attempt += [name for name in names if name not in attempt]  # the same in all filters, or Envoy would create another VM
    settings.manager.setdefault("access_log", []).append(ACCESS_LOG)


def call(world: World, method: str, path: str, headers: dict[str, str], body: Any = None) -> Any:
    """A request on a new connection: any worker may get it."""
    content = None if body is None else json.dumps(body).encode()
    return world.send(content, path=path, method=method, headers={**headers, "connection": "close"})


class Watch:
    """Looks for secrets in every place where they could leak, including error answers."""

    def __init__(self, world: World, secrets: Iterable[str]):
        self.world = world
        self.refusals: list[str] = []
        world.http.event_hooks["response"] = [self._keep]
        self.secrets = {*secrets, *demo.PROVIDER_KEYS.values(), demo.USER_KEY, demo.ADMIN_KEY}

    def add(self, *secrets: str) -> None:
        """Adds another secret that must not leak."""
        self.secrets.update(secrets)

    def look(self) -> None:
        """Asserts that no secret is in the servers' requests, or in anything that an operator sees."""
        providers = set(demo.PROVIDER_KEYS.values())
        # an access log with `authorization` shows the model server's credential
        sent = json.dumps(self.world.journals()) + self.world.gateway.output()
        self._none_in(sent, self.secrets - providers)
        self._none_in(self.world.everything_shown(output=False), self.secrets)
        assert self.refusals
        self._none_in("".join(self.refusals), self.secrets)

    def _keep(self, response: httpx.Response) -> None:
        if response.status_code >= 400:
            response.read()
            self.refusals.append(f"{response.headers}{response.text}")

    def _none_in(self, text: str, secrets: set[str]) -> None:
        found = [secret for secret in secrets if secret in text]
        assert not found


# Secrets that sign virtual keys. They are fixed, so that these gateways can share an Envoy.
KEY_SECRETS = {"KEY_SECRET": "a first secret to sign keys, 8d1e04", "NEW_SECRET": "another secret to sign keys, 5b77c2"}


@contextlib.contextmanager
def watched(
    open_world: Callable[..., ContextManager[World]], settings: Settings, secrets: Iterable[str], **options: Any
) -> Iterator[tuple[World, Watch]]:
    """A gateway that is checked for leaked secrets after its tests."""
    with open_world(settings.text(), **options) as world:
        watch = Watch(world, secrets)
        yield world, watch
        world.settle()
        watch.look()


def identify(world: World, headers: dict[str, str]) -> tuple[int, Any]:
    """Answer of `/gateway/whoami`: the status, and the body or the error's code."""
    answer = call(world, "GET", "/gateway/whoami", headers)
    return answer.status_code, answer.json() if answer.status_code == 200 else answer.json()["error"]["code"]

