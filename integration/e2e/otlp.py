"""A receiver of traces: OTLP over HTTP in protobuf, as any backend."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """The parts of a span that tests check."""

    name: str
    tags: dict[str, Any]
    service: str
    headers: dict[str, str]


class Receiver:
    """Collects spans on its own port."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """One export of spans."""

            def do_POST(self) -> None:
                receiver._take(self._body(), dict(self.headers))
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.end_headers()

            def _body(self) -> bytes:
                """Envoy declares no content length."""
                if length := self.headers.get("content-length"):
                    return self.rfile.read(int(length))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_: object) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = ("127.0.0.1", self._server.server_port)

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def spans(self) -> list[Span]:
        """All spans so far."""
        return list(self._spans)

    def _take(self, body: bytes, headers: dict[str, str]) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                self._spans += [Span(span.name, _values(span.attributes), service, headers) for span in scope.spans]


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
