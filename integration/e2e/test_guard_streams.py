"""Checked streams: text is shown in windows, and not a character of a blocked window."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Iterator

import anthropic
import httpx
import openai
import pytest

import answers
import demo
from conftest import OpenWorld
from guarded import Fake, Guarded, Way, check, guarded, in_flight, verdicts
from player import Played, Player
from settings import Settings
from world import BEARER, CHAT, chat_body, eventually

WINDOW = 20
# A window waits this long for more text. A busy machine may need a fifth of a second in the middle of a word.
PATIENCE = "1s"
PAUSE = 2.5
GOOD = "All of this is fine. So is this sentence. "
TEXT = GOOD + "But here comes venom for everybody. And more of it."
USAGE = {"prompt_tokens": 7, "completion_tokens": 31, "total_tokens": 38}
MODELS = {"watched": "deny", "lenient": "allow"}


def _chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**head, "choices": [choice], **fields}).encode() + b"\n\n"


def _openai(text: str) -> bytes:
    """One character in each event."""
    spoken = b"".join(_chunk({"content": character}) for character in text)
    last = _chunk({}, "stop") + _chunk({}, usage=USAGE, choices=[])
    return _chunk({"role": "assistant", "content": ""}) + spoken + last + b"data: [DONE]\n\n"


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _anthropic(text: str) -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m"}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 1}}
    deltas = (_event("content_block_delta", index=0, delta={"type": "text_delta", "text": each}) for each in text)
    return b"".join(
        [
            _event("message_start", message=message),
            _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            *deltas,
            _event("content_block_stop", index=0),
            _event(
                "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 31}
            ),
            _event("message_stop"),
        ]
    )


def _pausing() -> Iterable[bytes]:
    """Some text, then a long pause."""
    yield _chunk({"role": "assistant", "content": "short"})
    time.sleep(PAUSE)
    yield _chunk({}, "stop") + b"data: [DONE]\n\n"


def _slow() -> Iterable[bytes]:
    """The end comes later than the text."""
    yield from (_chunk({"content": character}) for character in GOOD)
    time.sleep(PAUSE)
    yield _chunk({}, "stop") + b"data: [DONE]\n\n"


STREAM = "text/event-stream"
WHOLE = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
WHOLE["choices"] = [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}]
ANSWERS = {
    "openai": Played(STREAM, _openai(TEXT)),
    "good": Played(STREAM, _openai(GOOD)),
    "anthropic": Played(STREAM, _anthropic(TEXT)),
    "pausing": Played(STREAM, _pausing),
    "slow": Played(STREAM, _slow),
    "json": Played("application/json", json.dumps(WHOLE).encode()),
}


@dataclass(frozen=True)
class Watched(Guarded):
    def ask(self, answer: str, model: str = "watched", path: str = CHAT, **fields: Any) -> httpx.Response:
        """The client's side of an answer, with a stream read to its end."""
        fields = {"stream": True, "max_tokens": 99, **fields}
        headers = {**BEARER, "x-answer": answer}
        return self.world.send(chat_body(model=model, **fields), path=path, headers=headers)

    def output(self) -> int:
        """The counted output tokens."""
        return sum(value for labels, value in self.world.series("llm_tokens_total") if labels["type"] == "output")


@pytest.fixture(scope="module")
def _watched(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[Watched]:
    with Fake() as fake, Player(ANSWERS) as player:
        changed = settings()
        changed.add_cluster("classifier", fake.address)
        changed.add_cluster("player", player.address)
        changed.upstreams["player"] = {"dialects": ["openai", "anthropic"], "forward_headers": ["x-answer"]}
        checks = []
        for model, policy in MODELS.items():
            changed.add_model(model, "player")
            checks.append(check(f"{model}-check", phase=["response"], on_failure=policy, models=[model]))
        guarded(changed, checks, stream={"characters": WINDOW, "time": PATIENCE})
        with open_world(changed.text()) as world:
            yield Watched(world, fake)


@pytest.fixture
def watched(_watched: Watched) -> Watched:
    _watched.reset()
    return _watched


@pytest.mark.parametrize("usage", [False, True])
@pytest.mark.parametrize("piece", [0, 1, 997])
@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_blocked_text_is_not_shown(watched: Watched, usage: bool, piece: int, delay: float) -> None:
    watched.fake.way = Way(delay=delay)
    before = watched.output()
    options = {"stream_options": {"include_usage": True}} if usage else {}
    response = watched.ask(f"openai/{piece}" if piece else "openai", **options)
    *chunks, done = answers.events(response.content)
    shown = answers.content(response)
    assert done == "[DONE]" and GOOD.startswith(shown)
    assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"]].count("content_filter") == 1
    assert [chunk["usage"] for chunk in chunks if chunk.get("usage")] == ([USAGE] if usage else [])
    # the shown text had been checked
    assert any(shown[-WINDOW:] in text for texts in watched.fake.asked for text in texts)
    eventually(lambda: watched.output() - before, USAGE["completion_tokens"])
    assert response.status_code == 200 and in_flight(watched.world) == 0


def test_windows_are_shown_after_their_check(watched: Watched) -> None:
    """While a later window is being checked, the earlier ones are shown, but not that one."""
    watched.fake.ways = {"So is this": Way(delay=0.35)}
    shown: list[tuple[float, bytes]] = []
    start = time.monotonic()
    headers = {**BEARER, "x-answer": "slow"}
    body = chat_body(model="watched", stream=True)
    with watched.world.http.stream("POST", CHAT, content=body, headers=headers) as answer:
        for piece in answer.iter_raw():
            shown.append((time.monotonic() - start, piece))
    early = b"".join(piece for at, piece in shown if at < 0.25)
    text = "".join(
        choice["delta"].get("content", "") for event in answers.events(early) for choice in event["choices"]
    )
    assert text and "All of this is fine.".startswith(text.strip())
    everything = b"".join(piece for _, piece in shown)
    assert everything.endswith(b"data: [DONE]\n\n")


def test_text_waits_at_most_the_configured_time(watched: Watched) -> None:
    """A model pauses in the middle of a window: the text so far is checked and shown during the pause."""
    start = time.monotonic()
    headers = {**BEARER, "x-answer": "pausing"}
    body = chat_body(model="watched", stream=True)
    with watched.world.http.stream("POST", CHAT, content=body, headers=headers) as answer:
        for piece in answer.iter_raw():
            if b"short" in piece:
                assert time.monotonic() - start < PAUSE - 0.3
                break
        else:
            pytest.fail("the text was not shown")


@pytest.mark.parametrize("model", MODELS)
def test_check_fails_in_mid_stream(watched: Watched, model: str) -> None:
    """With `deny` the stream ends there; with `allow` that window passes, and the next one is checked again."""
    watched.fake.ways = {"fine": Way(status=500)}
    response = watched.ask("good", model)
    assert answers.content(response) == ("" if model == "watched" else GOOD)
    assert (b"content_filter" in response.content) == (model == "watched")


def test_sdks_accept_a_blocked_stream(watched: Watched) -> None:
    url, key = watched.world.url, demo.USER_KEY
    headers = {"x-answer": "openai"}
    messages: list[Any] = [{"role": "user", "content": "Hello"}]
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, default_headers=headers) as client:
        *chunks, last = client.chat.completions.create(
            model="watched", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        assert chunks[-1].choices[0].finish_reason == "content_filter"
        assert GOOD.startswith("".join(chunk.choices[0].delta.content or "" for chunk in chunks))
        assert last.usage and last.usage.completion_tokens == USAGE["completion_tokens"]
        # the SDK reports the refusal
        with pytest.raises(openai.ContentFilterFinishReasonError):
            with client.chat.completions.stream(model="watched", messages=messages) as stream:
                stream.get_final_completion()
    headers = {"x-answer": "anthropic/50"}
    with anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, default_headers=headers) as claude:
        with claude.messages.stream(model="watched", messages=messages, max_tokens=99) as told:
            message = told.get_final_message()
        assert message.stop_reason == "refusal"
        assert GOOD.startswith("".join(block.text for block in message.content if block.type == "text"))


def test_json_instead_of_a_stream(watched: Watched) -> None:
    """A server that does not stream has not answered; none of its text is shown."""
    response = watched.ask("json")
    assert response.status_code == 502 and "venom" not in response.text
    assert answers.openai_error(response)["code"] == "upstream_bad_response"


def test_many_streams_at_once(watched: Watched) -> None:
    """Windows of many streams at the same time, with slow checks: each gets its own verdict."""
    watched.fake.way = Way(delay=0.02)
    before = verdicts(watched.world)
    names = ["openai/301", "good/301", "openai", "good"] * 5
    with ThreadPoolExecutor(10) as threads:
        responses = list(threads.map(watched.ask, names))
    for name, response in zip(names, responses):
        assert ("content_filter" in response.text) == name.startswith("openai")
        assert answers.content(response) == GOOD if name.startswith("good") else "venom" not in response.text
    eventually(lambda: in_flight(watched.world), 0)
    block = ("watched-check", "response", "block")
    eventually(lambda: verdicts(watched.world)[block] - before.get(block, 0), 10)
