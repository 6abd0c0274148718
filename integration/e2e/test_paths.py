"""Further paths (`router.paths`): they pass unread to one upstream, with key, permission, limits, log and usage."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any, Callable, Iterator, Mapping

import anthropic
import httpx
import openai
import pytest

import demo
from conftest import CLOSED_PORT, OpenWorld
from guarded import check, guarded
from settings import Settings
from upstream import Upstream
from world import BEARER, World, eventually

LIMITED, LISTED, BRIEF = "sk-limited", "sk-listed", "sk-brief"
LARGE = 20 << 20  # more than any of Envoy's buffers
FILE = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.jsonl", "purpose": "batch", "status": "processed"}
BATCH = {"id": "batch_1", "object": "batch", "completion_window": "24h", "created_at": 1, "endpoint": "/v1/responses", "input_file_id": "file-1", "status": "completed", "usage": {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}}
RUN = {"id": "run_1", "object": "thread.run", "status": "completed", "usage": {"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24}}
STREAM = b'event: thread.run.completed\ndata: {"id":"run_1","usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\n\nevent: done\ndata: [DONE]\n\n'
STORE = {"id": "vs_1", "object": "vector_store", "created_at": 1, "name": "s", "status": "completed", "usage_bytes": 3}
JOB = {"id": "ftjob-1", "object": "fine_tuning.job", "created_at": 1, "model": "gpt-4o-mini", "status": "queued", "training_file": "file-1"}
ASSISTANT = {"id": "asst_1", "object": "assistant", "created_at": 1, "model": "gpt-4o", "tools": []}
CONTENT = b'{"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}\n' * 3
PAGE = {"object": "list", "data": [FILE], "has_more": False, "first_id": "file-1", "last_id": "file-1"}


class Provider(Upstream):
    """Files, batches and runs. It reads uploads piece by piece, and notes when the first piece is there."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, Mapping[str, str], int]] = []
        self.begun = asyncio.Event()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        method, path = head[0].split(" ")[:2]
        size, left = 0, int(headers.get("content-length", 0))
        while left > 0 and (piece := await reader.read(min(left, 65536))):
            size, left = size + len(piece), left - len(piece)
            self.begun.set()
        if headers.get("transfer-encoding") == "chunked":
            while length := int(await reader.readline(), 16):
                size += len(await reader.readexactly(length + 2)) - 2
                self.begun.set()
            await reader.readline()
        self.asked.append((method, path, headers, size))
        status, kind, body = self.reply(method, path)
        length = f"content-length: {len(body)}\r\n" if status != 204 else ""
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{length}\r\n".encode() + body)
        await writer.drain()
        return True

    @staticmethod
    def reply(method: str, path: str) -> tuple[int, str, bytes]:
        bare = path.split("?")[0]
        answers: dict[tuple[str, str], Any] = {
            ("POST", "/v1/files"): FILE,
            ("GET", "/v1/files"): PAGE,
            ("GET", "/v1/files/file-1"): FILE,
            ("GET", "/v1/files/recorded"): FILE,
            ("DELETE", "/v1/files/file-1"): {"id": "file-1", "object": "file", "deleted": True},
            ("GET", "/v1/batches/batch_1"): BATCH,
            ("POST", "/v1/threads/runs"): RUN,
            ("POST", "/v1/batches"): BATCH,
            ("POST", "/v1/vector_stores"): STORE,
            ("DELETE", "/v1/vector_stores/vs_1"): {"id": "vs_1", "object": "vector_store.deleted", "deleted": True},
            ("POST", "/v1/fine_tuning/jobs"): JOB,
            ("POST", "/v1/fine_tuning/jobs/ftjob-1/cancel"): {**JOB, "status": "cancelled"},
            ("POST", "/v1/assistants"): ASSISTANT,
            ("POST", "/v1/messages/batches"): {"id": "msgbatch_1", "type": "message_batch"},
        }
        if (method, bare) in answers:
            return 200, "application/json", json.dumps(answers[method, bare]).encode()
        if bare == "/v1/files/file-1/content":
            return 200, "application/octet-stream", CONTENT
        if bare == "/v1/threads/stream":
            return 200, "text/event-stream", STREAM
        if bare == "/v1/threads/empty":
            return 204, "text/plain", b""
        if bare == "/v1/threads/broken":
            return 503, "application/json", b'{"error":{"message":"down"}}'
        return 404, "application/json", b'{"error":{"message":"No such File object","type":"invalid_request_error"}}'

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        raise NotImplementedError


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider  # type: ignore[misc]


def _key(id: str, key: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "hash": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}", **fields}


def _with_paths(settings: Settings, provider: Provider) -> Settings:
    settings.add_cluster("files", provider.address)
    settings.upstreams["files"] = {"dialects": ["openai", "anthropic"], "host": "files.example", "credential": {"env": "MOCK_A_KEY"}}
    settings.add_cluster("away", CLOSED_PORT)
    settings.upstreams["away"] = {}
    settings.models.append({"name": "*", "targets": [{"upstream": "mock-a"}]})  # no path is a model
    settings.values("router")["paths"] = [
        {"path": "/v1/files*", "upstream": "files"},
        {"path": "/v1/batches*", "upstream": "files"},
        *({"path": f"/v1/{name}*", "upstream": "files"} for name in ("vector_stores", "fine_tuning", "assistants")),
        {"path": "/v1/threads/*", "upstream": "files"},
        {"path": "/v1/threads/away", "upstream": "away"},
        {"path": "/v1/messages/batches", "upstream": "files"},
    ]
    settings.values("auth")["keys"] += [
        _key("limited", LIMITED, models=["gpt-4o"]),
        _key("listed", LISTED, models=["gpt-4o", "/v1/files*"]),
        _key("brief", BRIEF, limits={"requests_per_minute": 2}),
    ]
    return settings


@pytest.fixture(scope="module")
def _paths(settings: Callable[[], Settings], open_world: OpenWorld, provider: Provider) -> Iterator[World]:
    with open_world(_with_paths(settings(), provider).text()) as world:
        yield world


@pytest.fixture
def paths(_paths: World, provider: Provider) -> World:
    _paths.reset()
    provider.asked.clear()
    provider.begun.clear()
    return _paths


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_openai_sdk(paths: World, provider: Provider) -> None:
    with openai.OpenAI(base_url=f"{paths.url}/v1", api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:
        assert client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch").id == "file-1"
        assert client.files.retrieve("file-1").filename == "a.jsonl"
        assert client.files.content("file-1").content == CONTENT
        assert [file.id for file in client.files.list(limit=2)] == ["file-1"]
        assert client.files.delete("file-1").deleted
        assert client.batches.retrieve("batch_1").status == "completed"
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve("file-2")
    asked = [(method, path) for method, path, _, _ in provider.asked]
    want = [("POST", "/v1/files"), ("GET", "/v1/files/file-1"), ("GET", "/v1/files/file-1/content"), ("GET", "/v1/files?limit=2")]
    assert asked == [*want, ("DELETE", "/v1/files/file-1"), ("GET", "/v1/batches/batch_1"), ("GET", "/v1/files/file-2")]
    for _, _, headers, _ in provider.asked:
        assert headers["host"] == "files.example" and demo.USER_KEY not in str(headers)
        assert headers["authorization"] == f"Bearer {demo.PROVIDER_KEYS['MOCK_A_KEY']}"


def test_what_providers_store(paths: World, provider: Provider) -> None:
    """Vector stores, fine-tuning, assistants and batches, through the SDK."""
    with openai.OpenAI(base_url=f"{paths.url}/v1", api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:
        assert client.batches.create(input_file_id="file-1", endpoint="/v1/responses", completion_window="24h").id == "batch_1"
        assert client.vector_stores.create(name="s").id == "vs_1"
        assert client.vector_stores.delete("vs_1").deleted
        assert client.fine_tuning.jobs.create(model="gpt-4o-mini", training_file="file-1").id == "ftjob-1"
        assert client.fine_tuning.jobs.cancel("ftjob-1").status == "cancelled"
        assert client.beta.assistants.create(model="gpt-4o").id == "asst_1"
        assert client.beta.threads.create_and_run(assistant_id="asst_1").id == "run_1"
    assert len(provider.asked) == 7 and all(headers["host"] == "files.example" for _, _, headers, _ in provider.asked)


def test_dialect_of_the_path(paths: World, provider: Provider) -> None:
    """The upstream speaks two dialects; the path says which credential header is the right one."""
    with anthropic.Anthropic(base_url=paths.url, api_key=demo.USER_KEY, max_retries=0, timeout=10) as client:
        answer: Any = client.post("/v1/messages/batches", body={"requests": []}, cast_to=dict[str, Any])
        assert answer["id"] == "msgbatch_1"
    ((_, _, headers, _),) = provider.asked
    assert headers["x-api-key"] == demo.PROVIDER_KEYS["MOCK_A_KEY"] and "authorization" not in headers


@pytest.mark.parametrize("declared", [True, False])
def test_large_upload_is_streamed(paths: World, provider: Provider, declared: bool) -> None:
    """It is larger than every buffer, and the provider has its beginning before the client has sent the rest."""
    seen = []

    def body() -> Iterator[bytes]:
        yield bytes(1 << 20)
        eventually(provider.begun.is_set, True)
        seen.append(len(provider.asked))
        yield from (bytes(1 << 20) for _ in range((LARGE >> 20) - 1))

    headers = {**BEARER, "content-type": "multipart/form-data; boundary=x", **({"content-length": str(LARGE)} if declared else {})}
    answer = paths.send(body(), path="/v1/files", headers=headers)
    assert (answer.status_code, answer.json()["id"], seen) == (200, "file-1", [0])
    assert [size for _, _, _, size in provider.asked] == [LARGE]


def test_who_may_call(paths: World, provider: Provider) -> None:
    """A key without `models` may use every path; one with `models` those that it names."""
    cases = [(demo.USER_KEY, "/v1/files", 200), (LISTED, "/v1/files", 200), (LISTED, "/v1/batches/batch_1", 403), (LIMITED, "/v1/files", 403)]
    for key, path, want in cases:
        answer = paths.send(path=path, method="GET", headers=_bearer(key))
        assert answer.status_code == want, (key, path)
        assert want == 200 or answer.json()["error"]["code"] == "path_not_allowed"
    assert paths.send(path="/v1/files", method="GET", headers={}).status_code == 401
    assert len(provider.asked) == 2


def test_limits(paths: World, provider: Provider) -> None:
    got = [paths.send(b"x", path="/v1/files", headers=_bearer(BRIEF)).status_code for _ in range(3)]
    assert got == [200, 200, 429] and len(provider.asked) == 2


@pytest.mark.parametrize("path", ["/v1/files%2f..%2fbatches", "/v1/files/%2e%2e/x", "/v1/files/..%5cx", "/v1/files/%252e%252e/x", "/v1/files/..;/x", "/v1/organization/users", "/v1/thread"])
def test_other_paths(paths: World, provider: Provider, path: str) -> None:
    """Paths that are not configured, or that servers read differently, are unknown."""
    with httpx.Client(trust_env=False) as http:
        request = http.build_request("GET", paths.url, headers=BEARER)
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = http.send(request)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
    assert provider.asked == [] and paths.entries() == []


def test_own_paths_stay(paths: World) -> None:
    assert paths.send(path="/v1/models", method="GET").status_code == 200
    assert paths.chat().status_code == 200


def test_failures_are_not_retried(paths: World, provider: Provider) -> None:
    answer = paths.send(b"{}", path="/v1/threads/broken")
    assert (answer.status_code, answer.json()["error"]["message"], len(provider.asked)) == (503, "down", 1)
    assert paths.send(b"{}", path="/v1/threads/away").status_code in (502, 503)
    assert paths.send(b"{}", path="/v1/threads/empty").status_code == 204


def test_usage(paths: World) -> None:
    """Usage is read from answers that generate something; what is only looked up would count twice."""
    want = [
        ("POST", "/v1/threads/runs", {"input": 20, "output": 4}, "/v1/threads/"),
        ("POST", "/v1/threads/stream", {"input": 7, "output": 2}, "/v1/threads/"),
        ("GET", "/v1/batches/batch_1", {}, "/v1/batches"),
        ("GET", "/v1/files/file-1/content", {}, "/v1/files"),
        ("POST", "/v1/files", {}, "/v1/files"),
    ]
    for method, path, tokens, name in want:
        paths.settle()
        before, requests = paths.counted("llm_tokens_total"), paths.counted("llm_requests_total")
        answer = paths.send(b"{}" if method == "POST" else None, path=path, method=method)
        assert answer.status_code == 200
        if path.endswith("stream"):
            assert answer.content == STREAM
        counts = {("demo-user", name, "files", kind): count for kind, count in tokens.items()}
        eventually(lambda: dict(paths.counted("llm_tokens_total") - before), counts)
        eventually(lambda: dict(paths.counted("llm_requests_total") - requests), {("demo-user", name, "files", "200"): 1})


def test_record(paths: World) -> None:
    paths.settle()
    lines = len(paths.logged())
    paths.send(path="/v1/files/recorded?include=x", method="GET")

    def records() -> list[dict]:
        """Lines of earlier tests may still arrive."""
        found = [line["sluice"] for line in paths.logged(lines)]
        return [record for record in found if record.get("requested_model") == "/v1/files/recorded"]

    eventually(lambda: len(records()), 1)
    record = records()[0]
    assert record.pop("time_to_first_token_ms", 0) < 5000
    assert record == {"key": "demo-user", "model": "/v1/files", "cluster": "files", "attempts": 1, "outcomes": "files=success", "requested_model": "/v1/files/recorded"}


@pytest.mark.parametrize("split", [False, True])
def test_guard(settings: Callable[[], Settings], open_world: OpenWorld, provider: Provider, split: bool) -> None:
    """What a guard could block, mask or restore does not pass unchecked, unless the path says so."""
    patterns = check("pii", api="patterns", action="mask", models=["gpt-4o"], keys=["demo-user"])
    del patterns["cluster"], patterns["timeout"]
    changed = guarded(_with_paths(settings(), provider), [patterns])
    changed.values("router")["paths"][1]["guard"] = "skip"
    if split:
        changed.separate()
    with open_world(changed.text()) as world:
        provider.asked.clear()
        answer = world.send(b"me@example.com", path="/v1/files")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "guard_unchecked")
        assert world.send(path="/v1/files", method="GET").status_code == 403
        assert world.send(path="/v1/batches/batch_1", method="GET").status_code == 200
        assert world.send(path="/v1/files", method="GET", headers=_bearer(demo.ADMIN_KEY)).status_code == 200  # not this key's check
        assert len(provider.asked) == 2
