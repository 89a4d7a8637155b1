"""Both ends: agents as a user writes them, and backends as they stand in a network."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import turnspan

SCHEMAS = Path(__file__).parents[1] / "conformance" / "conventions" / "schemas"
CONTENT = {
    "gen_ai.input.messages": "strict/gen-ai-input-messages.json",
    "gen_ai.output.messages": "strict/gen-ai-output-messages.json",
    "gen_ai.tool.call.arguments": "gen-ai-tool-call-arguments.json",
    "gen_ai.tool.call.result": "gen-ai-tool-call-result.json",
}


@pytest.fixture(autouse=True)
def each_test_begins_unconfigured(unconfigured: None) -> None:
    """This room's tests configure the process they run in."""


class OtlpBackend:
    """An OTLP/HTTP receiver on loopback that keeps what it is sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received = ExportTraceServiceRequest()

    @property
    def spans(self) -> list[Any]:
        """Every span that arrived, in that order."""
        return [
            span
            for group in self.received.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def otlp() -> Iterator[OtlpBackend]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            backend.received.MergeFromString(gzip.decompress(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    backend = OtlpBackend(f"otlp+http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield backend
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def concierge() -> Callable[[str], str]:
    """An agent with one tool and one model call, whose client speaks as OpenAI's does."""

    @turnspan.tool(description="Tomorrow's weather")
    def forecast(city: str) -> dict[str, Any]:
        return {"city": city, "celsius": 4}

    @turnspan.model(provider="openai")
    def chat(messages: list[dict[str, Any]], *, model: str, temperature: float) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": f"{model}-2026",
            "choices": [
                {
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "Take a coat."},
                }
            ],
            "usage": {
                "prompt_tokens": 40,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 8},
            },
        }

    @turnspan.agent(description="Knows what to wear")
    def concierge(question: str) -> str:
        found = forecast("Oslo")
        call = {"name": "forecast", "arguments": '{"city": "Oslo"}'}
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": question},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(found)},
        ]
        reply = chat(messages, model="gpt-5", temperature=0.5)
        return str(reply["choices"][0]["message"]["content"])

    return concierge


@pytest.fixture
def conforms() -> Callable[[dict[str, Any]], list[str]]:
    """The content attributes among a span's, each valid by its schema; raises where one isn't."""

    def conforms(attributes: dict[str, Any]) -> list[str]:
        found = sorted(CONTENT.keys() & attributes.keys())
        for name in found:
            schema = json.loads((SCHEMAS / CONTENT[name]).read_text())
            jsonschema.Draft202012Validator(schema).validate(json.loads(attributes[name]))
        return found

    return conforms


@pytest.fixture
def drain(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs `turnspan drain` on the test's journal; answers what it says of one exporter."""

    def drain(url: str) -> dict[str, Any]:
        command = ["drain", "--to", url, "--dir", str(tmp_path / "journal"), "--json"]
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "turnspan", *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        said: dict[str, Any] = json.loads(done.stdout)["exporters"][url]
        return said

    return drain


@pytest.fixture
def dead(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Runs `turnspan dead …` on the test's journal; answers the objects it prints."""

    def dead(*args: str) -> list[dict[str, Any]]:
        command = [sys.executable, "-W", "error", "-m", "turnspan", "dead", *args]
        done = subprocess.run(
            [*command, "--dir", tmp_path / "journal", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]

    return dead
