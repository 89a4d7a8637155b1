"""Runs: what a framework's callbacks tell by run id becomes turns and steps.

A callback may end in another task or thread than it began in, twice, or never. So a parent is
named by its run id and never taken from context; context is asked once, whether a root stands
inside a turn that is already open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from turnspan import session  # by the front door, which says how a first use configures
from turnspan.capture.active import active
from turnspan.capture.contents import set_input, set_output
from turnspan.capture.context import Session, current_draft, current_session
from turnspan.capture.drafts import USAGE_KEYS, Draft, TurnDraft
from turnspan.capture.parts import message_of, reasoning_of, text_of
from turnspan.capture.recorder import Recorder
from turnspan.capture.values import encodable
from turnspan.integrations.border import contained
from turnspan.integrations.endings import Failure, close_run, status_after
from turnspan.integrations.run_tree import Run, RunTree
from turnspan.integrations.transcript import transcript_of

__all__ = ["Opening", "Runs"]

MAX_ROOTS: Final = 10_000
MAX_IDLE_S: Final = 3600.0
_MODEL_FIELDS: Final[Mapping[str, type]] = {
    "provider": str,
    "request_model": str,
    "response_model": str,
    "response_id": str,
    "operation": str,
    "parameters": dict,
    "finish_reasons": list,
}
_TOOL_FIELDS: Final[Mapping[str, type]] = {"call_id": str, "type": str, "description": str}


@dataclass(frozen=True, slots=True)
class Opening:
    """What a turn is, where a run turns out to be one."""

    agent: str
    input: object = None
    session_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()


class Runs:
    """The open runs of one framework, by the ids the framework gives them. Thread-safe.

    Every method is a border: nothing it meets is raised into the framework. Values are taken
    as they are at that moment. A run that is not open, because it never began, has ended or is
    not recorded, is passed over. A run that begins twice begins once.

    A run whose parent is open stands under it. Any other is a root: inside a turn that was
    opened elsewhere (`turnspan.agent`) it becomes a step of it, and outside it is a turn.
    When a root ends, what is open below it ends too. Roots that never end are bounded: the
    one that was silent longest is ended as cancelled when there are more than ``max_roots``,
    and each after ``max_idle_s`` seconds of silence.
    """

    def __init__(
        self,
        *,
        recorder: Recorder | None = None,
        max_roots: int = MAX_ROOTS,
        max_idle_s: float = MAX_IDLE_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._given = recorder
        self._tree = RunTree(monotonic_s)
        self._max_roots = max_roots
        self._max_idle_s = max_idle_s

    def __len__(self) -> int:
        """How many runs are open."""
        return len(self._tree)

    def __contains__(self, run_id: Hashable) -> bool:
        """Whether the run of that id is open."""
        return self._tree.find(run_id) is not None

    @contained
    def start_agent(
        self, run_id: Hashable, opening: Opening, *, parent: Hashable | None = None
    ) -> None:
        """Begin the run of an agent: a turn, or a nested agent where one is open."""
        if self._tree.find(run_id) is not None:
            return
        above = self._tree.find(parent)
        if (under := _draft_above(above)) is not None and under.turn.left_out:
            self._hold(run_id, (), under, above)
        elif under is not None:
            draft = under.recorder.open_step(under, "agent", opening.agent, activate=False)
            draft.fields["agent"] = {"name": opening.agent}
            self._hold(run_id, (draft,), draft, above)
            self.set_input(run_id, opening.input)
        elif (turn := self._open_turn(opening)) is not None:
            self._hold(run_id, (turn,), turn, None)

    @contained
    def start_step(
        self,
        run_id: Hashable,
        kind: str,
        name: str,
        *,
        parent: Hashable | None = None,
        opening: Opening | None = None,
    ) -> None:
        """Begin a step of ``kind``: `model`, `tool`, `retrieval`, `agent` or `step`.

        Where no turn is open, ``opening`` begins one around it; without that the recorder's
        `orphans` setting decides, as it does for a decorated function.
        """
        if self._tree.find(run_id) is not None:
            return
        above = self._tree.find(parent)
        under = _draft_above(above)
        turn = None if under is not None else self._turn_around(name, opening)
        if (over := under or turn) is None:
            return
        if over.turn.left_out:
            self._hold(run_id, () if turn is None else (turn,), over, above)
            return
        step = over.recorder.open_step(over, kind, name, activate=False)
        above = above if turn is None else None
        self._hold(run_id, (step,) if turn is None else (turn, step), step, above)

    @contained
    def start_passage(self, run_id: Hashable, *, parent: Hashable) -> None:
        """Begin a run that is not recorded itself: its children stand under its parent."""
        above = self._tree.find(parent)
        if above is not None and self._tree.find(run_id) is None:
            self._hold(run_id, (), above.draft, above)

    @contained
    def set_input(self, run_id: Hashable, value: object) -> None:
        """Say what went in: text, a list of messages, or anything else as JSON."""
        if (run := self._recorded(run_id)) is not None:
            with run.transcript.lock:
                set_input(run.draft.recorder, run.draft, _exact(value))

    @contained
    def set_output(self, run_id: Hashable, value: object) -> None:
        """Say what came out: text, or anything else as JSON."""
        if (run := self._recorded(run_id)) is not None:
            with run.transcript.lock:
                set_output(run.draft.recorder, run.draft, _exact(value))

    @contained
    def set_messages(
        self, run_id: Hashable, messages: Sequence[Any], read: Callable[[Any], dict[str, Any]]
    ) -> None:
        """Say which messages a model was given, oldest first; each is kept once a turn.

        ``read`` makes a dictionary of a message that was not seen before: `role`, `content`
        and, where there are some, `tool_calls`, `tool_call_id`, `name`, `reasoning`.
        """
        run = self._recorded(run_id)
        if run is None or not run.draft.recorder.content:
            return
        with run.transcript.lock:
            forms = run.transcript.forms(messages, read)
            conversation = run.draft.recorder.conversation(run.draft.turn)
            run.draft.fields["input_messages"] = conversation.given(forms)

    @contained
    def set_reply(
        self,
        run_id: Hashable,
        message: dict[str, Any],
        *,
        origin: object = None,
        finish_reason: str | None = None,
    ) -> None:
        """Say what a model answered, in the form that `read` of `set_messages` makes.

        ``origin`` is the framework's own object, known again when it comes back as history.
        """
        run = self._recorded(run_id)
        if run is None or not run.draft.recorder.content:
            return
        draft, recorder = run.draft, run.draft.recorder
        told = message_of(message, recorder.limits)
        if finish_reason:
            told["finish_reason"] = finish_reason
        with run.transcript.lock:
            run.transcript.answered(origin, message)
            draft.fields["output_messages"] = recorder.conversation(draft.turn).produced(
                told, message
            )
            if thought := reasoning_of(told):
                draft.add_text("reasoning", encodable(thought))
            if text := text_of(told):
                set_output(recorder, draft, text)

    @contained
    def set_usage(self, run_id: Hashable, **counts: float | None) -> None:
        """Say what a model used: the fields of `turnspan.schema.Usage`."""
        known = {key: counts.get(key) for key in USAGE_KEYS}
        self._merge(run_id, "usage", {k: v for k, v in known.items() if type(v) in (int, float)})

    @contained
    def set_model(self, run_id: Hashable, **facts: Any) -> None:
        """Say which model was asked and how: the fields of `turnspan.schema.Model`."""
        self._merge(run_id, "model", _of_type(facts, _MODEL_FIELDS))

    @contained
    def set_tool(self, run_id: Hashable, **facts: str | None) -> None:
        """Say which tool was called: the fields of `turnspan.schema.Tool`."""
        self._merge(run_id, "tool", _of_type(facts, _TOOL_FIELDS))

    @contained
    def set_metadata(self, run_id: Hashable, **entries: Any) -> None:
        """Add entries to a run's metadata; a later one of the same name wins."""
        if (run := self._recorded(run_id)) is not None:
            recorder = run.draft.recorder
            self._merge(run_id, "metadata", {k: recorder.json(v) for k, v in entries.items()})

    @contained
    def mark_first_chunk(self, run_id: Hashable) -> None:
        """The first piece of a stream is here; later pieces change nothing."""
        run = self._recorded(run_id)
        if run is None or "first_chunk_at" in run.draft.fields:
            return
        now = run.draft.recorder.now(run.draft.turn)
        for draft in run.drafts:
            draft.fields["first_chunk_at"] = now

    @contained
    def pause(self, run_id: Hashable) -> None:
        """This run waits for a person: if it ends well, its status is `paused`."""
        if (run := self._tree.find(run_id)) is not None:
            run.paused = True

    @contained
    def end(
        self,
        run_id: Hashable,
        *,
        status: str | None = None,
        error: Failure | None = None,
    ) -> None:
        """End a run, and with a root all that is still open below it.

        ``error`` is the exception that ended it, or `type` and `message` where there was
        none. Without ``status`` it is what ``error`` says, and `ok` without an error.
        """
        run = self._tree.take(run_id)
        if run is None:
            return
        status = status or ("paused" if run.paused and error is None else status_after(error))
        if run.root is None:
            self._sweep(run, status)
        close_run(run, status, error)

    def _sweep(self, root: Run, status: str) -> None:
        """What was still open when its root ended well is `open`; else it was cut off."""
        left = {"ok": "open", "error": "cancelled"}.get(status, status)
        for run in self._tree.sweep(root):
            close_run(run, left, None)

    def _recorded(self, run_id: Hashable) -> Run | None:
        """The open run of that id, if it is a turn or step itself, and recorded."""
        run = self._tree.find(run_id)
        return run if run is not None and run.drafts and not run.draft.turn.left_out else None

    def _merge(self, run_id: Hashable, key: str, entries: Mapping[str, Any]) -> None:
        if (run := self._recorded(run_id)) is not None:
            run.draft.merge(key, entries)

    def _turn_around(self, name: str, opening: Opening | None) -> TurnDraft | None:
        if opening is None:
            recorder = self._recorder()
            if recorder is None or not recorder.orphans:
                return None
            opening = Opening(name)
        return self._open_turn(opening)

    def _open_turn(self, opening: Opening) -> TurnDraft | None:
        for run_id in self._tree.stale(self._max_roots - 1, self._max_idle_s):
            self.end(run_id, status="cancelled")
        recorder = self._recorder()
        if recorder is None:
            return None
        now = current_session.get() or Session()
        metadata = {**opening.metadata, **now.metadata}
        tags = tuple(dict.fromkeys((*now.tags, *opening.tags)))
        joined = now.id or opening.session_id
        with session(joined, user_id=now.user_id, metadata=metadata, tags=tags):
            turn = recorder.open_turn({"name": opening.agent}, activate=False)
        if turn.left_out:
            return turn
        try:
            set_input(recorder, turn, _exact(opening.input))
            recorder.announce(turn)
        except Exception:
            recorder.abandon(turn)
            raise
        return turn

    def _hold(
        self, run_id: Hashable, drafts: tuple[Draft, ...], draft: Draft, above: Run | None
    ) -> None:
        root = None if above is None else above.root or above
        self._tree.add(Run(run_id, drafts, draft, transcript_of(draft.turn), root))

    def _recorder(self) -> Recorder | None:
        return self._given or active.recorder or active.awaken()


def _draft_above(above: Run | None) -> Draft | None:
    """What a new run stands under: its parent's draft, or the turn that is open here."""
    draft = above.draft if above is not None else current_draft.get()
    return None if draft is None or draft.turn.ended else draft


def _exact(value: object) -> object:
    """A text is a text, though frameworks have subclasses of `str` of their own."""
    return str.__str__(value) if isinstance(value, str) else value


def _of_type(facts: Mapping[str, Any], fields: Mapping[str, type]) -> dict[str, Any]:
    """What is of the type that the schema wants: one wrong field would lose the turn."""
    found = {key: facts[key] for key, kind in fields.items() if type(facts.get(key)) is kind}
    return {key: value for key, value in found.items() if value}
