"""Tokens of an identity provider: verified by Envoy's jwt_authn, understood by Sluice (envoy/examples/oidc.yaml)."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator, Mapping

import jwt
import openai
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

import demo
from answers import anthropic_error, openai_error
from callers import Watch, bearer, call, identify, see_variables, watched
from conftest import OpenWorld
from gateway import Gateway, MockModels, render
from settings import Settings, lead_to
from world import ADMIN, BEARER, MESSAGES, World, chat_body, eventually

EXAMPLES = demo.ENVOY_YAML.parent / "examples"
ISSUER, AUDIENCE = "https://login.example.com/realms/company", "llm-gateway"
BROWSER_SECRETS = {"OAUTH_CLIENT_SECRET": "client-secret-7fe1", "OAUTH_COOKIE_SECRET": "cookie-secret-aa02-cookie-secret"}


class Provider:
    """An identity provider, as the gateway sees it: a document with its signing keys."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        self.document = json.dumps({"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]}).encode()

    def token(self, key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        """A token with these claims; None removes a usual one."""
        usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-17", "exp": int(time.time()) + 600}
        usual["realm_access"] = {"roles": ["offline_access", "LLM.User"]}
        claims = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        key = None if algorithm == "none" else key or self.key
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "one"})


@contextlib.contextmanager
def serving(document: bytes) -> Iterator[tuple[str, int]]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[:2]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def provider() -> Provider:
    return Provider()


def example(name: str, models: Mapping[str, MockModels], provider_at: tuple[str, int]) -> Settings:
    """The provider's file; it speaks plain HTTP here."""
    addresses = {demo.LISTENER: ("127.0.0.1", 0), demo.ADMIN: ("127.0.0.1", 0)}
    addresses.update({server.address: models[server.name].address for server in demo.SERVERS})
    settings = Settings(render((EXAMPLES / name).read_text(), addresses))
    (cluster,) = [each for each in settings.tree["static_resources"]["clusters"] if each["name"] == "identity-provider"]
    del cluster["transport_socket"]
    lead_to(cluster, provider_at)
    see_variables(settings)
    return settings


@pytest.fixture(scope="module")
def _single(provider: Provider, models: Mapping[str, MockModels], open_world: OpenWorld) -> Iterator[tuple[World, Watch]]:
    with serving(provider.document) as address:
        with watched(open_world, example("oidc.yaml", models, address), []) as both:
            yield both


@pytest.fixture
def single(_single: tuple[World, Watch]) -> World:
    _single[0].reset()
    return _single[0]


@pytest.fixture
def token(provider: Provider, _single: tuple[World, Watch]) -> Any:
    """Makes a token, and checks that it does not leak."""

    def made(**how: Any) -> str:
        token = provider.token(**how)
        _single[1].add(token, *filter(None, token.split(".")[1:]))
        return token

    return made


def test_sdk_with_a_token(single: World, token: Any) -> None:
    own = token(email="someone@example.com")
    with openai.OpenAI(base_url=f"{single.url}/v1", api_key=own, max_retries=0) as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content
    name, entry = single.entry()
    assert entry["headers"]["authorization"] == f"Bearer {name}-secret"
    assert not [value for value in entry["headers"].values() if own.split(".")[1] in value]
    eventually(lambda: single.counted("llm_requests_total")[("user-17", "gpt-4o", name, "200")], 1)


# One for each form in which Envoy passes a claim on; tests/core/keys/oidc.rs and verified_claims.rs have every value.
ROLES: list[tuple[dict[str, Any], str | None]] = [
    ({"realm_access": {"roles": ["LLM.User"]}}, "user"),
    ({"realm_access": {"roles": ["LLM.Admin", "LLM.User"]}}, "admin"),
    ({"realm_access": {"roles": "LLM.User x"}}, "user"),
    ({"realm_access.roles": ["LLM.Admin"]}, "admin"),
    ({"realm_access": {"roles": ["LLM.Admin", 7]}}, None),
    ({"realm_access": None}, None),
]


@pytest.mark.parametrize(("claims", "role"), ROLES, ids=str)
def test_roles(single: World, token: Any, claims: dict[str, Any], role: str | None) -> None:
    headers = bearer(token(**claims))
    if role is None:
        assert identify(single, headers) == (403, "not_permitted")
        return
    caller = identify(single, headers)[1]
    assert (caller["id"], caller["role"]) == ("user-17", role)
    assert call(single, "GET", "/gateway/keys", headers).status_code == (200 if role == "admin" else 403)


MODELS: list[tuple[Any, int, int]] = [
    (["gpt-4o"], 200, 403),
    ("gpt-4o text-embedding-3-small", 200, 200),
    ([], 403, 403),
    (["gpt-4o", {"a": "b"}], 403, 403),
]


@pytest.mark.parametrize(("claim", "chat", "embedding"), MODELS, ids=str)
def test_models(single: World, token: Any, claim: Any, chat: int, embedding: int) -> None:
    headers = bearer(token(models=claim))
    assert single.send(chat_body(), headers=headers).status_code == chat
    body = json.dumps({"model": "text-embedding-3-small", "input": "x"}).encode()
    assert single.send(body, path="/v1/embeddings", headers=headers).status_code == embedding


def test_null_claims(single: World, token: Any, provider: Provider) -> None:
    """A null in a claim that matters counts as a missing claim; in other claims it is ignored."""
    for claims, want in [({"models": None}, 403), ({"models": ["gpt-4o", None]}, 403), ({"locale": None}, 200)]:
        usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-17", "exp": int(time.time()) + 600}
        usual["realm_access"] = {"roles": ["LLM.User"]}
        made = jwt.encode({**usual, **claims}, provider.key, algorithm="RS256", headers={"kid": "one"})
        assert single.send(chat_body(), headers=bearer(made)).status_code == want, claims


def test_empty_subject(single: World, token: Any) -> None:
    assert identify(single, bearer(token(sub=None))) == (403, "not_permitted")


def _refused(token: Any, provider: Provider) -> dict[str, tuple[str, str]]:
    """Invalid tokens, and the error codes."""
    good = token()
    head, payload, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["realm_access"]["roles"] = ["LLM.Admin"]
    other = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "another issuer": (token(iss="https://login.example.com/realms/other"), "invalid_api_key"),
        "no issuer": (token(iss=None), "invalid_api_key"),
        "another audience": (token(aud="billing"), "invalid_api_key"),
        "no audience": (token(aud=None), "invalid_api_key"),
        "expired": (token(exp=int(time.time()) - 600), "expired_api_key"),
        "no end": (token(exp=None), "invalid_api_key"),
        "not yet": (token(nbf=int(time.time()) + 600), "invalid_api_key"),
        "unsigned": (token(algorithm="none"), "invalid_api_key"),
        "signature left out": (f"{head}.{payload}.", "invalid_api_key"),
        "signed by another": (token(key=stranger), "invalid_api_key"),
        "signed with the public document": (_symmetric(provider.document, payload), "invalid_api_key"),
        "tampered": (f"{head}.{other}.{signature}", "invalid_api_key"),
        "cut": (good[:-3], "invalid_api_key"),
        "no token": ("a.b.c", "invalid_api_key"),
    }


def _symmetric(secret: bytes, payload: str) -> str:
    """Tokens that a weak verifier accepts, because the token says how to verify it."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT","kid":"one"}').decode().rstrip("=")
    tag = hmac.digest(secret, f"{head}.{payload}".encode(), "sha256")
    return f"{head}.{payload}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


def test_invalid_tokens_are_refused(single: World, token: Any, provider: Provider) -> None:
    """The error has the shape that SDKs expect, and nothing reaches a server."""
    for name, (made, code) in _refused(token, provider).items():
        answer = single.send(chat_body(), headers=bearer(made))
        assert (name, answer.status_code, openai_error(answer)["code"]) == (name, 401, code)
        answer = single.send(chat_body(), path=MESSAGES, headers=bearer(made))
        assert (answer.status_code, anthropic_error(answer)["type"]) == (401, "authentication_error")
        assert made not in answer.text
    with openai.OpenAI(base_url=f"{single.url}/v1", api_key=token(aud="x"), max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
    assert single.entries() == []


def test_claims_cannot_be_forged(single: World, token: Any, provider: Provider) -> None:
    """Nothing that a client sends beside a token, or instead of one, counts as its claims."""
    claims = {"iss": ISSUER, "sub": "root", "realm_access": {"roles": ["LLM.Admin"]}, "exp": int(time.time()) + 60}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    names = ("x-jwt-payload", "jwt", "x-envoy-jwt", "x-sluice-identity", "metadata", "envoy.filters.http.jwt_authn", "x-jwt-claim-roles")
    forged = {name: payload for name in names}
    assert identify(single, forged)[0] == 401
    caller = identify(single, {**forged, **bearer(token())})[1]
    assert (caller["id"], caller["role"]) == ("user-17", "user")
    assert call(single, "GET", f"/gateway/whoami?access_token={provider.token(sub='in-a-url')}", {}).status_code == 401


def test_keys_beside_tokens(single: World, token: Any) -> None:
    assert identify(single, BEARER)[1]["id"] == "demo-user"
    assert identify(single, ADMIN)[1]["role"] == "admin"
    # a valid key counts before a token, an invalid one does not hide a token
    assert identify(single, {**bearer(token()), "x-api-key": demo.USER_KEY})[1]["id"] == "demo-user"
    assert identify(single, {**bearer(token()), "x-api-key": "sk-wrong"})[1]["id"] == "user-17"
    assert identify(single, {**bearer(token(aud="x")), "x-api-key": demo.USER_KEY})[1]["id"] == "demo-user"
    assert single.send(path="/healthz", method="GET", headers={}).status_code == 200


def test_revoking_a_subject(single: World, token: Any) -> None:
    leaving = bearer(token(sub="leaving"))
    assert identify(single, leaving)[0] == 200
    assert call(single, "DELETE", "/gateway/keys/leaving", ADMIN).status_code == 200
    assert {identify(single, leaving) for _ in range(20)} == {(401, "invalid_api_key")}


@pytest.mark.parametrize("name", ["oidc.yaml", "oauth2.yaml", "guard.yaml", "tracing.yaml"])
def test_examples_match_the_demo(name: str) -> None:
    """The parts that an example does not explain are the same as in envoy.yaml."""
    common = set(demo.ENVOY_YAML.read_text().splitlines()[8:])
    missing = common - set((EXAMPLES / name).read_text().splitlines())
    own = "request_headers_to_remove|root_id: auth|usage: {|virtual_keys|host_env_keys|Keys that administrators issue"
    assert {line for line in missing if not re.search(own, line)} == set()


def test_browsers(provider: Provider, models: Mapping[str, MockModels], tmp_path: Path) -> None:
    """Envoy's oauth2 filter sends browsers without a session to the login; programs call as before."""
    with serving(provider.document) as address:
        settings = example("oauth2.yaml", models, address)
        env = {**demo.ENVIRONMENT, **BROWSER_SECRETS}
        with Gateway(settings.text(), concurrency=2, env=env) as gateway:
            world = World(gateway, models)
            with world.http:
                page = world.send(path="/v1/models", method="GET", headers={"accept": "text/html"})
                assert page.status_code == 302
                assert page.headers["location"].startswith(f"{ISSUER}/protocol/openid-connect/auth?client_id=llm-gateway")
                script = world.send(chat_body(), headers={})
                assert script.status_code == 401
                forged = world.send(path="/v1/models", method="GET", headers={"cookie": "BearerToken=x; OauthHMAC=y"})
                assert forged.status_code == 302
                assert world.send(chat_body(), headers=BEARER).status_code == 200
                assert world.send(chat_body(), headers={"x-api-key": demo.USER_KEY}).status_code == 200
                with_cookie = {**bearer(provider.token()), "cookie": "BearerToken=session-of-someone"}
                assert world.send(chat_body(), headers=with_cookie).status_code == 200
                assert world.send(path="/healthz", method="GET", headers={}).status_code == 200
                assert "session-of-someone" not in json.dumps(world.journals())
                shown = world.everything_shown(output=False)
                assert not [secret for secret in BROWSER_SECRETS.values() if secret in shown]
