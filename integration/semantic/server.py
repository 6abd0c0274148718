"""`POST /v1/embeddings`, as OpenAI's API has it, by `minilm`. It prints its port."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from minilm import MiniLM

MODEL = "all-MiniLM-L6-v2"


def _answer(model: MiniLM, request: dict[str, object]) -> tuple[int, object]:
    texts = request.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if request.get("model") != MODEL or not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return 400, {"error": {"message": f"`model` must be {MODEL}, and `input` a text or a list of texts."}}
    vectors = model.vectors(texts)
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return 200, {"object": "list", "data": data, "model": MODEL, "usage": {"prompt_tokens": 0, "total_tokens": 0}}


def main() -> None:
    model = MiniLM()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, answer = _answer(model, json.loads(body)) if self.path == "/v1/embeddings" else (404, {})
            written = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, *_: object) -> None:
            """Logs no texts."""

    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
