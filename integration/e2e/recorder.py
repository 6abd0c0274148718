"""An upstream that keeps each request's exact bytes. (The mock's journal keeps parsed JSON.)"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from eventstream import converse_event

# An answer in all dialects at once.
_MESSAGE = {"role": "assistant", "content": "ok"}
ANSWER = json.dumps(
    {
        "choices": [{"index": 0, "message": _MESSAGE, "text": "ok", "finish_reason": "stop"}],
        "output": [],
        "content": [{"type": "text", "text": "ok"}],
        "message": _MESSAGE,
        "response": "ok",
        "done": True,
        "candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}],
        "data": [],
        "embeddings": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
).encode()
CONVERSE = json.dumps({"output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}}, "stopReason": "end_turn"}).encode()
CONVERSE_STREAM = b"".join(
    converse_event(*event)
    for event in [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}),
    ]
)
STREAM = b'data: {"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@dataclass(frozen=True)
class Recorded:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


class Recorder:
    """Receives requests, and answers all JSON requests alike, and all streams alike."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def address(self) -> tuple[str, int]:
        """As an address for a cluster."""
        return ("127.0.0.1", self._server.server_port)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self._body()
                requests.append(Recorded(self.path, headers, body))
                streams = json.loads(body).get("stream") is True and self.path.startswith("/v1/")
                answer, kind = (STREAM, "text/event-stream") if streams else (ANSWER, "application/json")
                if self.path.endswith("/converse"):
                    answer = CONVERSE
                elif self.path.endswith("/converse-stream"):
                    answer, kind = CONVERSE_STREAM, "application/vnd.amazon.eventstream"
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def _body(self) -> bytes:
                if "chunked" not in self.headers.get("transfer-encoding", ""):
                    return self.rfile.read(int(self.headers.get("content-length", 0)))
                chunks = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)

            def log_message(self, *_: object) -> None:
                """Logs nothing: a failed test prints the reason."""

        return Handler

    def __enter__(self) -> Recorder:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
