"""A minimal JSON service over HTTP/1.1 for the classifiers. Standard library only."""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Mapping

# The gateway's requests are at most a few times as long as `guard.max_text`.
MAX_BODY = 64 << 20

Answer = Callable[[Any], Any]


class Refused(Exception):
    """The request is wrong: status and message of the answer."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


def serve(name: str, posts: Mapping[str, Answer], error: Callable[[str], Any]) -> None:
    """Answers POSTs to the paths of `posts`, and GET /health, until the process ends.

    `error` turns the message of a refusal into a body, in the service's own shape.
    """
    parser = argparse.ArgumentParser(description=f"{name}, over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    handler = type("Handler", (_Handler,), {"title": name, "posts": posts, "error": staticmethod(error)})
    with _Server((arguments.host, arguments.port), handler) as server:
        print(f"{name} listens on {arguments.host}:{arguments.port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # At least as many connections as a gateway opens at a time.
    request_queue_size = 512


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it each answer waits for the client's delayed acknowledgement (Nagle's algorithm).
    disable_nagle_algorithm = True
    title: str
    posts: Mapping[str, Answer]
    error: Callable[[str], Any]

    def do_GET(self) -> None:
        if self.path == "/health":
            self._send(200, f"{self.title} is up".encode(), "text/plain")
        else:
            self._send_json(404, self.error(f"there is no {self.path}"))

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True
            self._send_json(413, self.error("the request needs a content-length, and not too long a one"))
            return
        body = self.rfile.read(int(length))
        answer = self.posts.get(self.path)
        if answer is None:
            self._send_json(404, self.error(f"there is no {self.path}"))
            return
        try:
            self._send_json(200, answer(json.loads(body)))
        except Refused as refused:
            self._send_json(refused.status, self.error(str(refused)))
        except ValueError as broken:
            self._send_json(400, self.error(f"not JSON: {broken}"))
        except BrokenPipeError:
            self.close_connection = True  # the client did not wait

    def _send_json(self, status: int, value: Any) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response_only(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers_with(body)

    def end_headers_with(self, body: bytes) -> None:
        """Headers and body in one packet."""
        self._headers_buffer.append(b"\r\n")
        self.wfile.write(b"".join(self._headers_buffer) + body)
        self._headers_buffer = []

    def log_message(self, *_: Any) -> None:
        """Logs nothing: texts are private."""


def texts(value: Any, field: str, status: int) -> tuple[list[str], bool]:
    """A string, or a list of strings, as a list; and whether it was a list."""
    given = value.get(field) if isinstance(value, dict) else None
    if isinstance(given, str):
        return [given], False
    if isinstance(given, list) and all(isinstance(each, str) for each in given):
        return given, True
    raise Refused(status, f"`{field}` must be a string, or a list of strings")
