"""A gRPC service for one test, in a thread."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Any

from grpclib.const import Cardinality, Handler
from grpclib.server import Server, Stream

from child import free_port


class GrpcServer(ABC):
    """A service with one method, from one message to one; a subclass answers."""

    def __init__(self, path: str, question: type, answer: type) -> None:
        self.address = ("127.0.0.1", free_port())
        self._handlers = {path: Handler(self._take, Cardinality.UNARY_UNARY, question, answer)}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._ready = threading.Event()

    @abstractmethod
    async def answer(self, question: Any) -> Any:
        """Answers a question."""

    async def _take(self, stream: Stream[Any, Any]) -> None:
        await stream.send_message(await self.answer(await stream.recv_message()))

    def __mapping__(self) -> dict[str, Handler]:
        return self._handlers

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = Server([self])
        self._loop.run_until_complete(server.start(*self.address))
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(server.wait_closed())
        self._loop.close()

    def __enter__(self) -> Any:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
