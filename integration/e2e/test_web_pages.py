"""Web pages that call the gateway from a browser (CORS), through Envoy's own filter."""

from __future__ import annotations

import http.server
import json
import queue
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest

import chromium
import demo
from conftest import OpenWorld
from player import Played, Player
from settings import Settings
from world import BEARER, CHAT, MESSAGES, World, chat_body

GENERATE = "/v1beta/models/gpt-4o:generateContent"
PAGE = "http://localhost:3000"


def _preflight(world: World, origin: str, path: str = CHAT) -> httpx.Response:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    return world.send(method="OPTIONS", path=path, headers={"origin": origin, **asked})


def test_web_pages(world: World) -> None:
    """The preflight is answered without a key; then the page can read answers and errors, with all their headers."""
    world.reset()
    for path in (CHAT, MESSAGES, GENERATE, "/api/chat", "/v1/models", "/gateway/usage"):
        for origin in (PAGE, "http://127.0.0.1:8080", "https://localhost", "http://[::1]:5173"):
            answer = _preflight(world, origin, path)
            assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == origin
            # for a browser `*` means all headers except this one
            assert answer.headers["access-control-allow-headers"] == "authorization, *"
            assert "POST" in answer.headers["access-control-allow-methods"]
            assert "access-control-allow-credentials" not in answer.headers
    for headers, status in ((BEARER, 200), ({}, 401)):
        answer = world.send(chat_body(), headers={"origin": PAGE, **headers})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGE)
        assert answer.headers["access-control-expose-headers"] == "*"
    assert len(world.entries()) == 1
    for _, entry in world.entries():
        assert "origin" not in {name.lower() for name in entry["headers"]}


def test_other_web_pages(world: World) -> None:
    """Their browser gets no permission."""
    for origin in ("https://evil.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "null", "http://localhostx"):
        answer = _preflight(world, origin)
        assert answer.status_code == 401 and "access-control-allow-origin" not in answer.headers, origin


def test_cors_headers_of_model_servers_are_ignored(settings: Callable[[], Settings], open_world: OpenWorld) -> None:
    """Some servers allow every page."""
    permission = {"access-control-allow-origin": "*", "access-control-allow-credentials": "true"}
    answer = b'{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
    changed = settings()
    with Player({"free": Played("application/json", answer, headers=permission)}) as player:
        changed.add_cluster("player", player.address)
        changed.upstreams["player"] = {"forward_headers": ["x-answer"]}
        changed.models.append({"name": "player", "targets": [{"upstream": "player"}]})
        with open_world(changed.text()) as world:
            headers = {"x-answer": "free", **BEARER}
            other = world.send(chat_body(model="player"), headers={"origin": "https://evil.example", **headers})
            assert other.status_code == 200 and not [name for name in other.headers if name.startswith("access-control-")]
            own = world.send(chat_body(model="player"), headers={"origin": PAGE, **headers})
            assert own.headers.get_list("access-control-allow-origin") == [PAGE]
            assert "access-control-allow-credentials" not in own.headers


SCRIPT = """<script>
const call = async (path, init) => {
  try { const answer = await fetch("GATEWAY" + path, init); return [answer.status, await answer.text(), answer.headers.get("x-request-id")]; }
  catch (error) { return [0, String(error), null]; }
};
(async () => {
  const json = {"content-type": "application/json", "x-stainless-lang": "js", "anthropic-version": "2023-06-01"};
  const chat = {method: "POST", body: JSON.stringify({model: "gpt-4o", max_tokens: 9, messages: [{role: "user", content: "Hello"}]})};
  const found = {
    chat: await call("/v1/chat/completions", {...chat, headers: {...json, "authorization": "Bearer KEY"}}),
    messages: await call("/v1/messages", {...chat, headers: {...json, "x-api-key": "KEY"}}),
    models: await call("/v1/models", {headers: {"authorization": "Bearer KEY"}}),
    nobody: await call("/v1/chat/completions", {...chat, headers: json}),
  };
  await fetch("/found", {method: "POST", body: JSON.stringify(found)});
})();
</script>"""


@pytest.mark.parametrize("host, allowed", [("localhost", True), ("evil.example", False)])
def test_page_in_a_browser(world: World, tmp_path: Path, host: str, allowed: bool) -> None:
    try:
        program = chromium.find()
    except chromium.NoChromium as why:
        pytest.skip(str(why))
    page = SCRIPT.replace("GATEWAY", world.url).replace("KEY", demo.USER_KEY).encode()
    found: queue.Queue[dict[str, list[Any]]] = queue.Queue()

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def do_POST(self) -> None:
            found.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={tmp_path}"]
        command += ["--host-resolver-rules=MAP evil.example 127.0.0.1", f"http://{host}:{server.server_port}/"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            answers = found.get(timeout=60)
        finally:
            browser.kill()
            browser.wait()
            server.shutdown()
    statuses = {name: answer[0] for name, answer in answers.items()}
    want = {"chat": 200, "messages": 200, "models": 200, "nobody": 401}
    assert statuses == (want if allowed else dict.fromkeys(want, 0)), answers
    assert all((answer[2] is not None) == allowed for answer in answers.values()), "the page reads the request's id"
