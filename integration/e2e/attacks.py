"""Attacks on the gateway's memory, each beside normal callers, who must not notice them.

The short forms are tests (`test_memory.py`), the long ones are `make soak`. The attackers run in a separate process, so that they
do not slow down the test's normal callers.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import clients
from child import TARGET, Child
from settings import Settings
from slow_server import SlowServer
from world import BEARER, CHAT, MESSAGES, World, chat_body

_LARGE = (8 << 20) - 1024
_SLICE = 256 << 10
_PAUSE = 0.5


@dataclass
class Outcome:
    """The result of an attack: the statuses of its requests (0: none), and the normal callers' calls."""

    attackers: Counter[int] = field(default_factory=Counter)
    # How wrong refusals start: those without a retry time, and those in a shape that no SDK reads.
    unclear: list[str] = field(default_factory=list)
    innocent: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.attackers + other.attackers,
            self.unclear + other.unclear,
            self.innocent + other.innocent,
            max(self.slowest, other.slowest),
            self.failures + other.failures,
        )


@dataclass(frozen=True)
class Attack:
    """The request that each attacker repeats."""

    method: str = "POST"
    path: str = CHAT
    headers: dict[str, str] = field(default_factory=lambda: dict(BEARER))
    body: bytes = b""
    # Whether the attacker reads the answer to its end.
    waits: bool = False


def attacks() -> dict[str, Attack]:
    """All attacks by name."""
    return {
        "chats": Attack(body=chat_body("word " * (_LARGE // 5 - 20), model="slow")),
        "events": Attack(body=chat_body(model="event", stream=True), waits=True),
        "answers": Attack(body=chat_body(model="json"), waits=True),
        "translated": Attack(path=MESSAGES, body=chat_body(model="event", stream=True, max_tokens=9), waits=True),
        "keyless": Attack(method="GET", path="/ping", headers={}, body=b"x" * _LARGE),
        "wrong-key": Attack(headers={"x-api-key": "sk-wrong"}, body=b"x" * _LARGE),
    }


def with_servers(settings: Settings, servers: list[SlowServer]) -> Settings:
    """Adds the attackers' servers, each with a model of the same name, and sends one request of each attack."""
    for server in servers:
        settings.add_cluster(server.name, server.address)
        settings.upstreams[server.name] = {"cluster": server.name}
        settings.models.append({"name": server.name, "targets": [{"upstream": server.name}]})
    return settings


class Raid:
    """A running attack in a separate process."""

    def __init__(self, world: World, name: str, attackers: int, seconds: float):
        self._output = TARGET / "work" / f"attack-{name}-{os.getpid()}.json"
        self._output.unlink(missing_ok=True)
        command = [sys.executable, __file__, name, str(world.gateway.port), str(attackers), str(seconds)]
        self._child = Child(f"attack-{name}", command, self._output.with_suffix(".log"), stdout=self._output)

    def end(self) -> Outcome:
        """The result of the attack when its time is up."""
        output = self._output
        try:
            self._child.wait_until(lambda: output.exists() and output.read_text().endswith("\n"), 60)
        finally:
            self._child.stop()
        told = json.loads(output.read_text())
        return Outcome(Counter({int(status): count for status, count in told["statuses"].items()}), told["unclear"])


def run(world: World, name: str, attackers: int, seconds: float, innocents: int = 20) -> Outcome:
    """Runs an attack for some seconds, beside normal callers."""
    raid = Raid(world, name, attackers, seconds)
    try:
        outcome = innocents_of(world, seconds, innocents)
    finally:
        ended = raid.end()
    return outcome + ended


def innocents_of(world: World, seconds: float, count: int = 20) -> Outcome:
    """Makes normal calls for some seconds, streams and JSON in turns."""
    return asyncio.run(_innocents(world.gateway.port, seconds, count))


async def _innocents(port: int, seconds: float, count: int) -> Outcome:
    outcome = Outcome()
    end = time.monotonic() + seconds

    async def innocent() -> None:
        client = clients.Client(port)
        stream = False
        while time.monotonic() < end:
            stream = not stream
            answer = await client.ask(chat_body(stream=stream))
            outcome.innocent += 1
            outcome.slowest = max(outcome.slowest, answer.seconds)
            if answer.text() is None:
                outcome.failures.append(f"{answer.status_code} after {answer.seconds:.1f} s: {answer.content[:200]!r}")
            await asyncio.sleep(0.2)
        client.leave()

    await asyncio.gather(*(innocent() for _ in range(count)))
    return outcome


class _Attackers:
    """All attackers of one kind."""

    def __init__(self, attack: Attack, port: int, seconds: float):
        self._attack = attack
        self._port = port
        self._end = time.monotonic() + seconds
        self.statuses: Counter[int] = Counter()
        self.unclear: list[str] = []

    async def attack(self) -> None:
        while (left := self._end - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._ask()
            except TimeoutError:
                self.statuses[-1] += 1  # still running at the end
            await asyncio.sleep(_PAUSE)

    async def _ask(self) -> None:
        writer = sending = None
        status = 0
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
            sending = asyncio.create_task(self._send(writer))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            status = int(head.split(" ", 2)[1])
            if self._attack.waits and status == 200:
                while await reader.read(1 << 20):
                    pass
            elif status in (413, 503):
                body = await reader.read(4096)
                clear = b'"message"' in body and (status == 413 or "\r\nretry-after: " in head)
                if not clear:
                    self.unclear.append(head + repr(body[:200]))
        except (OSError, EOFError):
            pass
        finally:
            if sending:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            if writer:
                writer.transport.abort()
        self.statuses[status] += 1

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        how = self._attack
        lines = [f"{how.method} {how.path} HTTP/1.1", "host: gateway", f"content-length: {len(how.body)}"]
        lines += [f"{name}: {value}" for name, value in {"content-type": "application/json", **how.headers}.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for start in range(0, len(how.body), _SLICE):
            writer.write(how.body[start : start + _SLICE])
            await writer.drain()


async def _main(name: str, port: int, count: int, seconds: float) -> None:
    attackers = _Attackers(attacks()[name], port, seconds)
    await asyncio.gather(*(attackers.attack() for _ in range(count)))
    print(json.dumps({"statuses": attackers.statuses, "unclear": attackers.unclear}), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
