"""Forms with files: recordings and images, whose model is a field."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections import Counter
from typing import Any, Callable, Iterator, Mapping

import httpx
import openai
import pytest

import demo
from answers import openai_error
from conftest import OpenWorld
from footprint import footprint
from gateway import MockModels
from guarded import guarded
from settings import FIRST, SECOND, Settings
from world import BEARER, World, eventually, pieces

MIB = 1 << 20
TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
EDITS, VARIATIONS = "/v1/images/edits", "/v1/images/variations"
# Random, with lines that look like parts of a form.
SOUND = os.urandom(300_000) + b'\r\n--\r\nContent-Disposition: form-data; name="model"\r\n\r\nother\r\n--' + os.urandom(50_000)
IMAGE = b"\x89PNG\r\n\x1a\n" + os.urandom(2_000)
# The long form: `SLUICE_UPLOADS=50 SLUICE_UPLOAD_MIB=25`.
UPLOADS, UPLOAD_MIB = int(os.environ.get("SLUICE_UPLOADS", "10")), int(os.environ.get("SLUICE_UPLOAD_MIB", "8"))


def form(*fields: tuple[str, bytes | tuple[str, bytes]], boundary: str = "b0undary", end: bytes = b"\r\n") -> bytes:
    """A form; the value of a file is its name and its content."""
    out = b""
    for name, value in fields:
        filename, content = value if isinstance(value, tuple) else (None, value)
        named = f'; filename="{filename}"' if filename else ""
        head = f'Content-Disposition: form-data; name="{name}"{named}'.encode()
        out += b"--" + boundary.encode() + end + head + end + end + content + end
    return out + b"--" + boundary.encode() + b"--" + end


def post(world: World, body: Any, path: str = TRANSCRIPTIONS, kind: str = "multipart/form-data; boundary=b0undary", key: str = demo.USER_KEY) -> httpx.Response:
    """Sends a form."""
    return world.send(body, path=path, headers={"authorization": f"Bearer {key}", "content-type": kind})


def arrived(world: World) -> tuple[str, dict[str, Any], dict[str, str]]:
    """The only request that arrived: its server, the parts that its journal has, and its headers."""
    name, entry = world.entry()
    parts = {part["name"]: part.get("value", part) for part in entry["body"]["form"]}
    return name, parts, entry["headers"]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def servers() -> Iterator[Mapping[str, MockModels]]:
    """Two servers that take any model."""
    with MockModels("first") as first, MockModels("second") as second:
        yield {"first": first, "second": second}


@pytest.fixture(scope="module")
def changed(settings: Callable[[], Settings], servers: Mapping[str, MockModels]) -> Callable[[], Settings]:
    """The settings with these servers."""

    def made() -> Settings:
        changed = settings()
        for name, server in servers.items():
            changed.add_cluster(name, server.address)
            changed.upstreams[name] = {"dialects": ["openai"], "host": f"{name}.example"}
        for name in ("speech", "whisper-1", "pictures"):
            targets = [{"upstream": "first", "model": f"{name}-long-name", "weight": FIRST}, {"upstream": "second", "model": name, "weight": SECOND}]
            changed.models.append({"name": name, "aliases": [f"my-{name}"], "price": {"input": 1, "output": 2, "image": 0.5}, "targets": targets})
        changed.upstreams["claude"] = {**changed.upstreams.pop("mock-c"), "dialects": ["anthropic"], "cluster": "mock-c"}
        for model in changed.models:
            for target in model["targets"]:
                target["upstream"] = "claude" if target["upstream"] == "mock-c" else target["upstream"]
        changed.models.append({"name": "claude", "targets": [{"upstream": "claude"}]})
        changed.values("auth")["keys"].append({"id": "few", "hash": f"sha256:{sha256(b'sk-few')}", "models": ["speech"]})
        changed.values("auth")["keys"].append({"id": "logged", "hash": f"sha256:{sha256(b'sk-logged')}"})
        return changed

    return made


@pytest.fixture(scope="module")
def _uploads(changed: Callable[[], Settings], open_world: OpenWorld, servers: Mapping[str, MockModels]) -> Iterator[World]:
    with open_world(changed().text(), servers) as world:
        yield world


@pytest.fixture
def uploads(_uploads: World) -> World:
    _uploads.reset()
    return _uploads


@pytest.fixture
def client(uploads: World) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{uploads.url}/v1", api_key=demo.USER_KEY, max_retries=0, timeout=20) as client:
        yield client


def test_openai_sdk(uploads: World, client: openai.OpenAI) -> None:
    """The model is renamed by its alias, and the file arrives byte for byte."""
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("speech", lambda: client.audio.transcriptions.create(model="my-speech", file=("a.wav", SOUND), prompt="Names: Ann")),
        ("whisper-1", lambda: client.audio.translations.create(model="my-whisper-1", file=("a.wav", SOUND))),
        ("pictures", lambda: client.images.edit(model="my-pictures", image=("a.png", SOUND), prompt="A hat", n=2)),
        ("pictures", lambda: client.images.create_variation(model="my-pictures", image=("a.png", SOUND), n=2)),
    ]
    for model, call in calls:
        uploads.heal()
        answer = call()
        name, parts, headers = arrived(uploads)
        assert (name, parts["model"]) == ("first", f"{model}-long-name")
        file = parts.get("file") or parts["image"]
        assert (file["sha256"], file["size"]) == (sha256(SOUND), len(SOUND))
        assert headers["host"] == "first.example" and demo.USER_KEY not in str(headers)
        if model == "pictures":
            assert len(answer.data) == 2 and len(answer.data[0].b64_json) > len(SOUND)
        else:
            assert answer.text.startswith("Hello from first")


@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
@pytest.mark.parametrize("length", [True, False], ids=["length", "chunked"])
@pytest.mark.parametrize("late", [True, False], ids=["after", "before"])
def test_the_rest_of_the_form_is_untouched(uploads: World, end: bytes, length: bool, late: bool) -> None:
    """The model before or after the file, other line ends, a text before the form and one after it."""
    model, file = ("model", b"speech"), ("file", ("a.wav", SOUND.replace(b"\n", b" ") if end == b"\n" else SOUND))
    fields = [("language", b"en"), file, model] if late else [model, file, ("language", b"en")]
    body = b"A form." + end + form(*fields, end=end) + b"The end."
    answer = post(uploads, body if length else pieces(body), kind='multipart/form-data; charset=utf-8; boundary="b0undary"')
    want = b"A form." + end + form(*[(name, b"speech-long-name" if name == "model" else value) for name, value in fields], end=end) + b"The end."
    (entry,) = uploads.models["first"].requests()
    assert int(entry["headers"]["content-length"]) == len(want)
    # the mock is strict, and takes no text before a form
    assert answer.status_code == 400 and entry["body"] == want.decode(errors="replace")


def test_another_target_after_a_failure(uploads: World) -> None:
    uploads.fault({"fault": "status", "status": 503}, "first")
    answer = post(uploads, form(("file", ("a.wav", SOUND)), ("model", b"my-speech")))
    assert answer.json()["text"].startswith("Hello from second")
    journals = uploads.journals()
    for name, model in (("first", "speech-long-name"), ("second", "speech")):
        (entry,) = journals[name]
        file, field = entry["body"]["form"]
        assert (field["value"], file["sha256"]) == (model, sha256(SOUND))
        assert int(entry["headers"]["content-length"]) == len(form(("file", ("a.wav", SOUND)), ("model", model.encode())))


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ([("file", ("a.wav", SOUND))], 400, "model"),
        ([("model", b"")], 400, "model"),
        ([("model", b"speech"), ("model", b"speech")], 400, "model"),
        ([("model", ("a.txt", b"speech"))], 400, "model"),
        ([("Model", b"speech"), ("model", b"speech")], 400, "model"),
        ([("model", b"speech"), ("stream", b"maybe")], 400, "stream"),
        ([("model", b"speech"), ("n", b"1000")], 400, "n"),
        ([("model", b"nobody")], 404, "model"),
        ([("model", b"claude")], 404, "model"),
    ],
)
def test_bad_fields(uploads: World, fields: list[tuple[str, Any]], status: int, param: str) -> None:
    answer = post(uploads, form(*fields))
    assert (answer.status_code, openai_error(answer)["param"]) == (status, param)
    assert uploads.entries() == []


def test_bad_forms(uploads: World) -> None:
    good = form(("model", b"speech"))
    for kind, body in [
        ("multipart/form-data", good),
        ("multipart/form-data; boundary=" + "b" * 71, good),
        ("multipart/form-data; boundary=b0undary", good[:-4]),
        ("multipart/form-data; boundary=b0undary", b""),
        ("multipart/form-data; boundary=b0undary", good.replace(b"\r\n\r\n", b"\r\n\n")),
        ("multipart/form-data; boundary=b0undary", form(("file", ("a", b"a\r\n--b0undaryx\r\n")), ("model", b"speech"))),
        ("multipart/form-data; boundary=b0undary", good + b"--b0undary\r\n"),
    ]:
        answer = post(uploads, body, kind=kind)
        assert (answer.status_code, openai_error(answer)["code"]) == (400, "invalid_multipart")
    answer = post(uploads, b"{}", kind="application/json")
    assert (answer.status_code, openai_error(answer)["code"]) == (400, "invalid_content_type")
    assert uploads.send(path=TRANSCRIPTIONS, method="GET").status_code == 405
    assert uploads.entries() == []


def test_keys_and_their_models(uploads: World) -> None:
    assert post(uploads, form(("model", b"speech"), ("file", ("a", SOUND))), key="sk-few").status_code == 200
    answer = post(uploads, form(("model", b"pictures"), ("image", ("a", SOUND))), EDITS, key="sk-few")
    assert (answer.status_code, openai_error(answer)["code"]) == (403, "model_not_allowed")
    assert post(uploads, form(("model", b"speech")), key="sk-nobody").status_code == 401


@pytest.mark.parametrize("length", [True, False], ids=["length", "chunked"])
def test_too_large(uploads: World, length: bool) -> None:
    body = form(("file", ("a.wav", bytes(25 * MIB))), ("model", b"speech"))
    answer = post(uploads, body if length else pieces(body))
    assert (answer.status_code, openai_error(answer)["code"]) == (413, "request_too_large")
    assert "26214400 bytes" in openai_error(answer)["message"]
    fits = form(("file", ("a.wav", bytes(25 * MIB - 400))), ("model", b"speech"))
    assert post(uploads, fits if length else pieces(fits)).status_code == 200


def test_answers_in_other_formats(uploads: World, client: openai.OpenAI) -> None:
    for kind, want in [("text", "Hello"), ("srt", "1\n00:00:00,000 --> "), ("vtt", "WEBVTT\n\n00:00.000 --> ")]:
        answer = client.audio.transcriptions.create(model="speech", file=("a.wav", SOUND), response_format=kind)  # type: ignore[call-overload]
        assert answer.startswith(want) and "Hello from first" in answer
    assert client.audio.transcriptions.create(model="speech", file=("a.wav", SOUND), response_format="verbose_json").text


def test_streams(uploads: World, client: openai.OpenAI) -> None:
    events = list(client.audio.transcriptions.create(model="speech", file=("a.wav", SOUND), stream=True))
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) > 3 and events[-1].type == "transcript.text.done" and "".join(deltas) == events[-1].text
    images = list(client.images.edit(model="pictures", image=("a.png", SOUND), prompt="A hat", stream=True))
    assert [event.type for event in images] == ["image_edit.partial_image", "image_edit.completed"]
    # this model ignores `stream`
    answer = post(uploads, form(("model", b"whisper-1"), ("stream", b"true"), ("file", ("a", SOUND))))
    assert answer.json()["text"].startswith("Hello from first")
    uploads.models["first"].fault({"fault": "empty_stream"})
    events = list(client.audio.transcriptions.create(model="speech", file=("a.wav", SOUND), stream=True))
    assert events[-1].text.startswith("Hello from second")


def test_a_stream_that_is_cut_ends_with_an_error(uploads: World, client: openai.OpenAI) -> None:
    uploads.fault({"fault": "truncate_stream"}, "first", "second")
    post(uploads, form(("model", b"pictures"), ("prompt", b"a"), ("stream", b"true"), ("image", ("a", SOUND))), EDITS)
    answer = post(uploads, form(("model", b"speech"), ("stream", b"true"), ("file", ("a", SOUND))))
    assert answer.status_code == 200


def test_usage_and_log(uploads: World) -> None:
    """Tokens as reported; where none are, an estimate that says so."""
    seconds = -(-len(SOUND) // 16_000)

    def logged() -> list[dict[str, Any]]:
        return [line for line in uploads.logged() if line.get("sluice", {}).get("key") == "logged"]

    for model, path, fields, source in [
        ("speech", TRANSCRIPTIONS, [], "reported"),
        ("speech", TRANSCRIPTIONS, [("stream", b"true")], "reported"),
        ("speech", TRANSCRIPTIONS, [("response_format", b"text")], "partial"),
        ("whisper-1", TRANSCRIPTIONS, [], "estimated"),
        ("pictures", EDITS, [("n", b"3")], "reported"),
        ("pictures", EDITS, [("stream", b"true")], "reported"),
    ]:
        uploads.settle()
        before, lines = uploads.counted("llm_tokens_total"), len(logged())
        name = "image" if path == EDITS else "file"
        assert post(uploads, form((name, ("a", SOUND)), ("model", model.encode()), *fields), path, key="sk-logged").status_code == 200
        eventually(lambda: len(logged()), lines + 1)
        line = logged()[-1]["sluice"]
        assert (line["model"], line["cluster"], line["source"]) == (model, "first", source)
        if source == "reported":
            usage = uploads.models["first"].requests()[-1]["usage"]
            assert (line["input_tokens"], line["output_tokens"]) == (usage["input_tokens"], usage["output_tokens"])
            assert model != "speech" or usage["input_token_details"]["audio_tokens"] == seconds * 10
            kind = ("logged", model, "first", "input")
            eventually(lambda: (uploads.counted("llm_tokens_total") - before)[kind], usage["input_tokens"])


def test_the_guard_checks_the_texts(changed: Callable[[], Settings], open_world: OpenWorld, servers: Mapping[str, MockModels]) -> None:
    checks = [
        {"name": "secrets", "api": "patterns", "phase": ["request"], "entities": ["CREDIT_CARD"], "action": "block"},
        {"name": "personal", "api": "patterns", "phase": ["request"], "entities": ["EMAIL_ADDRESS"], "action": "restore"},
    ]
    with open_world(guarded(changed(), checks).text(), servers) as world:
        answer = post(world, form(("model", b"pictures"), ("prompt", b"Draw 4111 1111 1111 1111"), ("image", ("a", IMAGE))), EDITS)
        assert (answer.status_code, openai_error(answer)["param"]) == (400, "prompt")
        assert world.entries() == []
        # the file is not a text
        assert post(world, form(("file", ("a", b"4111 1111 1111 1111")), ("model", b"speech"))).status_code == 200
        world.heal()
        fields = [("prompt", b"Names: jo@example.com"), ("file", ("a.wav", SOUND)), ("model", b"my-speech")]
        answer = post(world, form(*fields))
        _, parts, headers = arrived(world)
        assert parts["prompt"] == "Names: <EMAIL_ADDRESS_1>" and parts["file"]["sha256"] == sha256(SOUND)
        assert parts["model"] == "speech-long-name"
        # the answer repeats the prompt
        assert answer.json()["text"].endswith("Names: jo@example.com")
        streamed = post(world, form(*fields, ("stream", b"true"))).text
        events = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: ")]
        said = "".join(event["delta"] for event in events if event["type"] == "transcript.text.delta")
        assert said.endswith("Names: jo@example.com") and events[-1]["text"] == said
        long = form(("model", b"speech"), ("notes", b"x" * 300_000), ("file", ("a", SOUND)))
        assert (post(world, long).status_code, openai_error(post(world, long))["code"]) == (400, "guard_unchecked")


def test_many_uploads_at_once(changed: Callable[[], Settings], open_world: OpenWorld, servers: Mapping[str, MockModels]) -> None:
    """No file is ever in a worker's memory: what the filters use does not grow with the uploads."""
    body = form(("file", ("a.wav", bytes(UPLOAD_MIB * MIB - 4096))), ("model", b"my-speech"))
    with open_world(changed().text(), servers, own=True) as world:
        before = footprint(world.gateway)
        statuses: Counter[int] = Counter()

        def send() -> None:
            answer = httpx.post(world.url + TRANSCRIPTIONS, content=body, headers={**BEARER, "content-type": "multipart/form-data; boundary=b0undary"}, timeout=300, trust_env=False)
            statuses[answer.status_code] += 1

        clients = [threading.Thread(target=send) for _ in range(UPLOADS)]
        for client in clients:
            client.start()
        most = before
        while any(client.is_alive() for client in clients):
            now = footprint(world.gateway)
            most = max(most, now, key=lambda seen: seen.wasm)
            time.sleep(0.2)
        assert set(statuses) <= {200, 503} and statuses[200] >= UPLOADS // 2, statuses
        after = footprint(world.gateway)
        print(f"{UPLOADS} uploads of {UPLOAD_MIB} MiB: {dict(statuses)}; MiB before, at most, after: Envoy {before.envoy // MIB}, "
              f"{most.envoy // MIB}, {after.envoy // MIB}; filters {before.wasm // MIB}, {most.wasm // MIB}, {after.wasm // MIB}")
        assert most.wasm - before.wasm < 6 * MIB
        assert world.chat().status_code == 200
