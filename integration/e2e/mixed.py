"""All kinds of normal calls, and the expected result of each."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Awaitable, Callable, Iterator, Mapping

import answers
import clients
from gateway import Address
from guarded import guarded
from resilience import NEVER_EJECTED_ALONE
from settings import Settings
from world import chat_body

# Healthy servers, one with long streams, and one that fails.
WELL, SLOW, FAILING, ECHO = ("sea", "lake", "pond"), "slowly", "failing", "echo"
FAULTS = {SLOW: {"chunk_delay_ms": 20, "text": "word " * 200}, FAILING: {"fault": "status", "status": 503}}
PER_MINUTE = 20
# The share of each kind of call.
SHARES = {"json": 4, "stream": 4, "restored": 2, "limited": 1, "left": 2, "retried": 2, "invented": 2}
MODELS = {"json": "open", "stream": "open", "restored": ECHO, "limited": "open", "left": SLOW, "retried": "retried"}
_ORDER = [kind for kind, share in SHARES.items() for _ in range(share)]
_RESTORE = {"name": "pii", "api": "patterns", "phase": ["request"], "action": "restore", "models": [ECHO]}
_PAUSE = 0.1


@dataclass
class Called:
    """A finished call."""

    kind: str
    answer: clients.Answer
    began: float
    ended: float
    # Whether the result is as expected.
    right: bool


@dataclass
class Calls:
    """The results of many calls."""

    made: list[Called] = field(default_factory=list)

    def wrong(self) -> list[str]:
        """The calls with unexpected results."""
        return [
            f"{call.kind}: {call.answer.status_code} after {call.ended - call.began:.1f} s: {call.answer.content[:200]!r}"
            for call in self.made
            if not call.right
        ]

    def kinds(self) -> Counter[str]:
        """The number of calls of each kind."""
        return Counter(call.kind for call in self.made)

    def requests(self) -> Counter[tuple[str, str, str, str]]:
        """The expected counts, by key, model, cluster and status. Invented model names count as one model; refused calls have
        none."""
        counts: Counter[tuple[str, str, str, str]] = Counter()
        for call in self.made:
            status = call.answer.status_code
            served = (MODELS.get(call.kind, ""), call.answer.headers.get("x-sluice-cluster", "")) if status == 200 else ("", "")
            counts[(key_of(call.kind), *served, str(status))] += 1
        return counts

    def too_many(self) -> bool:
        """Whether more calls than the limit were admitted within a minute."""
        passed = sorted((call.began, call.ended) for call in self.made if call.kind == "limited" and call.answer.status_code == 200)
        for number, (began, _) in enumerate(passed):
            # the calls that began later and were certainly admitted soon after
            soon = sorted(ended for _, ended in passed[number : number + 4 * PER_MINUTE])
            if len(soon) > PER_MINUTE and soon[PER_MINUTE] - began < 59:
                return True
        return False


def key_of(kind: str) -> str:
    """The key of a call."""
    return "limited" if kind == "limited" else "honest"


def counted(series: list[tuple[dict[str, str], int]]) -> Counter[tuple[str, str, str, str]]:
    """The gateway's counts, in the same terms."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for labels, value in series:
        if labels["key"] in ("honest", "limited"):
            model = labels["model"] if labels["model"] in MODELS.values() else ""
            served = (model, labels["cluster"]) if labels["status"] == "200" else ("", "")
            counts[(labels["key"], *served, labels["status"])] += value
    return counts


def with_models(settings: Settings, addresses: Mapping[str, Address]) -> Settings:
    """Adds keys, servers, models and the guard."""
    keys = settings.values("auth")["keys"]
    for name, limits in {"honest": {}, "limited": {"limits": {"requests_per_minute": PER_MINUTE}}}.items():
        keys.append({"id": name, "hash": f"sha256:{hashlib.sha256(_key(name).encode()).hexdigest()}", **limits})
    for name, address in addresses.items():
        settings.add_cluster(name, address)
        settings.upstreams[name] = {"cluster": name, "ejection": NEVER_EJECTED_ALONE}
    targets = {"open": WELL, ECHO: (ECHO,), SLOW: (SLOW,), "*": ("pond",)}
    models = [{"name": name, "targets": [{"upstream": each} for each in chosen]} for name, chosen in targets.items()]
    retried = [{"upstream": FAILING, "weight": 1_000_000}, {"upstream": "lake", "weight": 1}]
    settings.models.extend([*models, {"name": "retried", "targets": retried}])
    return guarded(settings, [_RESTORE])


def call(port: int, seconds: float, callers: int, numbers: Iterator[int]) -> Calls:
    """Makes calls for some seconds with this many callers, all kinds in turns."""
    end = time.monotonic() + seconds

    def visits() -> Iterator[Callable[[clients.Client], Awaitable[Called]]]:
        for number in itertools.takewhile(lambda _: time.monotonic() < end, numbers):
            yield partial(_visit, number)

    return Calls(clients.each(port, callers, visits()))


def _key(name: str) -> str:
    return f"sk-soak-{name}"


async def _visit(number: int, client: clients.Client) -> Called:
    kind = _ORDER[number % len(_ORDER)]
    began = time.monotonic()
    text = f"Call {number}: write to ann{number}@example.com."
    model = MODELS.get(kind, f"invented-{number}")
    fields: dict[str, Any] = {"model": model, "stream": kind in ("stream", "left"), "seed": number}
    if kind == "stream":
        fields["stream_options"] = {"include_usage": True}
    body = chat_body(text, **fields)
    headers = {"authorization": f"Bearer {_key(key_of(kind))}"}
    if kind == "left":
        answer = await _leave(client, body, headers, number)
        right = answer.status_code == 200 and bool(answer.content)
    else:
        answer = await client.ask(body, headers=headers)
        right = _is_right(kind, answer, text)
    ended = time.monotonic()
    await asyncio.sleep(_PAUSE)
    return Called(kind, answer, began, ended, right)


async def _leave(client: clients.Client, body: bytes, headers: Mapping[str, str], number: int) -> clients.Answer:
    """Reads a few pieces of a stream, and leaves."""
    answer = clients.Answer()

    async def take() -> None:
        await client.send(body, headers=headers)
        pieces = client.receive(answer)
        for _ in range(1 + number % 4):
            answer.content += await anext(pieces)

    try:
        await asyncio.wait_for(take(), clients.PATIENCE)
    except (OSError, EOFError, StopAsyncIteration, asyncio.TimeoutError):
        pass
    client.leave()
    return answer


def _is_right(kind: str, answer: clients.Answer, text: str) -> bool:
    if kind == "limited" and answer.status_code == 429:
        return answers.openai_error(answer)["code"] == "rate_limit_exceeded"
    said = answer.text()
    if said is None:
        return False
    if kind == "restored":
        return said == text
    return text in said and (kind != "retried" or answer.attempts() == [(FAILING, "server_error"), ("lake", "success")])


def seen_in_clear(bodies: list[bytes]) -> bool:
    """Whether a server has seen a text that the guard hides."""
    return any("@example.com" in json.loads(body)["messages"][0]["content"] for body in bodies)
