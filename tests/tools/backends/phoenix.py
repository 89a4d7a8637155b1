"""Arize Phoenix: its REST API for spans, GraphQL, which its pages are made of, for sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from backends.server import Server, free_port
from backends.shown import ShownSession, ShownStep, ShownTurn, value_of

__all__ = ["Backend"]

KINDS = {"AGENT": "agent", "LLM": "model", "TOOL": "tool"}
SESSIONS = """
query { projects(first: 1000) { edges { node { id name traceCount sessions(first: 1000) { edges {
  node { id sessionId numTraces numTracesWithError firstInput { value } lastOutput { value }
         tokenUsage { prompt completion } } } } } } } }
"""
COUNTS = "query { projects(first: 1000) { edges { node { name traceCount } } } }"


class Backend:
    """Phoenix, from the environment whose Python is given."""

    name = "phoenix"
    headers: ClassVar[dict[str, str]] = {}
    resource: ClassVar[dict[str, str]] = {"openinference.project.name": "turns"}

    def __init__(self, python: Path, folder: Path) -> None:
        port = free_port()
        self.server = Server(
            [str(python.with_name("phoenix")), "serve"],
            folder=folder,
            port=port,
            health="/healthz",
            env={
                "PHOENIX_WORKING_DIR": str(folder),
                "PHOENIX_HOST": "127.0.0.1",
                "PHOENIX_PORT": str(port),
                "PHOENIX_GRPC_PORT": str(free_port()),
                "PHOENIX_TELEMETRY_ENABLED": "false",
                "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
            },
        )

    def environment(self) -> dict[str, str]:
        """What a recorded program is configured with, as docs/tools/phoenix.md says."""
        return {
            "TURNSPAN_EXPORTERS": f"otlp+{self.server.url}",
            "OTEL_RESOURCE_ATTRIBUTES": "openinference.project.name=turns",
        }

    def turns(self, session: str) -> list[ShownTurn]:
        """The traces of ``session`` in their order."""
        return [turn for turn in self._turns().values() if turn.session == session]

    def traces(self, ids: Sequence[str]) -> list[ShownTurn]:
        """The traces of those ``ids`` that are there."""
        turns = self._turns()
        return [turns[id] for id in ids if id in turns]

    def session(self, session: str) -> ShownSession:
        """What the list of sessions says of it."""
        node = self._session(session)
        return ShownSession(
            turns=node["numTraces"],
            failed=node["numTracesWithError"],
            first_input=(node["firstInput"] or {}).get("value"),
            last_output=(node["lastOutput"] or {}).get("value"),
            tokens=(int(node["tokenUsage"]["prompt"]), int(node["tokenUsage"]["completion"])),
        )

    def session_page(self, session: str) -> str:
        """Where the conversation is shown."""
        return f"{self._pages()}/sessions/{self._session(session)['id']}"

    def turn_page(self, turn: ShownTurn) -> str:
        """Where the spans of ``turn`` are shown."""
        return f"{self._pages()}/spans/{turn.id}"

    def step_page(self, turn: ShownTurn, step: ShownStep) -> str:
        """Where ``step`` of ``turn`` is shown."""
        return f"{self.turn_page(turn)}?selectedSpanNodeId={step.id}"

    def count(self) -> int:
        """How many traces there are, of every project."""
        edges = self.server.ask("/graphql", {"query": COUNTS})["data"]["projects"]["edges"]
        return sum(edge["node"]["traceCount"] for edge in edges)

    def _turns(self) -> dict[str, ShownTurn]:
        """Every trace by its id, in the order of their start, as far as its root is there."""
        asked = self.server.ask("/v1/projects/turns/spans?limit=1000") if self._project() else {}
        traces = defaultdict(list)
        for span in sorted(asked.get("data", ()), key=lambda each: each["start_time"]):
            traces[span["context"]["trace_id"]].append(span)
        return {id: turn for id, spans in traces.items() if (turn := _turn(spans))}

    def _project(self) -> dict[str, Any] | None:
        edges = self.server.ask("/graphql", {"query": SESSIONS})["data"]["projects"]["edges"]
        return next((edge["node"] for edge in edges if edge["node"]["name"] == "turns"), None)

    def _session(self, session: str) -> dict[str, Any]:
        project = self._project()
        assert project is not None
        nodes = [edge["node"] for edge in project["sessions"]["edges"]]
        return next(node for node in nodes if node["sessionId"] == session)

    def _pages(self) -> str:
        project = self._project()
        assert project is not None
        return f"{self.server.url}/projects/{project['id']}"


def _turn(spans: list[dict[str, Any]]) -> ShownTurn | None:
    """A trace; None while its root is missing."""
    root = next((span for span in spans if span["parent_id"] is None), None)
    if root is None:
        return None
    attributes = root["attributes"]
    return ShownTurn(
        id=root["context"]["trace_id"],
        session=attributes.get("session.id"),
        user=attributes.get("user.id"),
        kind=KINDS.get(root["span_kind"], root["span_kind"]),
        name=root["name"],
        given=attributes.get("input.value"),
        answer=attributes.get("output.value"),
        failed=root["status_code"] == "ERROR",
        tokens=_tokens(attributes),
        steps=[_step(span) for span in spans if span is not root],
    )


def _step(span: dict[str, Any]) -> ShownStep:
    attributes = span["attributes"]
    kind = KINDS.get(span["span_kind"], span["span_kind"])
    given, result = attributes.get("input.value"), attributes.get("output.value")
    if kind == "model":
        given = _said(attributes, "llm.input_messages")
        result = _said(attributes, "llm.output_messages")
    return ShownStep(
        name=span["name"],
        kind=kind,
        failed=span["status_code"] == "ERROR",
        given=value_of(given),
        result=value_of(result),
        tokens=_tokens(attributes),
        reasoning=_reasoning(attributes),
        id=span["id"],
    )


def _said(attributes: Mapping[str, Any], prefix: str) -> str | None:
    """The text of the last message, as the page of a model call shows it."""
    keys = [key for key in attributes if key.startswith(prefix) and key.endswith("message.content")]
    found = sorted(keys, key=lambda key: int(key.removeprefix(f"{prefix}.").split(".")[0]))
    return attributes[found[-1]] if found else None


def _reasoning(attributes: Mapping[str, Any]) -> str | None:
    for key, value in attributes.items():
        if key.startswith("llm.output_messages") and key.endswith("type") and value == "reasoning":
            text: str = attributes[key.removesuffix("type") + "text"]
            return text
    return None


def _tokens(attributes: Mapping[str, Any]) -> tuple[int, int] | None:
    prompt = attributes.get("llm.token_count.prompt")
    return None if prompt is None else (prompt, attributes.get("llm.token_count.completion", 0))
