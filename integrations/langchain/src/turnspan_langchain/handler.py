"""The callback handler: a root run is a turn, model, tool and retriever runs are its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from turnspan.integrations import Opening, Runs, contained
from turnspan_langchain.graphs import Callbacks, ambient_parent, ambient_thread, outcome_of
from turnspan_langchain.messages import answer_of, question_of, read_message, said_by_tool
from turnspan_langchain.replies import model_asked, model_replied, reply_in, usage_in

__all__ = ["TurnspanHandler"]

# Metadata that LangChain and LangGraph put there themselves.
_THEIRS: Final = ("ls_", "lc_", "langgraph_", "checkpoint", "__")
_NAMED: Final = frozenset({"thread_id", "run_id", "task_id", "assistant_id", "graph_id"})


class TurnspanHandler(Callbacks):
    """Records LangChain and LangGraph runs: pass it in `config={"callbacks": [...]}`.

    One handler serves any number of runs at once, from any thread or task. Inside a function
    decorated with `turnspan.agent` a run is a step of that turn. The session is the one in
    force (`turnspan.session`), else the run's `thread_id`.

    ``agent`` names the agent; without it that is `lc_agent_name` or the run's name. With
    ``chains`` every chain and graph node below the root is a step too. ``runs`` is where runs
    are recorded, if not with what `turnspan.configure()` built.
    """

    raise_error = False
    run_inline = True  # in the caller's task: executor threads would lose order and context

    def __init__(
        self, *, agent: str | None = None, chains: bool = False, runs: Runs | None = None
    ) -> None:
        self._agent = agent
        self._chains = chains
        self._runs = Runs() if runs is None else runs

    def __deepcopy__(self, memo: object) -> TurnspanHandler:
        """Itself: a copied configuration still tells of the same runs."""
        return self

    @contained
    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A chain or graph begins: the turn, or something inside it."""
        parent, name = parent_run_id or ambient_parent(), _name(serialized, kwargs, "chain")
        if parent not in self._runs:
            asked = question_of(inputs)
            opening = self._opening(name, asked, tags=tags, metadata=metadata)
            self._runs.start_agent(run_id, opening, parent=parent)
        elif self._chains:
            self._runs.start_step(run_id, "step", name, parent=parent)
            self._runs.set_input(run_id, question_of(inputs))
        else:
            self._runs.start_passage(run_id, parent=parent)

    @contained
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A chain or graph has answered."""
        try:
            self._runs.set_output(run_id, answer_of(outputs))
        finally:
            self._runs.end(run_id)

    @contained
    def on_chain_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """A chain or graph failed, was cancelled or left, or waits for a person."""
        self._fail(run_id, parent_run_id, error)

    @contained
    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A chat model is asked."""
        given = messages[0] if messages else []
        name = _name(serialized, kwargs, "chat model")
        opening = self._opening(name, question_of(given), tags=tags, metadata=metadata)
        asked = model_asked(metadata or {}, kwargs.get("invocation_params") or {})
        self._ask(run_id, parent_run_id, name, asked, opening)
        self._runs.set_messages(run_id, given, read_message)

    @contained
    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A model that completes text is asked."""
        prompt, name = prompts[0] if prompts else "", _name(serialized, kwargs, "model")
        opening = self._opening(name, prompt, tags=tags, metadata=metadata)
        asked = model_asked(metadata or {}, kwargs.get("invocation_params") or {})
        self._ask(run_id, parent_run_id, name, asked, opening)
        self._runs.set_model(run_id, operation="text_completion")
        self._runs.set_messages(run_id, [prompt], _as_user)

    @contained
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A piece of a stream: only when the first one came is kept."""
        if token or _calls_tools(kwargs.get("chunk")):
            self._runs.mark_first_chunk(run_id)

    @contained
    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A piece of a stream of the event protocol."""
        if event.get("event") == "content-block-delta":
            self._runs.mark_first_chunk(run_id)

    @contained
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """A model has answered."""
        try:
            self._reply(run_id, response)
        finally:
            self._runs.end(run_id)

    @contained
    def on_llm_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """A model failed, perhaps in the middle of its answer."""
        try:
            self._reply(run_id, kwargs.get("response"))
        finally:
            self._fail(run_id, parent_run_id, error)

    @contained
    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A tool is called."""
        name = _name(serialized, {}, "") or _name(None, kwargs, "tool")
        parent = parent_run_id or ambient_parent()
        call_id, description = kwargs.get("tool_call_id"), (serialized or {}).get("description")
        self._runs.start_step(run_id, "tool", name, parent=parent)
        self._runs.set_tool(run_id, call_id=call_id, description=description, type="function")
        self._runs.set_input(run_id, input_str if inputs is None else inputs)

    @contained
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool has answered; a failure that it handled itself is its error all the same."""
        failed: Mapping[str, str] | None = None
        try:
            if (message := said_by_tool(output)) is not None:
                output = message.content
                # In langchain-core 1.0 a tool's start does not tell its call.
                self._runs.set_tool(run_id, call_id=message.tool_call_id)
                if message.status == "error":
                    failed = {"type": "tool_error", "message": str(output)}
            self._runs.set_output(run_id, output)
        finally:
            self._runs.end(run_id, error=failed)

    @contained
    def on_tool_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """A tool raised."""
        self._fail(run_id, parent_run_id, error)

    @contained
    def on_retriever_start(
        self,
        serialized: dict[str, Any],
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """A retriever is asked."""
        name = _name(serialized, kwargs, "retriever")
        parent = parent_run_id or ambient_parent()
        self._runs.start_step(run_id, "retrieval", name, parent=parent)
        self._runs.set_input(run_id, query)

    @contained
    def on_retriever_end(
        self, documents: Sequence[Document], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """A retriever has answered."""
        try:
            self._runs.set_output(run_id, [_document(found) for found in documents])
        finally:
            self._runs.end(run_id)

    @contained
    def on_retriever_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """A retriever failed."""
        self._fail(run_id, parent_run_id, error)

    @contained
    def on_interrupt(self, event: Any) -> None:
        """LangGraph stops here and waits for a person."""
        self._runs.pause(event.run_id)

    def _ask(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        name: str,
        asked: Mapping[str, Any],
        opening: Opening,
    ) -> None:
        parent, name = parent_run_id or ambient_parent(), str(asked.get("request_model") or name)
        self._runs.start_step(run_id, "model", name, parent=parent, opening=opening)
        self._runs.set_model(run_id, **asked)

    def _reply(self, run_id: UUID, response: LLMResult | None) -> None:
        if response is None or (reply := reply_in(response)) is None:
            return
        origin, message = reply
        facts = model_replied(response, origin)
        self._runs.set_model(run_id, **facts)
        self._runs.set_usage(run_id, **usage_in(response, origin))
        reason = next(iter(facts.get("finish_reasons", ())), None)
        self._runs.set_reply(run_id, message, origin=origin, finish_reason=reason)

    def _fail(self, run_id: UUID, parent_run_id: UUID | None, error: BaseException) -> None:
        outcome = outcome_of(error)
        if outcome == "paused" and parent_run_id is not None:
            self._runs.pause(parent_run_id)  # which is where the interrupt goes next
        self._runs.end(run_id, status=outcome, error=None if outcome else error)

    def _opening(
        self,
        name: str,
        asked: Any,
        *,
        tags: Sequence[str] | None,
        metadata: Mapping[str, Any] | None,
    ) -> Opening:
        known = metadata or {}
        thread = known.get("thread_id") or ambient_thread()
        return Opening(
            agent=self._agent or known.get("lc_agent_name") or name,
            input=asked,
            session_id=None if thread is None else str(thread),
            metadata={key: value for key, value in known.items() if _is_users(key)},
            tags=[tag for tag in tags or () if isinstance(tag, str)],
        )


def _name(serialized: Mapping[str, Any] | None, told: Mapping[str, Any], default: str) -> str:
    """The run's own name, else that of what runs."""
    if name := told.get("name"):
        return str(name)
    found = serialized or {}
    path = found.get("id")
    last = path[-1] if isinstance(path, list) and path else None
    return str(found.get("name") or last or default)


def _is_users(key: str) -> bool:
    return key not in _NAMED and not key.startswith(_THEIRS)


def _as_user(prompt: str) -> dict[str, Any]:
    return {"role": "user", "content": prompt}


def _calls_tools(chunk: Any) -> bool:
    return bool(getattr(getattr(chunk, "message", None), "tool_call_chunks", None))


def _document(found: Document) -> dict[str, Any]:
    shown: dict[str, Any] = {"page_content": found.page_content, "metadata": found.metadata}
    return shown if found.id is None else {"id": found.id, **shown}
