"""What a framework says of a run that is open: content, messages, usage, model, tool."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

import orjson

from turnspan.capture.contents import add_reasoning, set_input, set_output
from turnspan.capture.definitions import looks_like_tools
from turnspan.capture.drafts import USAGE_KEYS
from turnspan.capture.labels import put_metadata
from turnspan.capture.parts import message_of, reasoning_of, text_of, without_media
from turnspan.capture.requests import put_tools
from turnspan.capture.weight import bounded_facts, weigh_messages
from turnspan.integrations.border import contained
from turnspan.integrations.openings import exact, keep_given
from turnspan.integrations.run_tree import Run, RunTree

__all__ = ["Facts", "known_fields"]

_FIELDS: Final[Mapping[str, Mapping[str, type]]] = {
    "model": {
        "provider": str,
        "request_model": str,
        "response_model": str,
        "response_id": str,
        "operation": str,
        "parameters": dict,
        "finish_reasons": list,
    },
    "tool": {"call_id": str, "type": str, "description": str},
}
_NUMBERS: Final = (int, float)
_NOTHING: Final[Mapping[str, Any]] = {}


class Facts:
    """What is said of open runs, by their ids. A run that is not recorded is passed over.

    Values are taken as they are at that moment.
    """

    _tree: RunTree

    @contained
    def set_input(self, run_id: Hashable, value: object) -> None:
        """Say what went in: text, a list of messages, or anything else as JSON."""
        if (run := self._recorded(run_id)) is not None:
            with run.lock:
                set_input(run.drafts[-1].recorder, run.drafts[-1], exact(value))

    @contained
    def set_output(self, run_id: Hashable, value: object) -> None:
        """Say what came out: text, or anything else as JSON."""
        if (run := self._recorded(run_id)) is not None:
            draft = run.drafts[-1]
            if type(value) is list and draft.kind == "tool":
                value = without_media(value, draft.recorder.limits)
            with run.lock:
                set_output(draft.recorder, draft, exact(value))

    @contained
    def set_messages(
        self, run_id: Hashable, messages: Sequence[Any], read: Callable[[Any], dict[str, Any]]
    ) -> None:
        """Say which messages a run was given, oldest first; each is kept once a turn.

        ``read`` makes a dictionary of a message that was not seen before: `role`, `content`
        and, where there are some, `tool_calls`, `tool_call_id`, `name`, `reasoning`.
        """
        run = self._recorded(run_id)
        if run is None or not run.drafts[-1].recorder.content:
            return
        with run.lock:
            keep_given(run.drafts[-1], run.transcript, messages, read)

    @contained
    def set_answers(
        self, run_id: Hashable, messages: Sequence[Any], read: Callable[[Any], dict[str, Any]]
    ) -> None:
        """Say which messages a run answered with, in the same way."""
        run = self._recorded(run_id)
        if run is None or not run.drafts[-1].recorder.content:
            return
        draft = run.drafts[-1]
        with run.lock:
            forms = [run.transcript.form(message, read) for message in messages]
            conversation = draft.recorder.conversation(draft.turn)
            known = len(conversation.messages)
            draft.fields["output_messages"] = conversation.given(forms)
            weigh_messages(draft.recorder, draft.turn, known)

    @contained
    def set_reply(
        self,
        run_id: Hashable,
        message: dict[str, Any],
        *,
        origin: object = None,
        finish_reason: str | None = None,
        model: Mapping[str, Any] = _NOTHING,
        usage: Mapping[str, Any] = _NOTHING,
    ) -> None:
        """Say what a model answered, in the form that `read` of `set_messages` makes.

        ``origin`` is the framework's own object, known again when it comes back as history;
        ``model`` and ``usage`` are what `set_model` and `set_usage` would say.
        """
        run = self._recorded(run_id)
        if run is None:
            return
        draft = run.drafts[-1]
        recorder = draft.recorder
        draft.merge("model", bounded_facts(recorder, draft, known_fields("model", model)))
        draft.merge("usage", _counts(usage))
        if not recorder.content:
            return
        told = message_of(message, recorder.limits)
        if finish_reason:
            told["finish_reason"] = finish_reason
        with run.lock:
            run.transcript.answered(origin, message)
            conversation = recorder.conversation(draft.turn)
            known = len(conversation.messages)
            draft.fields["output_messages"] = conversation.produced(told, message)
            weigh_messages(recorder, draft.turn, known)
            if thought := reasoning_of(told):
                add_reasoning(recorder, draft, thought)
            if text := text_of(told):
                set_output(recorder, draft, text)

    @contained
    def set_state(
        self,
        run_id: Hashable,
        where: str,
        state: Mapping[str, Any],
        read: Callable[[Any], dict[str, Any]],
        *,
        messages: Sequence[str] = (),
    ) -> None:
        """Say what the state of a run's turn is: ``where`` is `state_before` or `state_after`.

        Under the keys ``messages`` it holds messages, of which it keeps where in the turn
        they are found.
        """
        run = self._recorded(run_id)
        if run is None or not (turn := run.drafts[-1].turn).source.content:
            return
        recorder = turn.source
        with run.lock:
            conversation = recorder.conversation(turn)
            shown = {
                key: {"messages": conversation.given(run.transcript.forms(value, read))}
                if key in messages
                else value
                for key, value in state.items()
            }
            if len(messages) == len(shown):  # nothing of the user's is in it
                turn.fields[where] = orjson.Fragment(orjson.dumps(shown))
            else:
                turn.fields[where] = recorder.json(shown)

    @contained
    def set_tools(self, run_id: Hashable, tools: object) -> None:
        """Say which tools a model was offered: a list of definitions as providers take them."""
        if (run := self._recorded(run_id)) is not None and looks_like_tools(tools):
            draft = run.drafts[-1]
            if draft.recorder.content:
                with run.lock:
                    put_tools(draft.recorder, draft, tools)

    @contained
    def set_usage(self, run_id: Hashable, **counts: float | None) -> None:
        """Say what a model used: the fields of `turnspan.schema.Usage`."""
        known = {
            key: counts[key]
            for key in USAGE_KEYS
            if key in counts and type(counts[key]) in _NUMBERS
        }
        self._merge(run_id, "usage", known)

    @contained
    def set_model(self, run_id: Hashable, **facts: Any) -> None:
        """Say which model was asked and how: the fields of `turnspan.schema.Model`."""
        if (run := self._recorded(run_id)) is not None:
            draft, known = run.drafts[-1], known_fields("model", facts)
            draft.merge("model", bounded_facts(draft.recorder, draft, known))

    @contained
    def set_tool(self, run_id: Hashable, **facts: str | None) -> None:
        """Say which tool was called: the fields of `turnspan.schema.Tool`."""
        self._merge(run_id, "tool", known_fields("tool", facts))

    @contained
    def set_metadata(self, run_id: Hashable, **entries: Any) -> None:
        """Add entries to a run's metadata; a later one of the same name wins."""
        if (run := self._recorded(run_id)) is not None:
            put_metadata(run.drafts[-1].recorder, run.drafts[-1], entries)

    @contained
    def mark_chunk(self, run_id: Hashable, text: str = "", *, by: object = None) -> None:
        """A piece of a stream is here: the first one's time is kept, and how many came.

        Where several tell of the same stream, what the first of them (``by``) tells of counts.
        ``text`` is what the piece says: all of it is the output should the stream have no end.
        """
        run = self._recorded(run_id)
        if run is None:
            return
        if run.chunks == 0:
            run.counted_by = by
            self._mark(run, "first_chunk_at")
        if text and run.pieces is None:
            run.pieces = []
            self._mark_text(run)
        if run.counted_by is by:
            run.chunks += 1
            if text and run.pieces is not None:
                run.pieces.append(text)

    @contained
    def mark_first_chunk(self, run_id: Hashable) -> None:
        """The first piece of a stream is here; later pieces change nothing."""
        if (run := self._recorded(run_id)) is not None:
            self._mark(run, "first_chunk_at")

    def count_steps(self, run_id: Hashable, kind: str, *, call_id: str | None = None) -> int:
        """How many steps of ``kind`` began directly below a run; with ``call_id`` of that call."""
        run = self._tree.find(run_id)
        if run is None or (draft := run.draft) is None or draft.turn.left_out:
            return 0
        turn = draft.turn
        parent = None if draft is turn else draft.fields["id"]
        with run.lock:
            begun = [*turn.steps, *(each.fields for each in turn.open_steps.values())]
        return sum(
            fields["kind"] == kind
            and fields.get("parent_id") == parent
            and (call_id is None or fields.get("tool", {}).get("call_id") == call_id)
            for fields in begun
        )

    def _mark(self, run: Run, where: str) -> None:
        if where not in run.drafts[-1].fields:
            now = run.drafts[-1].recorder.now(run.drafts[-1].turn)
            for draft in run.drafts:
                draft.fields[where] = now

    def _mark_text(self, run: Run) -> None:
        if run.chunks:  # what came before it was something else
            draft = run.drafts[-1]
            after_ms = (draft.recorder.now(draft.turn) - draft.fields["started_at"]) / 1e6
            draft.merge("metadata", {"first_text_ms": draft.recorder.json(after_ms)})

    def _recorded(self, run_id: Hashable) -> Run | None:
        """The open run of that id, if it is a turn or step itself, and recorded."""
        run = self._tree.find(run_id)
        return run if run is not None and run.drafts and not run.drafts[-1].turn.left_out else None

    def _merge(self, run_id: Hashable, key: str, entries: Mapping[str, Any]) -> None:
        if entries and (run := self._recorded(run_id)) is not None:
            run.drafts[-1].merge(key, entries)


def _counts(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: told[key] for key in USAGE_KEYS if type(told.get(key)) in _NUMBERS}


def known_fields(key: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is of the type that the schema wants: one wrong field would lose the turn."""
    fields = _FIELDS[key]
    return {
        name: value for name, value in facts.items() if value and type(value) is fields.get(name)
    }
