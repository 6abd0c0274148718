"""Every text that the providers' SDKs can send or read is checked, or the guard's table of fields excludes it."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Mapping

import anthropic.types as anthropic_types
import ollama._types as ollama_types
import openai.types as openai_types
import pytest
from anthropic.types import beta as anthropic_beta
from google.genai import types as gemini
from openai.types import chat, completion_create_params, embedding_create_params, image_generate_params, moderation_create_params, responses
from openai.types.audio import speech_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params

from child import ROOT
from conftest import OpenWorld
from guarded import guarded
from schemas import Sampler
from settings import Settings
from upstream import Upstream
from world import BEARER, World

TABLE = ROOT / "src/guard/texts/fields.rs"
MASK = {"name": "pii", "api": "patterns", "phase": ["request", "response"], "action": "mask", "unrewritable": "allow"}
NOT_READ = {"Signed", "Credential", "Count"}
# Fields that only the SDKs use, and never send to a provider.
NOT_SENT = {"httpOptions", "sdkHttpResponse", "automaticFunctionCalling", "automaticFunctionCallingHistory", "parsed"}
# Fields that the gateway reads itself, and those that would make an answer count as failed.
OWN = ("model", "stream", "stream_options", "n", "previous_response_id", "error", "background", "conversation")
# Gemini's fields besides `generationConfig`.
BESIDE = ("systemInstruction", "tools", "toolConfig", "safetySettings", "cachedContent", "labels", "contents")
# The parts of the request that OpenAI Responses' answers repeat.
GIVEN = ("instructions", "metadata", "prompt", "prompt_cache_key", "reasoning", "safety_identifier", "text", "tool_choice", "tools", "user")
# The required parts of an answer.
MAIN = ("choices", "output", "content", "candidates", "message", "response", "type", "object", "role")
GEMINI = "/v1beta/models/it:generateContent"
REQUESTS: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", chat_create_params.CompletionCreateParamsNonStreaming),
    "completions": ("/v1/completions", completion_create_params.CompletionCreateParamsNonStreaming),
    "responses": ("/v1/responses", response_create_params.ResponseCreateParamsNonStreaming),
    "embeddings": ("/v1/embeddings", embedding_create_params.EmbeddingCreateParams),
    "moderations": ("/v1/moderations", moderation_create_params.ModerationCreateParams),
    "images": ("/v1/images/generations", image_generate_params.ImageGenerateParamsNonStreaming),
    "speech": ("/v1/audio/speech", speech_create_params.SpeechCreateParams),
    "messages": ("/v1/messages", anthropic_types.message_create_params.MessageCreateParamsNonStreaming),
    "messages (beta)": ("/v1/messages", anthropic_beta.message_create_params.MessageCreateParamsNonStreaming),
    "count_tokens": ("/v1/messages/count_tokens", anthropic_types.MessageCountTokensParams),
    "gemini": (GEMINI, gemini._GenerateContentParameters),
    "ollama chat": ("/api/chat", ollama_types.ChatRequest),
    "ollama generate": ("/api/generate", ollama_types.GenerateRequest),
    "ollama embed": ("/api/embed", ollama_types.EmbedRequest),
}
ANSWERS: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", chat.ChatCompletion),
    "completions": ("/v1/completions", openai_types.Completion),
    "responses": ("/v1/responses", responses.Response),
    "messages": ("/v1/messages", anthropic_types.Message),
    "messages (beta)": ("/v1/messages", anthropic_beta.BetaMessage),
    "gemini": (GEMINI, gemini.GenerateContentResponse),
    "ollama chat": ("/api/chat", ollama_types.ChatResponse),
    "ollama generate": ("/api/generate", ollama_types.GenerateResponse),
}
STREAMS: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", chat.ChatCompletionChunk),
    "responses": ("/v1/responses", responses.ResponseStreamEvent),
    "messages": ("/v1/messages", anthropic_types.RawMessageStreamEvent),
    "messages (beta)": ("/v1/messages", anthropic_beta.BetaRawMessageStreamEvent),
    "gemini": (GEMINI.replace("generateContent", "streamGenerateContent?alt=sse"), gemini.GenerateContentResponse),
}


def _fold(name: str) -> str:
    return name.replace("_", "").lower()


def _table() -> dict[str, str]:
    """The guard's own table: what each field name holds."""
    text = TABLE.read_text().partition("pub const FIELDS")[2].partition("];")[0].replace("\\\n", "")
    return {name: kind for kind, names in re.findall(r'Field::(\w+),\s*"([^"]*)"', text) for name in names.split()}


FIELDS = _table()


class Provider(Upstream):
    """Keeps the last body, and sends the given answer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = b""
        self.reply: bytes | list[bytes] = b"{}"

    async def answer(self, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """The given answer."""
        self.body = body
        kind = "application/json" if isinstance(self.reply, bytes) else "text/event-stream"
        reply = self.reply if isinstance(self.reply, bytes) else b"".join(self.reply)
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(reply)}\r\n\r\n".encode() + reply)
        await writer.drain()
        return True


@dataclass
class Sample:
    """The sample's body, and the paths of its texts."""

    value: Any
    paths: dict[int, tuple[str, ...]] = field(default_factory=dict)


def _sampled(kind: Any) -> tuple[list[Any], Sampler]:
    sampler = Sampler()
    samples = sampler.samples(kind)
    paths = [path for path in [*sampler.texts, *sampler.words] if path and not NOT_SENT & set(path)]
    unknown = {path for path in paths if _fold(path[-1]) not in FIELDS}
    assert not unknown, f"src/guard/texts/fields.rs does not know these fields of an SDK: {sorted('.'.join(path) for path in unknown)}"
    return [_without(sample) for sample in samples], sampler


def _without(value: Any) -> Any:
    """A sample as it is sent: signatures are empty, so nothing counts as signed."""
    if isinstance(value, list):
        return [_without(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: each for name, each in value.items() if name not in NOT_SENT}
    return {name: "" if name == "signature" else _without(each) for name, each in kept.items()}


def _merged(samples: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each sample without the gateway's own fields."""
    for sample in samples:
        yield {name: value for name, value in sample.items() if name not in OWN}


def _is_read(path: tuple[str, ...]) -> bool:
    return not any(FIELDS.get(_fold(name)) in NOT_READ for name in path)


def _unread(shown: bytes, sent: str, sampler: Sampler, signed: set[int] = frozenset()) -> list[str]:
    """The texts that passed and should not have, or the other way round."""
    numbers = lambda text: {int(number) for number in re.findall(r"\bp(\d+)@example\.com", text)}
    was_sent, passed = numbers(sent), numbers(shown.decode())
    wrong = {n for n in was_sent if (n in passed) == _is_read(sampler.texts[n]) and n not in signed}
    return sorted(".".join(sampler.texts[number]) for number in wrong)


def _signed(value: Any) -> set[int]:
    """The texts in signed blocks."""
    if isinstance(value, list):
        return set().union(*map(_signed, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    if str(value.get("type")).startswith(("thinking", "redacted_thinking")):
        return {int(number) for number in re.findall(r"\bp(\d+)@", json.dumps(value))}
    return _signed(list(value.values()))


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider  # type: ignore[misc]


@pytest.fixture(scope="module")
def masked(settings: Callable[[], Settings], open_world: OpenWorld, provider: Provider) -> Iterator[World]:
    changed = settings()
    changed.add_cluster("provider", provider.address)
    changed.upstreams["provider"] = {"dialects": ["openai", "anthropic", "gemini", "ollama"]}
    changed.models.append({"name": "it", "targets": [{"upstream": "provider"}]})
    guarded(changed, [MASK])
    with open_world(changed.text()) as world:
        yield world


def _body(path: str, sample: dict[str, Any]) -> dict[str, Any]:
    if path != GEMINI:
        return {**sample, "model": "it"}
    config = sample.pop("config", {})
    beside = {name: config.pop(name) for name in BESIDE if name in config}
    return {**sample, **beside, "generationConfig": config}


@pytest.mark.parametrize("name", REQUESTS)
def test_requests(masked: World, provider: Provider, name: str) -> None:
    path, kind = REQUESTS[name]
    samples, sampler = _sampled(kind)
    provider.reply = b"{}"
    for sample in _merged(samples):
        body = json.dumps(_body(path, sample))
        masked.send(body.encode(), path=path, headers=BEARER)
        assert json.loads(provider.body).keys() == json.loads(body).keys()
        assert _unread(provider.body, body, sampler, _signed(sample)) == []


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(masked: World, provider: Provider, name: str) -> None:
    path, kind = ANSWERS[name]
    samples, sampler = _sampled(kind)
    first = {name: value for name, value in samples[0].items() if name in MAIN}
    for sample in _merged(samples):
        reply = json.dumps({**first, **sample, "status": "completed", "done": True})
        provider.reply = reply.encode()
        answer = masked.send(json.dumps({"model": "it", "stream": False}).encode(), path=path, headers=BEARER)
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == json.loads(reply).keys()
        given = {n for n, at in enumerate(sampler.texts) if at[0] in GIVEN}
        assert _unread(answer.content, reply, sampler, given | _signed({**first, **sample})) == []


@pytest.mark.parametrize("name", STREAMS)
def test_streams(masked: World, provider: Provider, name: str) -> None:
    path, kind = STREAMS[name]
    samples, sampler = _sampled(kind)
    ends = ("response.failed", "error")
    events = [each for each in _merged(samples) if each.get("type") not in ends]
    for event in events:
        event.get("response", {}).pop("error", None) if isinstance(event.get("response"), dict) else None
    sent = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    provider.reply = sent
    answer = masked.send(json.dumps({"model": "it", "stream": True}).encode(), path=path, headers=BEARER)
    assert answer.status_code == 200, answer.text
    given = {n for n, at in enumerate(sampler.texts) if name == "responses" and at[0] == "response" and at[1:2] and at[1] in GIVEN}
    skipped = {int(number) for event in events if str(event.get("type")) in SOUND for number in re.findall(r"\bp(\d+)@", str(event.get("delta")))}
    assert _unread(answer.content, b"".join(sent).decode(), sampler, given | skipped | _signed(events)) == []


# Events whose `delta` is Base64.
SOUND = ("response.audio.delta",)
