"""Users with passwords: checks do not delay other requests, are remembered, and are throttled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import statistics
import time
from typing import Any, Callable, Iterable, Iterator

import httpx
import pytest

import clients
from answers import content, openai_error
from callers import Watch, basic, call, identify, see_variables, user_entry, watched
from clients import Client
from conftest import OpenWorld
from settings import Settings
from world import CHAT, World, chat_body, eventually, pieces

SLOW = 600_000
PASSWORDS = {
    "alice": "open sesame 9f2c",
    "bea": "näher: 5d 11",
    "guessed": "not-that-one-31",
    "guessed-elsewhere": "not-that-one-32",
    "next-to-it": "not-that-one-33",
    "root": "admin of 7e4b",
}
WRONG = "wrong-password-c0de"
LARGE = 3 << 20


@pytest.fixture(scope="module")
def _users(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[tuple[World, Watch]]:
    changed = settings()
    see_variables(changed)
    changed.values("auth")["users"] = [
        user_entry("alice", PASSWORDS["alice"], SLOW),
        user_entry("bea", PASSWORDS["bea"], 1000, models=["gpt-*"], labels={"team": "x"}),
        user_entry("guessed", PASSWORDS["guessed"], 1000),
        user_entry("root", PASSWORDS["root"], 1000, role="admin"),
        user_entry("guessed-elsewhere", PASSWORDS["guessed-elsewhere"], 1000),
        user_entry("next-to-it", PASSWORDS["next-to-it"], 1000),
        *(user_entry(f"slow-{number}", PASSWORDS["alice"], SLOW) for number in range(12)),
    ]
    encoded = [basic(name, password)["authorization"].removeprefix("Basic ") for name, password in PASSWORDS.items()]
    with watched(open_world, changed, [*PASSWORDS.values(), WRONG, *encoded]) as both:
        yield both


@pytest.fixture
def users(_users: tuple[World, Watch]) -> World:
    _users[0].reset()
    return _users[0]


def _slow(number: int) -> dict[str, str]:
    """A user whose password no earlier test has sent, because the first check takes long."""
    return basic(f"slow-{number}", PASSWORDS["alice"])


def _one(world: World, visit: Callable[[Client], Any]) -> Any:
    """The results of one client's visit: one connection, so one worker."""
    (result,) = clients.each(world.gateway.port, 1, [visit])
    return result


def test_right_and_wrong_passwords(users: World) -> None:
    assert identify(users, basic("bea", PASSWORDS["bea"]))[1]["labels"] == {"team": "x"}
    assert identify(users, basic("root", PASSWORDS["root"]))[1]["role"] == "admin"
    assert call(users, "GET", "/gateway/keys", basic("root", PASSWORDS["root"])).status_code == 200
    assert call(users, "GET", "/gateway/keys", basic("bea", PASSWORDS["bea"])).status_code == 403
    for headers in (basic("bea", WRONG), basic("nobody", PASSWORDS["bea"]), basic("", ""), {"authorization": "Basic !"}):
        answer = users.send(chat_body(), headers=headers)
        assert (answer.status_code, openai_error(answer)["code"]) == (401, "invalid_api_key")
    refused = users.send(chat_body(model="text-embedding-3-small"), headers=basic("bea", PASSWORDS["bea"]))
    assert (refused.status_code, openai_error(refused)["code"]) == (403, "model_not_allowed")
    assert users.entries() == []
    answer = users.send(chat_body(), headers=basic("bea", PASSWORDS["bea"]))
    assert answer.status_code == 200
    name, entry = users.entry()
    assert entry["headers"]["authorization"] == f"Bearer {name}-secret"
    eventually(lambda: users.counted("llm_requests_total")[("bea", "gpt-4o", name, "200")], 1)


def test_right_password_is_remembered(users: World) -> None:
    """The first request waits for the check; later ones do not."""

    async def visit(client: Client) -> list[clients.Answer]:
        return [await client.ask(chat_body(), headers=basic("alice", PASSWORDS["alice"])) for _ in range(20)]

    first, *others = _one(users, visit)
    assert {answer.status_code for answer in [first, *others]} == {200}
    later = statistics.median(answer.seconds for answer in others)
    print(f"first request {first.seconds * 1e3:.0f} ms, later ones {later * 1e3:.1f} ms")
    assert 0.1 < first.seconds < 8 and later < 0.05


def test_checks_do_not_delay_others(users: World) -> None:
    """Requests with keys, on both workers, while passwords are checked one after another."""

    async def measure(client: Client, until: Callable[[], bool]) -> list[float]:
        return [(await client.ask(chat_body())).seconds for _ in iter(until, True)]

    async def story() -> tuple[list[float], list[float], list[clients.Answer]]:
        others = [Client(users.gateway.port) for _ in range(6)]
        end = time.monotonic() + 1.5
        quiet = await asyncio.gather(*(measure(each, lambda: time.monotonic() > end) for each in others))
        slow = [Client(users.gateway.port) for _ in range(2)]
        checks = asyncio.gather(*(each.ask(chat_body(), headers=_slow(number)) for number, each in enumerate(slow)))
        busy = await asyncio.gather(*(measure(each, checks.done) for each in others))
        for each in others + slow:
            each.leave()
        return sum(quiet, []), sum(busy, []), await checks

    quiet, busy, checked = asyncio.run(story())
    before, during = (statistics.quantiles(each, n=100)[98] * 1e3 for each in (quiet, busy))
    waited = max(answer.seconds for answer in checked)
    print(f"p99 of others: {before:.1f} ms, during 2 checks {during:.1f} ms ({len(busy)} requests); checks took {waited:.1f} s")
    assert {answer.status_code for answer in checked} == {200}
    assert during - before < 50


def test_throttled(users: World) -> None:
    """Five guesses at a worker, then 429. The user's own password has to wait as well, other users do not."""

    with httpx.Client(base_url=users.url, trust_env=False) as client:  # one connection, so one worker

        def ask(name: str, password: str) -> httpx.Response:
            return client.get("/gateway/whoami", headers=basic(name, password))

        answers = [ask("guessed", f"{WRONG}-{number}") for number in range(7)]
        answers += [ask("guessed", PASSWORDS["guessed"]), ask("bea", PASSWORDS["bea"])]
        time.sleep(1.1)
        answers.append(ask("guessed", PASSWORDS["guessed"]))
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3 + [200] * 2
    for answer in answers[5:8]:
        assert answer.headers["retry-after"] == "1" and openai_error(answer)["code"] == "rate_limit_exceeded"


def test_bodies_before_and_after_the_check(users: World) -> None:
    """The body may arrive before the check, in pieces during it, or after it."""
    body = chat_body("word " * 20)

    async def late(client: Client, headers: dict[str, str], pause: float) -> clients.Answer:
        answer = clients.Answer()
        await client.send(body, headers=headers, share=0.5)
        await asyncio.sleep(pause)
        client._writer.write(body[len(body) // 2 :])
        async for piece in client.receive(answer):
            answer.content += piece
        answer.complete = True
        return answer

    visits = [
        lambda client: client.ask(body, headers=_slow(4)),
        lambda client: late(client, _slow(5), 0.2),
        lambda client: late(client, basic("alice", PASSWORDS["alice"]), 3.0),
        lambda client: late(client, basic("bea", PASSWORDS["bea"]), 0.3),
    ]
    answers = clients.each(users.gateway.port, 4, visits)
    assert [answer.status_code for answer in answers] == [200] * 4
    assert all("You said" in answer.text() for answer in answers)
    assert all(entry["body"] == {**json.loads(body), "model": entry["body"]["model"]} for _, entry in users.entries())


def test_large_bodies(users: World) -> None:
    """With a length and without, the whole body reaches the server; one that is too large is refused."""
    text = "x" * LARGE
    for headers, sent in [(_slow(7), chat_body(text)), (_slow(8), pieces(chat_body(text)))]:
        answer = users.send(sent, headers=headers)
        assert answer.status_code == 200 and content(answer)
    assert {len(entry["body"]["messages"][0]["content"]) for _, entry in users.entries()} == {LARGE}
    answer = users.send(chat_body("x" * (8 << 20)), headers=basic("alice", WRONG))
    assert answer.status_code == 413


def test_stream_after_a_check(users: World) -> None:
    answer = users.send(chat_body(stream=True), headers=_slow(9))
    assert answer.status_code == 200 and content(answer).endswith("You said: Hello")


def test_without_a_body(users: World) -> None:
    """A GET, whose headers are all there is."""
    assert identify(users, _slow(10))[1]["id"] == "slow-10"


def test_client_leaves_during_the_check(users: World) -> None:
    """The check stops, nothing reaches a server, and the worker continues."""

    async def visit(client: Client) -> int:
        for _ in range(3):
            await client.send(chat_body(), headers=_slow(11))
            await asyncio.sleep(0.05)
            client.leave()
        return (await client.ask(chat_body(), headers=basic("bea", PASSWORDS["bea"]))).status_code

    assert _one(users, visit) == 200
    users.settle()
    assert len(users.entries()) == 1


def test_one_check_for_many(users: World) -> None:
    """Parallel requests with the same wrong login share a check. Their number reveals nothing about the password."""
    bodies = [chat_body() for _ in range(16)]
    answers = clients.ask(users.gateway.port, bodies, 16, headers=basic("alice", WRONG))
    assert {answer.status_code for answer in answers} == {401}
    assert identify(users, basic("alice", PASSWORDS["alice"]))[0] == 200
    assert users.entries() == [] and users.send(chat_body(), path=CHAT).status_code == 200


@contextlib.contextmanager
def _guessers(world: World, names: Iterable[str]) -> Iterator[None]:
    """Clients with wrong passwords, which wait for each answer."""
    with contextlib.ExitStack() as open_sockets:
        for number, name in enumerate(names):
            client = open_sockets.enter_context(socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10))
            head = basic(name, f"{WRONG}-{number}")["authorization"]
            client.sendall(f"GET /gateway/whoami HTTP/1.1\r\nhost: gateway\r\nauthorization: {head}\r\n\r\n".encode())
        yield
    world.settle()


@pytest.mark.parametrize("address", ["127.0.0.2", "127.0.0.1"])
def test_guessers_do_not_lock_out_users(users: World, address: str) -> None:
    """Neither guesses with unknown names nor guesses for the user's own name have an effect, if they come from elsewhere."""
    owner = "guessed-elsewhere" if address == "127.0.0.2" else "next-to-it"
    guessed = [owner] * 64 if address == "127.0.0.2" else []
    transport = httpx.HTTPTransport(local_address=address)
    with _guessers(users, [*guessed, *(f"nobody-{number}" for number in range(128 - len(guessed)))]):
        time.sleep(0.3)
        with httpx.Client(base_url=users.url, transport=transport, timeout=30) as client:
            began = time.monotonic()
            answer = client.get("/gateway/whoami", headers=basic(owner, PASSWORDS[owner]))
    print(f"beside 128 guessers, from {address}: {answer.status_code} after {time.monotonic() - began:.1f} s")
    assert answer.status_code == 200


def test_known_and_unknown_names_are_alike(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    known, rounds = [f"user-{number}" for number in range(5)], 4
    changed = settings()
    changed.values("auth")["users"] = [user_entry(name, "right", 20_000) for name in known]
    found: dict[str, list[httpx.Response]] = {"known": [], "unknown": []}
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    with open_world(changed.text()) as world, httpx.Client(base_url=world.url, trust_env=False, timeout=20) as client:
        for number in range(rounds * len(known)):
            for kind, name in (("known", known[number % len(known)]), ("unknown", f"nobody-{number % len(known)}")):
                began = time.monotonic()
                found[kind].append(client.get("/gateway/whoami", headers=basic(name, f"{WRONG}-{number}")))
                times[kind].append(time.monotonic() - began)
    one, other = (statistics.median(times[kind]) for kind in ("known", "unknown"))
    print(f"medians of {rounds * len(known)} wrong passwords: known names {one * 1e3:.1f} ms, unknown {other * 1e3:.1f} ms")
    said = {(answer.status_code, answer.text, tuple(sorted(answer.headers))) for answers in found.values() for answer in answers}
    assert len(said) == 1 and max(one, other) < 1.5 * min(one, other)
