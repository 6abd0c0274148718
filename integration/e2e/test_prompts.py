"""The prompt library, and the text endpoints over it: through a real Envoy, from a short file as an operator writes it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import openai
import pytest
import yaml

import demo
from child import TOOL, free_port
from gateway import Gateway
from upstream import Upstream, send_chunk, send_end, send_head
from world import BEARER, World, eventually

PARALLEL = 8


class Speaker(Upstream):
    """A model server that answers with the last words of its instructions, and with the user's text. A text can ask for an
    error."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[dict[str, Any]] = []
        self.under_way = self.most = 0
        self.pause = 0.0

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """A chat completion."""
        request = json.loads(body)
        self.requests.append(request)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        text = request["messages"][-1]["content"]
        await asyncio.sleep(self.pause)
        self.under_way -= 1
        if "FAILS" in text:
            error = json.dumps({"error": {"message": "not this one", "type": "invalid_request_error", "param": None, "code": None}})
            await send_head(writer, {"content-type": "application/json"}, "400 Bad Request")
            await send_chunk(writer, error.encode())
        elif request.get("stream"):
            await send_head(writer, {"content-type": "text/event-stream"})
            for word in said(request).split():
                await send_chunk(writer, event({"choices": [{"index": 0, "delta": {"content": word + " "}}]}))
                await asyncio.sleep(0.05)
            usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
            await send_chunk(writer, event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
            if request.get("stream_options", {}).get("include_usage"):
                await send_chunk(writer, event({"choices": [], "usage": usage}))
            await send_chunk(writer, b"data: [DONE]\n\n")
        else:
            message = {"role": "assistant", "content": said(request)}
            usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
            whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage}
            whole["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
            await send_head(writer, {"content-type": "application/json"})
            await send_chunk(writer, json.dumps(whole).encode())
        await send_end(writer)
        return True


def event(data: Any) -> bytes:
    """A server-sent event."""
    return f"data: {json.dumps(data)}\n\n".encode()


def said(request: Mapping[str, Any]) -> str:
    """The answer: a question, in the language of the instructions."""
    system = request["messages"][0]["content"] if len(request["messages"]) > 1 else ""
    language = "Deutsch" if "Material" in system else "English"
    return f"{language}: {request['messages'][-1]['content']} ?"


def sha256(key: str) -> str:
    """The hash of a key in the configuration."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    with Speaker() as server:
        yield server


def short_file(speaker: Speaker, port: int, **further: Any) -> dict[str, Any]:
    """A short file with text endpoints."""
    return {
        "listen": f"127.0.0.1:{port}",
        "admin": "127.0.0.1:0",
        "keys": [
            {"id": "demo", "hash": sha256(demo.USER_KEY), "limits": {"requests_per_day": 100_000, "concurrency": 50}},
            {"id": "admin", "role": "admin", "hash": sha256(demo.ADMIN_KEY)},
        ],
        "upstreams": {"local": {"url": f"http://127.0.0.1:{speaker.address[1]}/v1"}},
        "models": [{"name": "gpt-4o", "targets": ["local"]}],
        "builtin": {"model": "gpt-4o", "parallel": PARALLEL},
        **further,
    }


def rendered(short: Mapping[str, Any], directory: Path) -> str:
    """The output of `sluice render`, for a short file in this directory."""
    file = directory / "sluice.yaml"
    file.write_text(yaml.safe_dump(short, sort_keys=False))
    checked = subprocess.run([TOOL, "check", file], capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return subprocess.run([TOOL, "render", file], capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.fixture(scope="module")
def _library(speaker: Speaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("library")
    prompts = directory / "prompts"
    prompts.mkdir()
    (prompts / "greeting.en.prompt").write_text("Greet {{ name }}.{% if polite %} Be polite.{% endif %}\n")
    (prompts / "greeting.de.prompt").write_text("Begrüße {{ name }}. Nimm das als Material.\n")
    (prompts / "simplify_text.de.prompt").write_text("Eigenes Material.")
    checks = [{"name": "pii", "api": "patterns", "phase": ["request"], "action": "restore"}]
    text = rendered(short_file(speaker, free_port(), checks=checks), directory)
    with Gateway(text, concurrency=2) as gateway:
        yield World(gateway, {})


@pytest.fixture
def library(_library: World, speaker: Speaker) -> World:
    _library.settle()
    speaker.requests.clear()
    speaker.pause, speaker.most = 0.0, 0
    return _library


def ask(world: World, endpoint: str, body: Mapping[str, Any], **options: Any) -> Any:
    """The answer of a text endpoint."""
    answer = world.send(json.dumps(body).encode(), path=f"/builtin/{endpoint}", **options)
    assert answer.status_code == 200, answer.text
    return answer


def counted(world: World, metric: str) -> int:
    """What was counted for the model."""
    return sum(value for labels, value in world.series(metric) if labels.get("model") == "gpt-4o")


MAIL = "Text of alice@example.com"
EXPECTED: dict[str, tuple[dict[str, Any], Callable[[str], Any]]] = {
    "generate_questions": (
        {"texts": [MAIL], "number_of_questions": 2},
        lambda text: [{"text": MAIL, "questions": [text]}],
    ),
    "translate": ({"texts": [MAIL], "target_language": "pl"}, lambda text: [{"original": MAIL, "translated": text}]),
    "simplify_text": ({"texts": [MAIL]}, lambda text: [text]),
    "generate_article_from_text": ({"text": MAIL}, lambda text: {"article_text": text}),
    "create_full_article_from_texts": (
        {"texts": [MAIL], "user_query": "rain", "article_type": "report"},
        lambda text: {"article_text": text},
    ),
    "generative_answer": ({"texts": [MAIL], "question_str": "Who?"}, lambda text: text),
}


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("endpoint", EXPECTED)
def test_every_endpoint(library: World, speaker: Speaker, endpoint: str, language: str) -> None:
    """In two languages, as JSON and as a stream; the guard hides what it hides in chats."""
    body, expected = EXPECTED[endpoint]
    body = {**body, "language": language, "model_name": "gpt-4o", "max_new_tokens": 50}
    text = f"{ {'en': 'English', 'de': 'Deutsch'}[language] }: {MAIL} ?"
    answer = ask(library, endpoint, body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["response"] == expected(text)
    assert answer.json()["generation_time"] >= 0
    streamed = ask(library, endpoint, {**body, "stream": True})
    lines = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    parts = [choice["delta"].get("content") or "" for line in lines[:-1] for choice in json.loads(line)["choices"]]
    assert "".join(parts).strip() == text
    first, second = speaker.requests
    assert first["max_tokens"] == second["max_tokens"] == 50 and second["stream"] is True
    assert "alice" not in json.dumps(speaker.requests)


def test_a_stream_passes_word_by_word(library: World, speaker: Speaker) -> None:
    times = []
    body = json.dumps({"text": "a b c d e f", "stream": True}).encode()
    with library.http.stream("POST", "/builtin/generate_article_from_text", content=body, headers=BEARER) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        times.extend(time.monotonic() for chunk in answer.iter_raw() if chunk)
    assert times[-1] - times[0] > 0.2 and len(times) > 4


@pytest.mark.parametrize("stream", [False, True])
def test_fifty_texts_at_once(library: World, speaker: Speaker, stream: bool) -> None:
    """One fails, and the others have their answers. Each is counted once, and the request itself is not."""
    speaker.pause = 0.05
    texts = [f"Text {number}" for number in range(50)]
    texts[17] += " FAILS"
    before, tokens = counted(library, "llm_requests_total"), counted(library, "llm_tokens_total")
    answer = ask(library, "translate", {"texts": texts, "stream": stream})
    if stream:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
        assert lines[-1] == "[DONE]" and "generation_time" in json.loads(lines[-2])
        events = [json.loads(line) for line in lines[:-2]]
        assert sorted(event["index"] for event in events) == list(range(50))
        items = [event["response"] for event in sorted(events, key=lambda event: event["index"])]
    else:
        items = answer.json()["response"]
    assert [item["original"] for item in items] == texts
    failed = items.pop(17)
    assert failed["error"]["message"] == "not this one" and "translated" not in failed
    del texts[17]
    assert [item["translated"] for item in items] == [f"English: {text} ?" for text in texts]
    assert 2 <= speaker.most <= PARALLEL and len(speaker.requests) == 50
    library.settle()
    eventually(lambda: counted(library, "llm_requests_total") - before, 50)
    eventually(lambda: counted(library, "llm_tokens_total") - tokens, 49 * 15)
    limits = library.send(path="/gateway/limits", method="GET").json()
    assert "requests_per_day" in json.dumps(limits)


def test_a_part_is_the_gateways_own(library: World) -> None:
    """Nobody outside can send one, and no client's header reaches the endpoint."""
    body = json.dumps({"texts": ["a"]}).encode()
    for headers in ({"x-sluice-text": "a.b"}, {**BEARER, "x-sluice-text": "a.b"}):
        answer = library.send(body, path="/builtin/translate", headers=headers)
        assert answer.status_code == 401, answer.text


def test_a_client_that_leaves_ends_its_parts(library: World, speaker: Speaker) -> None:
    speaker.pause = 0.2
    body = json.dumps({"texts": ["a"] * 50}).encode()
    with socket.create_connection(("127.0.0.1", library.gateway.port)) as client:
        head = f"POST /builtin/translate HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {demo.USER_KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        eventually(lambda: len(speaker.requests) >= PARALLEL, True)
    library.settle()
    time.sleep(0.5)
    assert len(speaker.requests) < 30


def test_prompts_in_requests(library: World, speaker: Speaker) -> None:
    """From files beside the short file, in place of messages and before them; by an unmodified SDK."""
    client = openai.OpenAI(base_url=f"{library.url}/v1", api_key=demo.USER_KEY, max_retries=0)
    prompt: dict[str, Any] = {"name": "greeting", "variables": {"name": "Ada", "polite": True}}
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], extra_body={"prompt": prompt}
    )
    assert answer.choices[0].message.content == "English: Hi ?"
    assert speaker.requests[-1]["messages"][0] == {"role": "system", "content": "Greet Ada. Be polite."}
    assert "prompt" not in speaker.requests[-1]
    alone = library.send(json.dumps({"model": "gpt-4o", "prompt": {**prompt, "language": "de"}}).encode())
    assert alone.status_code == 200, alone.text
    assert speaker.requests[-1]["messages"] == [{"role": "user", "content": "Begrüße Ada. Nimm das als Material."}]
    with pytest.raises(openai.BadRequestError, match="prompt.variables"):
        client.chat.completions.create(model="gpt-4o", messages=[], extra_body={"prompt": {"name": "greeting"}})
    unknown = library.send(json.dumps({"model": "gpt-4o", "max_tokens": 5, "prompt": {"name": "x"}}).encode(), path="/v1/messages")
    assert unknown.status_code == 400 and unknown.json()["type"] == "error"


def test_own_prompts_replace_built_in_ones(library: World, speaker: Speaker) -> None:
    ask(library, "simplify_text", {"texts": ["a"], "language": "de"})
    assert speaker.requests[-1]["messages"][0]["content"] == "Eigenes Material."


def test_mistakes(library: World) -> None:
    cases = [
        ("translate", {"texts": []}, "texts"),
        ("translate", {"texts": ["a"], "language": "fr"}, "language"),
        ("translate", {"texts": ["a"] * 101}, "texts"),
        ("generative_answer", {"texts": ["a"]}, "question_str"),
        ("translate", {"texts": ["a"], "model": "unknown"}, None),
    ]
    for endpoint, body, field in cases:
        answer = library.send(json.dumps(body).encode(), path=f"/builtin/{endpoint}")
        assert answer.status_code in (400, 403, 404), answer.text
        assert field is None or answer.json()["error"]["param"] == field
    assert library.send(path="/builtin/translate", method="GET").status_code == 405
    assert library.send(b"{}", path="/builtin/other").status_code == 404


def test_a_mistake_in_a_prompt_names_file_and_line(speaker: Speaker, tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    file = tmp_path / "sluice.yaml"
    file.write_text(yaml.safe_dump(short_file(speaker, 10000)))
    (tmp_path / "prompts" / "bad.en.prompt").write_text("a\n{% if x %}\n")
    done = subprocess.run([TOOL, "check", file], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0 and "bad.en.prompt:2: the `{% if %}`" in done.stderr
