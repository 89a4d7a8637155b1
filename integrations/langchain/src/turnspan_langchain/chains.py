"""Chains and graphs: which of their runs is a turn, an agent, a step, or passed through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from turnspan.integrations import Opening, Runs
from turnspan_langchain.graphs import (
    ambient_setting,
    fields_of,
    holds_messages,
    interrupts_in,
    is_command,
    outcome_of,
    resumes,
    shown_to_person,
    update_of,
    waiting_for,
)
from turnspan_langchain.messages import (
    answer_of,
    last_reply_in,
    messages_of,
    question_of,
    read_message,
)
from turnspan_langchain.places import HIDDEN, Place, attempt_of, call_in, is_graph, role_below

__all__ = ["Chains", "Start"]

# Metadata that LangChain and LangGraph put there themselves.
_THEIRS: Final = ("ls_", "lc_", "langgraph_", "checkpoint", "__")
_NAMED: Final = frozenset(
    {"thread_id", "session_id", "run_id", "task_id", "assistant_id", "graph_id"}
)
_PUSHED: Final = "__pregel_push"
_UNNAMED: Final = "LangGraph"  # what a graph without a name is called
_STREAMED: Final = {"input": ""}  # what a chain that is streamed is given at its start


class Start(NamedTuple):
    """What LangChain tells as a run begins, ids as numbers."""

    run: int
    parent: int | None
    name: str
    given: Any
    tags: Sequence[str] | None
    metadata: Mapping[str, Any]


class Chains:
    """What one handler records of chains and graphs. Thread-safe; its callers are borders."""

    def __init__(
        self, runs: Runs, *, agent: str | None, depth: int | None, chains: bool, state: bool
    ) -> None:
        self._runs = runs
        self._agent = agent
        self._depth = depth
        self._chains = chains
        self._state = state

    def start(self, told: Start) -> None:
        """A run begins below its parent, or as a root where that is not open."""
        run, parent = told.run, told.parent
        above: Place | None = self._runs.about(parent)
        if above is None:
            if parent is None or parent not in self._runs:
                self._start_root(told)
            return
        role = role_below(above, told.name, told.metadata)
        if role == "node":
            self._start_node(told, above)
        elif role == "agent" and self._depth != 0:
            self._start_nested(told, above)
        elif self._chains and not _is_hidden(told.tags):
            place = above.below("step", told.name)
            attempt = attempt_of(told.tags)
            self._runs.start_step(
                run, "step", told.name, parent=parent, attempt=attempt, about=place
            )
            self._runs.set_input(run, question_of(told.given))
        else:
            about = above.inside
            if role == "agent":
                about = above.below("passage", told.name)
                about.is_graph = True
            self._runs.start_passage(run, parent=parent, about=about)

    def answer(self, run: int, outputs: Any, inputs: Any = None) -> None:
        """A run ends well with ``outputs``; streamed ones tell only now what they were given."""
        place: Place | None = self._runs.about(run)
        if place is None or place.role == "passage":
            return
        if place.role == "node":
            self._runs.set_output(run, update_of(outputs))
            return
        if inputs is not None:
            self._runs.set_input(run, question_of(inputs))
        if place.is_graph and place.role == "root":
            self._keep_state(run, "state_after", outputs)
        if place.interrupts:
            self._wait(run, place)
            self._runs.set_output(run, shown_to_person(place.interrupts))
        else:
            self._runs.set_output(run, answer_of(outputs))
            if (reply := last_reply_in(outputs)) is not None:
                self._runs.set_answers(run, [reply], read_message)
        if place.is_resumption:
            self._go_on(run, place)

    def fail(self, run: int, error: BaseException) -> None:
        """A run ends with ``error``, which may only be a graph's control flow."""
        outcome = outcome_of(error)
        place: Place | None = self._runs.about(run)
        if outcome == "paused":
            self._carry_up(run, error)
        elif outcome == "ok" and error.args:
            self._runs.set_output(run, update_of(error.args[0]))  # where it hands over to
        elif outcome is None and place is not None and place.role == "node":
            above = self._runs.about(self._runs.parent_of(run))
            if above is not None and place.namespace is not None:
                above.failed = {*(above.failed or ()), place.namespace}
        if place is not None and place.is_resumption:
            self._go_on(run, place)
        self._runs.end(run, status=outcome, error=None if outcome else error)

    def interrupt(self, run: int, event: Any) -> None:
        """The graph of a run stops and waits; nothing but this tells of a breakpoint."""
        place: Place | None = self._runs.about(run)
        root = self._runs.root_of(run)
        if place is None:
            self._runs.pause(run)
            return
        place.interrupts = event.interrupts
        namespace = "|".join(event.checkpoint_ns)
        waiting = waiting_for(place.thread, event.interrupts, event.checkpoint_id, namespace)
        self._runs.pause(run, waiting)
        if root != run and place.namespace is None:
            self._runs.pause(root, waiting)

    def resume(self, run: int, event: Any) -> None:
        """The graph of a run goes on where it had stopped, or from a checkpoint it was given."""
        place: Place | None = self._runs.about(run)
        if place is not None and place.namespace is None:
            self._go_on(run, place, event.checkpoint_id, "|".join(event.checkpoint_ns))

    def opening(self, told: Start, asked: Any, messages: Sequence[Any] = ()) -> Opening:
        """What the turn of a root is."""
        metadata = told.metadata
        kept = {key: value for key, value in metadata.items() if _is_users(key)}
        if (checkpoint := metadata.get("checkpoint_id")) is not None:
            kept["checkpoint_id"] = checkpoint
        return Opening(
            agent=self._agent or metadata.get("lc_agent_name") or told.name,
            input=asked,
            session_id=_session_of(metadata),
            metadata=kept,
            tags=[tag for tag in told.tags or () if isinstance(tag, str) and not _is_internal(tag)],
            messages=messages,
            read=read_message,
        )

    def place_inside(self, parent: int | None, metadata: Mapping[str, Any]) -> Place:
        """The place of a tool, whose code may call anything."""
        above: Place | None = self._runs.about(parent)
        if above is not None:
            return above.inside
        return Place("passage", "", metadata.get("langgraph_checkpoint_ns"), 0)

    def _start_root(self, told: Start) -> None:
        metadata, inputs = told.metadata, told.given
        place = Place("root", told.name, None, 0)
        place.agent = metadata.get("lc_agent_name")
        place.is_graph = is_graph(metadata) or is_command(inputs)
        place.thread = _thread_of(metadata)
        place.checkpoint_id = metadata.get("checkpoint_id")
        place.is_resumption = resumes(inputs)
        asked = None if inputs == _STREAMED else question_of(inputs)
        opening = partial(self.opening, told, asked, messages_of(inputs))
        tentative = not (place.is_graph or self._chains)
        self._runs.start_agent(
            told.run, opening, parent=told.parent, tentative=tentative, about=place
        )

    def _start_node(self, told: Start, above: Place) -> None:
        run, parent, name, inputs, tags, metadata = told
        if not above.is_graph:
            above = self._find_graph(parent, above, metadata)
        if above.role == "root" and not above.has_state:
            above.has_state = True
            self._keep_state(parent, "state_before", inputs)
        place = above.below("node", name)
        place.namespace, place.depth = metadata["langgraph_checkpoint_ns"], above.depth + 1
        path = metadata.get("langgraph_path") or ()
        is_sent = _PUSHED in path[:1]
        if is_sent:
            place.call_id = call_in(inputs)
        if (self._depth is not None and place.depth > self._depth) or _is_hidden(tags):
            place.role = "passage"
            self._runs.start_passage(run, parent=parent, about=place)
            return
        again = above.failed is not None and place.namespace in above.failed
        attempt = 2 if again else 1
        self._runs.start_step(run, "step", name, parent=parent, attempt=attempt, about=place)
        if is_sent and place.call_id is None and isinstance(inputs, Mapping):
            self._runs.set_input(run, update_of(inputs))

    def _find_graph(self, parent: int | None, above: Place, metadata: Mapping[str, Any]) -> Place:
        """``above`` turns out to be a graph: it has nodes."""
        if above.role == "passage":  # which it shares with others
            above = above.below("agent", above.name)
            self._runs.note(parent, above)
        if above.role == "root" or self._depth != 0:
            self._runs.promote(parent, Opening(metadata.get("lc_agent_name") or above.name))
        above.is_graph = True
        above.thread = above.thread or _thread_of(metadata)
        return above

    def _start_nested(self, told: Start, above: Place) -> None:
        agent = told.metadata.get("lc_agent_name")
        name = told.name if agent == above.agent or agent is None else agent
        if name == _UNNAMED:
            name = told.metadata.get("langgraph_node") or name
        place = above.below("agent", name)
        place.agent, place.is_graph = agent, True
        place.thread = _thread_of(told.metadata)
        opening = Opening(name, question_of(told.given))
        self._runs.start_agent(told.run, opening, parent=told.parent, about=place)

    def _carry_up(self, run: int, error: BaseException) -> None:
        """Interrupts go up to the root, which ends well and does not tell of them."""
        self._runs.pause(self._runs.parent_of(run))
        if isinstance(root := self._runs.about(self._runs.root_of(run)), Place):
            known = {each.id: each for each in (*root.interrupts, *interrupts_in(error))}
            root.interrupts = list(known.values())

    def _wait(self, run: int, place: Place) -> None:
        """Where LangGraph doesn't tell of the checkpoint, the interrupts have to do."""
        if (waiting := waiting_for(place.thread, place.interrupts)) is not None:
            self._runs.pause(run, waiting, only_first=True)

    def _go_on(self, run: int, place: Place, checkpoint: str = "", namespace: str = "") -> None:
        certain, place.is_resumption = place.is_resumption, False
        if place.thread is None:
            return
        waiting = waiting_for(place.thread, (), checkpoint, namespace)
        if waiting is not None:
            self._runs.resume(run, waiting, certain=certain or place.checkpoint_id is None)

    def _keep_state(self, run: int | None, where: str, state: Any) -> None:
        if self._state and (fields := fields_of(state)) is not None:
            shown = {key: value for key, value in fields.items() if isinstance(key, str)}
            messages = [
                key
                for key, value in shown.items()
                if holds_messages(value) and isinstance(value, list)
            ]
            self._runs.set_state(run, where, shown, read_message, messages=messages)


def _thread_of(metadata: Mapping[str, Any]) -> str | None:
    return _told(metadata, "thread_id")


def _session_of(metadata: Mapping[str, Any]) -> str | None:
    """The thread, or what LangChain's message histories call a session."""
    thread = _told(metadata, "thread_id")
    return _told(metadata, "session_id") if thread is None else thread


def _told(metadata: Mapping[str, Any], name: str) -> str | None:
    found = metadata.get(name)
    if found is None:
        found = ambient_setting(name)
    return None if found is None else str(found)


def _is_users(key: str) -> bool:
    return key not in _NAMED and not key.startswith(_THEIRS)


def _is_hidden(tags: Sequence[str] | None) -> bool:
    return tags is not None and HIDDEN in tags


def _is_internal(tag: str) -> bool:
    return tag.startswith(("langsmith:", "seq:step:", "map:key:", "graph:step:", "retry:attempt:"))
