"""Every kind of request for a model."""

from __future__ import annotations

from typing import Any

from world import CHAT

# The dialects that a server of all of them speaks.
DIALECTS = ["openai", "anthropic", "ollama", "gemini"]
# The first ones are streams.
STREAMS = 9


def shapes(model: str, text: str) -> list[tuple[str, dict[str, Any]]]:
    """Every kind of request: path and body. Streams come first."""
    chat = {"model": model, "messages": [{"role": "user", "content": text}]}
    asks = {"stream_options": {"include_usage": True}}
    contents = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    return [
        (CHAT, {**chat, "stream": True}),
        (CHAT, {**chat, "stream": True, **asks}),
        ("/v1/completions", {"model": model, "prompt": text, "stream": True}),
        ("/v1/responses", {"model": model, "input": text, "stream": True}),
        ("/v1/messages", {**chat, "max_tokens": 1000, "stream": True}),
        ("/api/chat", chat),
        ("/api/generate", {"model": model, "prompt": text}),
        (f"/v1beta/models/{model}:streamGenerateContent?alt=sse", contents),
        (f"/v1beta/models/{model}:streamGenerateContent", contents),
        (CHAT, chat),
        ("/v1/completions", {"model": model, "prompt": text}),
        ("/v1/embeddings", {"model": model, "input": text}),
        ("/v1/responses", {"model": model, "input": text}),
        ("/v1/messages", {**chat, "max_tokens": 1000}),
        ("/api/chat", {**chat, "stream": False}),
        ("/api/generate", {"model": model, "prompt": text, "stream": False}),
        ("/api/embed", {"model": model, "input": text}),
        (f"/v1beta/models/{model}:generateContent", contents),
    ]
