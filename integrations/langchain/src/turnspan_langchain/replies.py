"""What a model was asked with and answered: LangChain's results → plain facts.

Source: langchain-core 1.7 (`LangSmithParams`, `UsageMetadata`, `LLMResult`); provider names
as the GenAI conventions list them, https://github.com/open-telemetry/semantic-conventions-genai
as of 2026-10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage
from langchain_core.outputs import LLMResult

from turnspan_langchain.messages import read_message

__all__ = [
    "model_asked",
    "model_replied",
    "provider_of",
    "reply_in",
    "text_of_token",
    "usage_in",
]

_PROVIDERS: Final = {
    "amazon_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
_REASONS: Final = ("finish_reason", "stop_reason", "stopReason", "done_reason")
_PARAMETERS: Final = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "n",
    "reasoning_effort",
)


def model_asked(metadata: Mapping[str, Any], invocation: Mapping[str, Any]) -> dict[str, Any]:
    """Provider, model and parameters, as far as the start of a model run tells them."""
    name = metadata.get("ls_model_name") or invocation.get("model") or invocation.get("model_name")
    parameters = {key: invocation[key] for key in _PARAMETERS if invocation.get(key) is not None}
    for key in ("temperature", "max_tokens", "stop"):
        if (value := metadata.get(f"ls_{key}")) is not None:
            parameters.setdefault(key, value)
    asked: dict[str, Any] = {"request_model": name, "parameters": parameters}
    return asked | {"provider": provider_of(metadata.get("ls_provider"))}


def provider_of(given: object) -> str | None:
    """A provider's name in the conventions; its own where they have none for it."""
    return _PROVIDERS.get(given, given) if isinstance(given, str) and given else None


def reply_in(result: LLMResult | None) -> tuple[object, dict[str, Any]] | None:
    """The first answer of a result, as LangChain's object and as plain data."""
    if result is None or not result.generations or not result.generations[0]:
        return None
    generation = result.generations[0][0]
    message = getattr(generation, "message", None)
    if message is None:
        return generation, {"role": "assistant", "content": generation.text}
    return message, read_message(message)


def model_replied(result: LLMResult, origin: object) -> dict[str, Any]:
    """Model, id and finish reason that a result names."""
    meta = _metadata(origin)
    output = result.llm_output or {}
    generation = result.generations[0][0].generation_info or {}
    reason = next((found for key in _REASONS if (found := meta.get(key))), None)
    reason = reason or generation.get("finish_reason")
    known = {
        "response_model": meta.get("model_name") or meta.get("model") or output.get("model_name"),
        "response_id": meta.get("id") or _own_id(origin),
        "provider": provider_of(meta.get("model_provider")),
        "finish_reasons": [reason] if isinstance(reason, str) else None,
    }
    return {key: value for key, value in known.items() if value}


def text_of_token(token: Any, chunk: Any) -> str | None:
    """What a piece of a stream says; empty for thoughts and calls, None if it says nothing."""
    if isinstance(token, str) and token:
        return token
    if isinstance(token, list):
        said = [block.get("text") for block in token if isinstance(block, dict)]
        text = "".join(each for each in said if isinstance(each, str))
        return text if text or token else None
    message = getattr(chunk, "message", None)
    calls = getattr(message, "tool_call_chunks", None)
    thinks = getattr(message, "additional_kwargs", {}).get("reasoning_content")
    return "" if calls or thinks else None


def usage_in(result: LLMResult, origin: object) -> dict[str, Any]:
    """Tokens used: of the message, or of older integrations' `llm_output`."""
    usage = origin.usage_metadata if isinstance(origin, AIMessage) else None
    if usage is None:
        return _older_usage(result.llm_output or {})
    entered, left = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
    return {
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "cache_read_tokens": entered.get("cache_read"),
        "cache_write_tokens": entered.get("cache_creation"),
        "reasoning_tokens": left.get("reasoning"),
    }


def _older_usage(output: Mapping[str, Any]) -> dict[str, Any]:
    usage = output.get("token_usage") or output.get("usage") or {}
    if not isinstance(usage, Mapping):
        return {}
    return {
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
    }


def _metadata(origin: object) -> Mapping[str, Any]:
    return origin.response_metadata if isinstance(origin, AIMessage) else {}


def _own_id(origin: object) -> str | None:
    """The provider's id of the answer; LangChain makes one up where there is none."""
    given = origin.id if isinstance(origin, AIMessage) else None
    return given if given and not given.startswith(("lc_run-", "run-")) else None
