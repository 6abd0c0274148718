"""The examples for clouds: a cluster's own filters add what the provider requires, after `attempt` has written the request."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterator

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import demo
from child import ROOT
from conftest import OpenWorld
from gateway import Gateway
from hosts import AWS, EXAMPLE_KEYS
from recorder import Recorded, Recorder
from settings import Settings, lead_to, with_tokens
from world import BEARER, CHAT, chat_body

EXAMPLES = ROOT / "envoy" / "examples"
AZURE_KEY, BEDROCK_KEY, GEMINI_KEY = (EXAMPLE_KEYS[name] for name in ("AZURE_OPENAI_API_KEY", "AWS_BEARER_TOKEN_BEDROCK", "GEMINI_API_KEY"))
# An example by its name, in this directory, with a closed port for these clusters; all others lead to one server without TLS.
Example = Callable[..., ContextManager[tuple[Gateway, list[Recorded]]]]
SIGNATURE = re.compile(r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=(\w+)")


@pytest.fixture
def example(open_world: OpenWorld) -> Example:
    @contextlib.contextmanager
    def opened(name: str, directory: Path, closed: tuple[str, ...] = ()) -> Iterator[tuple[Gateway, list[Recorded]]]:
        with Recorder() as server:
            settings = Settings((EXAMPLES / f"{name}.yaml").read_text())
            settings.tree["admin"]["address"]["socket_address"]["port_value"] = 0
            settings.tree["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = 0
            for cluster in settings.tree["static_resources"]["clusters"]:
                lead_to(cluster, ("127.0.0.1", 1) if cluster["name"] in closed else server.address)
                cluster.pop("transport_socket", None)
            with open_world(with_tokens(settings.text(), directory)) as world:
                yield world.gateway, server.requests

    return opened


def _ask(gateway: Gateway, path: str = CHAT, **fields: Any) -> httpx.Response:
    headers = {**BEARER, "user-agent": "test", "x-request-id": "1", "content-type": "application/json"}
    return httpx.post(f"http://127.0.0.1:{gateway.port}{path}", content=chat_body(**fields), headers=headers, trust_env=False)


def test_bedrock_signs_what_attempt_has_written(example: Example, tmp_path: Path) -> None:
    """Amazon's own code computes the same signature from the request that arrives."""
    with example("bedrock", tmp_path, closed=("bedrock-key",)) as (gateway, requests):
        assert _ask(gateway, model="gpt-oss-120b").status_code == 200
        assert _ask(gateway, path="/v1/messages", model="claude-sonnet", max_tokens=9).status_code == 200
        assert _ask(gateway, model="claude-sonnet").status_code == 200  # translated
        answers = [_ask(gateway, model="nova-pro", stream=stream) for stream in (False, True)]
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].json()["choices"][0]["message"]["content"] == "Hello"
    assert answers[1].text.endswith("data: [DONE]\n\n") and '"content":"Hello"' in answers[1].text
    nova = "/model/eu.amazon.nova-pro-v1%3A0"
    claude = ["/anthropic/v1/messages"] * 2
    assert [each.path for each in requests] == ["/openai/v1/chat/completions", *claude, f"{nova}/converse", f"{nova}/converse-stream"]
    for each in requests:
        assert demo.USER_KEY not in str(each)
        assert each.headers["host"] == "bedrock-runtime.eu-central-1.amazonaws.com"
        named = (b"anthropic.claude-sonnet-4-5", b"openai.gpt-oss-120b-1:0")
        assert each.path.startswith(nova) or any(name in each.body for name in named)
        _check_signature(each)


@pytest.mark.parametrize(
    ("name", "model", "authorization"),
    [("bedrock", "gpt-oss-120b", f"Bearer {BEDROCK_KEY}"), ("azure", "gpt-4o", None)],
    ids=["bedrock", "azure"],
)
def test_failed_attempt_leaks_no_credential(example: Example, name: str, model: str, authorization: str | None, tmp_path: Path) -> None:
    """Neither a signature nor a token of one provider reaches the next."""
    first = {"bedrock": "bedrock", "azure": "azure-entra"}[name]
    with example(name, tmp_path, closed=(first,)) as (gateway, requests):
        assert _ask(gateway, model=model).status_code == 200
    (request,) = requests
    assert request.headers.get("authorization") == authorization
    assert request.headers.get("api-key") == {"bedrock": None, "azure": AZURE_KEY}[name]
    assert [header for header in request.headers if header.startswith("x-amz")] == []


def _check_signature(request: Recorded) -> None:
    credential, signed, signature = SIGNATURE.fullmatch(request.headers["authorization"]).groups()
    names = signed.split(";")
    assert {"host", "x-amz-date", "content-type"} <= set(names)
    _, _, region, service, _ = credential.split("/")
    assert (region, service) == ("eu-central-1", "bedrock")
    own = AWSRequest("POST", f"https://{request.headers['host']}{request.path}", data=request.body)
    for name in names:
        own.headers[name] = request.headers[name]
    own.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(*AWS.values()), service, region)
    assert signer.signature(signer.string_to_sign(own, signer.canonical_request(own)), own) == signature


@pytest.mark.parametrize(
    ("name", "model", "path"),
    [
        ("azure", "gpt-4o", "/openai/v1/chat/completions"),
        ("vertex", "gemini-2.5-flash", "/v1/projects/my-project/locations/europe-west4/endpoints/openapi/chat/completions"),
    ],
)
def test_the_token_of_a_file_is_sent(example: Example, name: str, model: str, path: str, tmp_path: Path) -> None:
    with example(name, tmp_path) as (gateway, requests):
        assert _ask(gateway, model=model).status_code == 200
    (request,) = requests
    assert (request.path, request.headers["authorization"]) == (path, "Bearer a-token")
    assert not {demo.USER_KEY, GEMINI_KEY, AZURE_KEY} & set(request.headers.values())
