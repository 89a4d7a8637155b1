"""MLflow's tracking server: its REST API for traces, which its pages are made of, too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from backends.server import Server, free_port
from backends.shown import ShownSession, ShownStep, ShownTurn, value_of

__all__ = ["Backend"]

KINDS = {"AGENT": "agent", "CHAT_MODEL": "model", "TOOL": "tool"}
EXPERIMENT = "0"  # the default one
WHERE = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": EXPERIMENT}}]
PAGE = 500


class Backend:
    """MLflow, from the environment whose Python is given."""

    name = "mlflow"
    headers: ClassVar[dict[str, str]] = {"x-mlflow-experiment-id": EXPERIMENT}
    resource: ClassVar[dict[str, str]] = {}

    def __init__(self, python: Path, folder: Path) -> None:
        port = free_port()
        self.server = Server(
            [
                *(str(python.with_name("mlflow")), "server", "--workers", "1"),
                *("--host", "127.0.0.1", "--port", str(port)),
                *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
                *("--artifacts-destination", str(folder / "artifacts")),
            ],
            folder=folder,
            port=port,
            health="/health",
            env={"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        )

    def environment(self) -> dict[str, str]:
        """What a recorded program is configured with, as docs/tools/mlflow.md says."""
        return {
            "TURNSPAN_EXPORTERS": f"otlp+{self.server.url}",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"x-mlflow-experiment-id={EXPERIMENT}",
        }

    def turns(self, session: str) -> list[ShownTurn]:
        """The traces of ``session`` in their order."""
        traces = [self._trace(info["trace_id"]) for info in self._infos(session)]
        traces.sort(key=lambda trace: _root(trace["spans"]).get("start_time_unix_nano", 0))
        return [_turn(trace) for trace in traces if _root(trace["spans"])]

    def traces(self, ids: Sequence[str]) -> list[ShownTurn]:
        """The traces of those ``ids`` that are there."""
        known = {info["trace_id"] for info in self._searched({}).get("traces", ())}
        found = [self._trace(f"tr-{id}") for id in ids if f"tr-{id}" in known]
        return [_turn(trace) for trace in found if _root(trace["spans"])]

    def session(self, session: str) -> ShownSession:
        """What the traces of the session say together."""
        turns = self.turns(session)
        tokens = [turn.tokens or (0, 0) for turn in turns]
        return ShownSession(
            turns=len(turns),
            failed=sum(turn.failed for turn in turns),
            first_input=turns[0].given,
            last_output=turns[-1].answer,
            tokens=(sum(each[0] for each in tokens), sum(each[1] for each in tokens)),
        )

    def session_page(self, session: str) -> str:
        """Where the conversation is shown."""
        return f"{self._pages()}/chat-sessions/{session}"

    def turn_page(self, turn: ShownTurn) -> str:
        """Where the spans of ``turn`` are shown."""
        return f"{self._pages()}/traces?selectedEvaluationId={turn.id}"

    def step_page(self, turn: ShownTurn, step: ShownStep) -> None:
        """A step is chosen on the page of its turn, and has no address."""

    def count(self) -> int:
        """How many traces there are."""
        count, page = 0, {}
        while page is not None:
            found = self._searched({"max_results": PAGE, **page})
            count += len(found.get("traces", ()))
            token = found.get("next_page_token")
            page = {"page_token": token} if token else None
        return count

    def _trace(self, id: str) -> dict[str, Any]:
        found = self.server.ask(f"/api/3.0/mlflow/traces/get?trace_id={id}")
        trace: dict[str, Any] = found["trace"]
        return trace

    def _infos(self, session: str) -> list[dict[str, Any]]:
        wanted = f"metadata.`mlflow.trace.session` = '{session}'"
        return self._searched({"filter": wanted}).get("traces", [])

    def _searched(self, words: Mapping[str, Any]) -> dict[str, Any]:
        body = {"locations": WHERE, **words}
        found: dict[str, Any] = self.server.ask("/api/3.0/mlflow/traces/search", body)
        return found

    def _pages(self) -> str:
        return f"{self.server.url}/#/experiments/{EXPERIMENT}"


def _root(spans: list[dict[str, Any]]) -> dict[str, Any]:
    return next((span for span in spans if not span.get("parent_span_id")), {})


def _turn(trace: dict[str, Any]) -> ShownTurn:
    info, spans = trace["trace_info"], trace["spans"]
    said, root = info["trace_metadata"], _root(spans)
    attributes = _attributes(root)
    spent = json.loads(said.get("mlflow.trace.tokenUsage", "null"))
    below = sorted(spans, key=lambda span: span["start_time_unix_nano"])
    return ShownTurn(
        id=info["trace_id"],
        session=said.get("mlflow.trace.session"),
        user=said.get("mlflow.trace.user"),
        kind=_kind(attributes),
        name=root["name"],
        given=value_of(info.get("request_preview")),
        answer=value_of(info.get("response_preview")),
        failed=info["state"] == "ERROR",
        tokens=_tokens(spent),
        steps=[_step(span) for span in below if span is not root],
    )


def _step(span: dict[str, Any]) -> ShownStep:
    attributes = _attributes(span)
    given, result = attributes.get("mlflow.spanInputs"), attributes.get("mlflow.spanOutputs")
    reasoning = None
    if (kind := _kind(attributes)) == "model":
        reasoning = _part(result, "reasoning", "content")
        given = _part(given, "text", "content") or _part(given, "tool_call_response", "response")
        result = _part(result, "text", "content")
    return ShownStep(
        name=span["name"],
        kind=kind,
        failed=span["status"].get("code") == "STATUS_CODE_ERROR",
        given=given,
        result=result,
        tokens=_tokens(attributes.get("mlflow.chat.tokenUsage")),
        reasoning=reasoning,
    )


def _part(messages: list[dict[str, Any]] | None, kind: str, key: str) -> Any:
    """What the last message says in its part of ``kind``."""
    parts = messages[-1]["parts"] if messages else ()
    return next((part[key] for part in parts if part["type"] == kind), None)


def _kind(attributes: Mapping[str, Any]) -> str:
    kind = attributes.get("mlflow.spanType", "none")
    return KINDS.get(kind, kind)


def _tokens(spent: Mapping[str, int] | None) -> tuple[int, int] | None:
    return (spent.get("input_tokens", 0), spent.get("output_tokens", 0)) if spent else None


def _attributes(span: Mapping[str, Any]) -> dict[str, Any]:
    return {each["key"]: _plain(each.get("value", {})) for each in span.get("attributes", ())}


def _plain(value: Mapping[str, Any]) -> Any:
    """A value of OTLP's JSON."""
    kind, item = next(iter(value.items()), ("", None))
    if kind == "array_value":
        return [_plain(each) for each in item.get("values", ())]
    if kind == "kvlist_value":
        return {each["key"]: _plain(each.get("value", {})) for each in item.get("values", ())}
    return item
