"""The callback handler: a root run is a turn, model, tool and retriever runs are its steps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from langchain_core.tracers.base import BaseTracer

from turnspan.integrations import Opening, Runs, contained
from turnspan_langchain.chains import Chains, Start
from turnspan_langchain.graphs import Callbacks, ambient_parent
from turnspan_langchain.messages import question_of, read_message, said_by_tool
from turnspan_langchain.options import check_options
from turnspan_langchain.places import Place, attempt_of
from turnspan_langchain.replies import model_asked, model_replied, reply_in, text_of_token, usage_in

__all__ = ["TurnspanHandler"]

shared: Final = Runs()
"""What handlers record with unless told otherwise: two of them on one run record it once."""


class TurnspanHandler(Callbacks):
    """Records LangChain and LangGraph runs: pass it in `config={"callbacks": [...]}`.

    One handler serves any number of runs at once, from any thread or task, sync and async.
    Inside a function decorated with `turnspan.agent` a run is a step of that turn. The session
    is the one in force (`turnspan.session`), else the run's `thread_id`.

    ``agent`` names the agent; without it that is `lc_agent_name` or the run's name. ``depth``
    is how many levels of graph nodes are steps: none with 0, all with None. With ``chains``
    every other runnable that isn't tagged as hidden is a step too, and a chain that calls
    neither model nor tool a turn. ``state`` is whether a graph's state before and after is
    kept. ``runs`` is where runs are recorded, if not with what `turnspan.configure()` built.

    Raises:
        TurnspanError: an option is of another type.
    """

    raise_error = False
    run_inline = True  # in the caller's task: executor threads would lose order and context

    def __init__(
        self,
        *,
        agent: str | None = None,
        depth: int | None = 1,
        chains: bool = False,
        state: bool = True,
        runs: Runs | None = None,
    ) -> None:
        check_options(agent=agent, depth=depth, chains=chains, state=state)
        self._options: dict[str, Any] = {
            "agent": agent,
            "depth": depth,
            "chains": chains,
            "state": state,
        }
        self._runs = shared if runs is None else runs
        self._chains = Chains(self._runs, agent=agent, depth=depth, chains=chains, state=state)

    def __deepcopy__(self, memo: object) -> TurnspanHandler:
        """Itself: a copied configuration still tells of the same runs."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled it keeps its options; what is open stays in the process it is open in."""
        return partial(TurnspanHandler, **self._options), ()

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
        name = kwargs.get("name") or _name(serialized, "chain")
        above = _above(parent_run_id)
        self._chains.start(Start(run_id.int, above, name, inputs, tags, metadata or {}))

    @contained
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A chain or graph has answered."""
        try:
            self._chains.answer(run_id.int, outputs, kwargs.get("inputs"))
        finally:
            self._runs.end(run_id.int)

    @contained
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A chain or graph failed, was cancelled or left, or waits for a person."""
        self._chains.fail(run_id.int, error)

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
        given, name = messages[0] if messages else [], _name(serialized, "chat model")
        told = Start(run_id.int, _above(parent_run_id), name, given, tags, metadata or {})
        invocation = kwargs.get("invocation_params") or {}
        self._ask(told, model_asked(told.metadata, invocation))
        self._runs.set_messages(told.run, given, read_message)
        if tools := invocation.get("tools"):
            self._runs.set_tools(told.run, tools)

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
        prompt, name = prompts[0] if prompts else "", _name(serialized, "model")
        told = Start(run_id.int, _above(parent_run_id), name, prompt, tags, metadata or {})
        asked = model_asked(told.metadata, kwargs.get("invocation_params") or {})
        self._ask(told, {**asked, "operation": "text_completion"})
        self._runs.set_messages(told.run, [prompt], _as_user)

    @contained
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A piece of a stream."""
        text = text_of_token(token, kwargs.get("chunk"))
        if text is not None:
            self._runs.mark_chunk(run_id.int, text, by=self)

    @contained
    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A piece of a stream of the event protocol, which may be told of as a token as well."""
        if event.get("event") == "content-block-delta":
            delta = event.get("delta") or {}
            self._runs.mark_chunk(run_id.int, str(delta.get("text") or ""), by=Place)

    @contained
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """A model has answered."""
        try:
            self._reply(run_id.int, response)
        finally:
            self._end_model(run_id.int)

    @contained
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A model failed, perhaps in the middle of its answer."""
        try:
            self._reply(run_id.int, kwargs.get("response"))
        finally:
            self._end_model(run_id.int, error)

    @contained
    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A tool is called; while it runs it is the current step."""
        run, parent = run_id.int, _above(parent_run_id)
        known, place = serialized or {}, self._chains.place_inside(parent, metadata or {})
        name = known.get("name") or kwargs.get("name") or "tool"
        self._runs.start_step(
            run,
            "tool",
            name,
            parent=parent,
            facts={
                # In langchain-core 1.0 a tool's start does not tell its call.
                "call_id": kwargs.get("tool_call_id") or place.call_id,
                "description": known.get("description"),
                "type": "function",
            },
            attempt=attempt_of(tags),
            activate=True,
            about=place,
        )
        self._runs.set_input(run, input_str if inputs is None else inputs)

    @contained
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool has answered; a failure that it handled itself is its error all the same."""
        failed: Mapping[str, str] | None = None
        run = run_id.int
        try:
            if (message := said_by_tool(output)) is not None:
                output = message.content
                self._runs.set_tool(run, call_id=message.tool_call_id)
                if message.status == "error":
                    failed = {"type": "tool_error", "message": str(output)}
            self._runs.set_output(run, output)
        finally:
            self._runs.end(run, error=failed)

    @contained
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool raised."""
        self._chains.fail(run_id.int, error)

    @contained
    def on_retriever_start(
        self,
        serialized: dict[str, Any],
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A retriever is asked."""
        name = kwargs.get("name") or _name(serialized, "retriever")
        told = Start(run_id.int, _above(parent_run_id), name, query, tags, metadata or {})
        self._runs.start_step(
            told.run,
            "retrieval",
            name,
            parent=told.parent,
            opening=partial(self._chains.opening, told, query),
            attempt=attempt_of(tags),
        )
        self._runs.set_input(told.run, query)

    @contained
    def on_retriever_end(
        self, documents: Sequence[Document], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """A retriever has answered."""
        try:
            self._runs.set_output(run_id.int, [_document(found) for found in documents])
        finally:
            self._runs.end(run_id.int)

    @contained
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A retriever failed."""
        self._chains.fail(run_id.int, error)

    @contained
    def on_interrupt(self, event: Any) -> None:
        """LangGraph stops here and waits for a person."""
        if event.run_id is not None:
            self._chains.interrupt(event.run_id.int, event)

    @contained
    def on_resume(self, event: Any) -> None:
        """LangGraph goes on from where it had stopped."""
        if event.run_id is not None:
            self._chains.resume(event.run_id.int, event)

    def _ask(self, told: Start, asked: Mapping[str, Any]) -> None:
        name = str(asked.get("request_model") or told.name)
        place = None if told.parent in self._runs else Place("root", name, None, 0)
        self._runs.start_step(
            told.run,
            "model",
            name,
            parent=told.parent,
            opening=partial(self._alone, told),
            facts=asked,
            attempt=attempt_of(told.tags),
            about=place,
        )
        if place is not None:
            self._watch(told.run, place)

    def _alone(self, told: Start) -> Opening:
        """The turn of a model that is asked outside of any other run."""
        return self._chains.opening(told, question_of(told.given))

    def _reply(self, run: int, response: LLMResult | None) -> None:
        if response is None or (reply := reply_in(response)) is None:
            return
        origin, message = reply
        facts = model_replied(response, origin)
        self._runs.set_reply(
            run,
            message,
            origin=origin,
            finish_reason=next(iter(facts.get("finish_reasons", ())), None),
            model=facts,
            usage=usage_in(response, origin),
        )

    def _end_model(self, run: int, error: BaseException | None = None) -> None:
        place = self._runs.about(run)
        if place is not None and place.task is not None:
            task, watching = place.task
            task.remove_done_callback(watching)
        if error is None:
            self._runs.end(run)
        else:
            self._chains.fail(run, error)

    def _watch(self, run: int, place: Place) -> None:
        """Nobody tells when a bare `await model.ainvoke()` is cancelled, but its task."""
        if asyncio._get_running_loop() is None:  # noqa: SLF001  # the other raises where none runs
            return
        if (task := asyncio.current_task()) is not None and run in self._runs:
            watching = partial(_cut_off, self._runs, run)
            place.task = task, watching
            task.add_done_callback(watching)


BaseTracer.register(TurnspanHandler)  # LangGraph's `TracePolicy` hides things from tracers


def _cut_off(runs: Runs, run: int, task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        runs.end(run, status="cancelled")


def _above(parent_run_id: UUID | None) -> int | None:
    parent = parent_run_id or ambient_parent()
    return None if parent is None else parent.int


def _name(serialized: Mapping[str, Any] | None, default: str) -> str:
    """The name of what runs."""
    found = serialized or {}
    path = found.get("id")
    last = path[-1] if isinstance(path, list) and path else None
    return str(found.get("name") or last or default)


def _as_user(prompt: str) -> dict[str, Any]:
    return {"role": "user", "content": prompt}


def _document(found: Document) -> dict[str, Any]:
    shown: dict[str, Any] = {"page_content": found.page_content, "metadata": found.metadata}
    return shown if found.id is None else {"id": found.id, **shown}
