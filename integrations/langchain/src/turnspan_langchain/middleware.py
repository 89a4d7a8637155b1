"""What `create_agent` asks of its middleware and callbacks are never told.

It has no hooks before or after the agent, for these are nodes of the graph: they would write
checkpoints and show in streams. What a graph's state was before and after, the handler tells.

Source: langchain 1.5 and 1.0 (`langchain.agents.middleware`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import uuid4

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage

from turnspan.integrations import Runs, contained
from turnspan_langchain.graphs import ambient_parent
from turnspan_langchain.handler import shared
from turnspan_langchain.messages import read_message, said_by_tool

__all__ = ["TurnspanMiddleware"]

_ANSWERED: Final = "answered_by"  # who answered a call that reached no model or tool

if TYPE_CHECKING:
    Middleware: TypeAlias = AgentMiddleware[Any, Any, Any]
else:
    Middleware = AgentMiddleware  # of langchain 1.0 it takes two arguments


class TurnspanMiddleware(Middleware):
    """Records what a `TurnspanHandler` on the same run is not told: pass both.

    LangChain tells callbacks of no tool that it hasn't got, and of no call that another
    middleware answers itself: from a cache, by a guard, instead of an error. These become steps
    here; all that is told is recorded once, by the handler. It is to be the first in the list, for
    then it is around all others. ``runs`` is that of the handler, where it has one of its own.
    """

    def __init__(self, *, runs: Runs | None = None) -> None:
        super().__init__()
        self.tools = []
        self._runs = shared if runs is None else runs

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Call the model, and record an answer that no model gave."""
        before = self._count("model")
        answer = handler(request)
        self._keep_answer(request, answer, before)
        return answer

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """The same, awaited."""
        before = self._count("model")
        answer = await handler(request)
        self._keep_answer(request, answer, before)
        return answer

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Call the tool, and record a result that no tool gave."""
        result = handler(request)
        self._keep_result(request, result)
        return result

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """The same, awaited."""
        result = await handler(request)
        self._keep_result(request, result)
        return result

    def _count(self, kind: str, call_id: str | None = None) -> int | None:
        """How many steps the node has; None if that can't be told."""
        found: list[int] = []
        self._note_count(found, kind, call_id)
        return found[0] if found else None

    @contained
    def _note_count(self, found: list[int], kind: str, call_id: str | None) -> None:
        if (node := ambient_parent()) is not None:
            found.append(self._runs.count_steps(node.int, kind, call_id=call_id))

    @contained
    def _keep_answer(self, request: Any, answer: Any, before: int | None) -> None:
        if before is None or self._count("model") != before:
            return
        said = _reply_in(answer)
        node, step = ambient_parent(), uuid4().int
        if said is None or node is None:
            return
        self._runs.start_step(step, "model", "middleware", parent=node.int)
        try:
            self._runs.set_metadata(step, **{_ANSWERED: "middleware"})
            self._runs.set_messages(step, _given(request), read_message)
            self._runs.set_reply(step, read_message(said), origin=said)
        finally:
            self._runs.end(step)

    @contained
    def _keep_result(self, request: Any, result: Any) -> None:
        call = request.tool_call
        node, step, call_id = ambient_parent(), uuid4().int, call.get("id")
        if node is None or self._count("tool", call_id) != 0:
            return
        facts = {"call_id": call_id, "type": "function"}
        failed: dict[str, str] | None = None
        name = str(call.get("name") or "tool")
        self._runs.start_step(step, "tool", name, parent=node.int, facts=facts)
        try:
            if request.tool is not None:
                self._runs.set_metadata(step, **{_ANSWERED: "middleware"})
            self._runs.set_input(step, call.get("args"))
            if (message := said_by_tool(result)) is not None:
                result = message.content
                if message.status == "error":
                    failed = {"type": "tool_error", "message": str(result)}
            self._runs.set_output(step, result)
        finally:
            self._runs.end(step, error=failed)


def _given(request: Any) -> list[BaseMessage]:
    """What the model would have been asked; langchain 1.0 has the system prompt as text."""
    system = getattr(request, "system_message", None)
    if system is None and (prompt := getattr(request, "system_prompt", None)):
        system = SystemMessage(prompt)
    return [*([] if system is None else [system]), *request.messages]


def _reply_in(answer: Any) -> BaseMessage | None:
    """The model's message in what `wrap_model_call` may give back."""
    if isinstance(answer, AIMessage):
        return answer
    answer = getattr(answer, "model_response", answer)
    found = [each for each in getattr(answer, "result", ()) if isinstance(each, AIMessage)]
    return found[-1] if found else None
