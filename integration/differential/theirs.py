"""Translates OpenAI chat requests with the package `litellm`. Each input line is a JSON object, `{"pair", "model", "request"}`;
each output line is `{"body"}` or `{"refused"}`. It runs in an environment of its own, and sends nothing."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # the package's own list of models

import litellm  # noqa: E402
from litellm.llms.anthropic.chat.transformation import AnthropicConfig  # noqa: E402
from litellm.llms.vertex_ai.gemini.transformation import _transform_request_body  # noqa: E402
from litellm.utils import get_optional_params  # noqa: E402

logging.disable(logging.CRITICAL)
litellm.drop_params = True
litellm.suppress_debug_info = True


def transform(pair: str, model: str, request: dict[str, Any]) -> dict[str, Any]:
    """One request as the provider would receive it."""
    fields = {name: value for name, value in request.items() if name not in ("model", "messages")}
    provider = {"ChatToMessages": "anthropic", "ChatToGemini": "gemini", "ChatToConverse": "bedrock"}[pair]
    messages = request["messages"]
    options = get_optional_params(model=model, custom_llm_provider=provider, messages=messages, drop_params=True, **fields)
    if pair == "ChatToMessages":
        return AnthropicConfig().transform_request(model=model, messages=messages, optional_params=options, litellm_params={}, headers={})
    if pair == "ChatToConverse":
        config = litellm.AmazonConverseConfig()
        return config.transform_request(model=model, messages=messages, optional_params=options, litellm_params={}, headers={})
    return _transform_request_body(  # type: ignore[return-value]
        messages=messages, model=model, optional_params=options, custom_llm_provider="gemini", litellm_params={}, cached_content=None
    )


def main() -> None:
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer = {"body": transform(task["pair"], task["model"], task["request"])}
        except Exception as error:  # any error means that the request would not be sent
            answer = {"refused": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
