"""The examples for clouds: a cluster's own filters add what the provider requires, after `attempt` has written the request."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any, Iterator

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import demo
from child import ROOT
from gateway import Gateway
from recorder import Recorded, Recorder
from settings import Settings, lead_to, secret
from world import BEARER, CHAT, chat_body

EXAMPLES = ROOT / "envoy" / "examples"
ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
AWS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_BEARER_TOKEN_BEDROCK": "bedrock-secret"}
SIGNATURE = re.compile(r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=(\w+)")


@contextlib.contextmanager
def _example(name: str, env: dict[str, str], directory: Path, closed: tuple[str, ...] = ()) -> Iterator[tuple[Gateway, list[Recorded]]]:
    """The example with all clusters at one server without TLS. Clusters in `closed` get a closed port."""
    with Recorder() as server:
        settings = Settings((EXAMPLES / f"{name}.yaml").read_text())
        settings.tree["admin"]["address"]["socket_address"]["port_value"] = 0
        settings.tree["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = 0
        for cluster in settings.tree["static_resources"]["clusters"]:
            lead_to(cluster, ("127.0.0.1", 1) if cluster["name"] in closed else server.address)
            cluster.pop("transport_socket", None)
        with Gateway(settings.text(), env=env, directory=directory) as gateway:
            yield gateway, server.requests


def _ask(gateway: Gateway, path: str = CHAT, **fields: Any) -> httpx.Response:
    headers = {**BEARER, "user-agent": "test", "x-request-id": "1", "content-type": "application/json"}
    return httpx.post(f"http://127.0.0.1:{gateway.port}{path}", content=chat_body(**fields), headers=headers, trust_env=False)


def test_bedrock_signs_what_attempt_has_written(tmp_path: Path) -> None:
    """Amazon's own code computes the same signature from the request that arrives."""
    with _example("bedrock", AWS, tmp_path, closed=("bedrock-key",)) as (gateway, requests):
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


@pytest.mark.parametrize("example", [("bedrock", "gpt-oss-120b", "Bearer bedrock-secret"), ("azure", "gpt-4o", None)], ids=["bedrock", "azure"])
def test_failed_attempt_leaks_no_credential(example: tuple[str, str, str | None], tmp_path: Path) -> None:
    """Neither a signature nor a token of one provider reaches the next."""
    name, model, authorization = example
    (tmp_path / "azure-token.yaml").write_text(json.dumps({"resources": [secret("azure", "Bearer a-token")]}))
    first = {"bedrock": "bedrock", "azure": "azure-entra"}[name]
    with _example(name, {**AWS, "AZURE_OPENAI_API_KEY": "azure-secret"}, tmp_path, closed=(first,)) as (gateway, requests):
        assert _ask(gateway, model=model).status_code == 200
    (request,) = requests
    assert request.headers.get("authorization") == authorization
    assert request.headers.get("api-key") == {"bedrock": None, "azure": "azure-secret"}[name]
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
    signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), service, region)
    assert signer.signature(signer.string_to_sign(own, signer.canonical_request(own)), own) == signature


@pytest.mark.parametrize(
    ("name", "model", "path"),
    [
        ("azure", "gpt-4o", "/openai/v1/chat/completions"),
        ("vertex", "gemini-2.5-flash", "/v1/projects/my-project/locations/europe-west4/endpoints/openapi/chat/completions"),
    ],
)
def test_the_token_of_a_file_is_sent(name: str, model: str, path: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}-token.yaml").write_text(json.dumps({"resources": [secret(name, "Bearer a-token")]}))
    with _example(name, {"GEMINI_API_KEY": "gemini-secret", "AZURE_OPENAI_API_KEY": "azure-secret"}, tmp_path) as (gateway, requests):
        assert _ask(gateway, model=model).status_code == 200
    (request,) = requests
    assert (request.path, request.headers["authorization"]) == (path, "Bearer a-token")
    assert not {demo.USER_KEY, "gemini-secret", "azure-secret"} & set(request.headers.values())
