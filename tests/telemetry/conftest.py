"""Turns in wire shape, ids in a fixed order, and the schemas of content."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

SCHEMAS = Path(__file__).parents[1] / "conformance" / "conventions" / "schemas"
START = 1_700_000_000_000_000_000


class CountedIds:
    """1, 2, 3 …; trace ids begin elsewhere than span ids."""

    def __init__(self) -> None:
        self.drawn = 0

    def turn_id(self) -> str:
        return f"turn_{self._next():012d}"

    def trace_id(self) -> int:
        return (1 << 100) + self._next()

    def span_id(self) -> int:
        return self._next()

    def _next(self) -> int:
        self.drawn += 1
        return self.drawn


@pytest.fixture
def ids() -> CountedIds:
    return CountedIds()


@pytest.fixture
def wire() -> Callable[..., dict[str, Any]]:
    """A turn in wire shape: an agent that asked a model, which had it call a tool."""

    def make(**changes: Any) -> dict[str, Any]:
        turn: dict[str, Any] = {
            "record": "turn",
            "id": "turn_abcdefghijkl",
            "session_id": "session-1",
            "number": 2,
            "agent": {"name": "support", "description": "Answers questions."},
            "user_id": "user-7",
            "status": "ok",
            "started_at": START,
            "ended_at": START + 900,
            "input": {"type": "text", "content": "Weather in Paris?"},
            "output": {"type": "text", "content": "Rain."},
            "messages": [
                {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]},
                {
                    "role": "assistant",
                    "parts": [
                        {"type": "reasoning", "content": "Look it up."},
                        {
                            "type": "tool_call",
                            "id": "call_1",
                            "name": "weather",
                            "arguments": {"city": "Paris"},
                        },
                    ],
                },
            ],
            "steps": [model_step(), tool_step()],
            "usage": {"input_tokens": 40, "output_tokens": 12, "cost_usd": 0.5},
            "trace": {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "a" * 16},
            "resource": {"service.name": "tests"},
        }
        turn |= changes
        return {key: value for key, value in turn.items() if value is not None}

    return make


def model_step(**changes: Any) -> dict[str, Any]:
    return {
        "id": "b" * 16,
        "kind": "model",
        "name": "ask",
        "status": "ok",
        "started_at": START + 100,
        "ended_at": START + 400,
        "input_messages": [[0, 1]],
        "output_messages": [[1, 2]],
        "model": {
            "provider": "openai",
            "request_model": "gpt-5",
            "response_model": "gpt-5-2026",
            "response_id": "resp_1",
            "parameters": {"temperature": 0, "max_tokens": 50, "stop": "END", "n": 1, "x": {}},
            "finish_reasons": ["tool_call"],
        },
        "usage": {
            "input_tokens": 40,
            "output_tokens": 12,
            "cache_read_tokens": 8,
            "cache_write_tokens": 4,
            "reasoning_tokens": 5,
        },
        **changes,
    }


def tool_step(**changes: Any) -> dict[str, Any]:
    return {
        "id": "c" * 16,
        "kind": "tool",
        "name": "weather",
        "status": "ok",
        "started_at": START + 450,
        "ended_at": START + 700,
        "input": {
            "type": "tool_call",
            "content": '{"city":"Paris"}',
            "mime_type": "application/json",
        },
        "output": {"type": "tool_result", "content": "rain"},
        "tool": {"call_id": "call_1", "type": "function", "description": "Current weather"},
        **changes,
    }


@pytest.fixture
def steps() -> Any:
    """Builders of a model and a tool step."""

    class Steps:
        model = staticmethod(model_step)
        tool = staticmethod(tool_step)

    return Steps


@pytest.fixture
def conforms() -> Callable[[dict[str, Any]], list[str]]:
    """Content attributes of a span that are valid by their schema; raises for one that is not."""
    homes = {
        "gen_ai.input.messages": "strict/gen-ai-input-messages.json",
        "gen_ai.output.messages": "strict/gen-ai-output-messages.json",
        "gen_ai.tool.call.arguments": "gen-ai-tool-call-arguments.json",
        "gen_ai.tool.call.result": "gen-ai-tool-call-result.json",
        "gen_ai.retrieval.documents": "gen-ai-retrieval-documents.json",
        "gen_ai.system_instructions": "strict/gen-ai-system-instructions.json",
        "gen_ai.tool.definitions": "strict/gen-ai-tool-definitions.json",
    }

    def check(attributes: dict[str, Any]) -> list[str]:
        found = sorted(homes.keys() & attributes.keys())
        for name in found:
            schema = json.loads((SCHEMAS / homes[name]).read_text())
            jsonschema.Draft202012Validator(schema).validate(json.loads(attributes[name]))
        return found

    return check


@pytest.fixture
def make_global(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make an SDK provider the global one; answers its exporter."""

    def make(sampler: Sampler | None = None) -> InMemorySpanExporter:
        exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
        return exporter

    return make
