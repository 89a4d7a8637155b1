"""The recorder: the only place where what the caller does becomes records.

Everything here runs in the caller's thread, so every microsecond is the caller's. Methods
that callers of decorated functions reach through `wrappers` never raise; the others say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from turnspan.capture.calls import Call
from turnspan.capture.contents import put_input, put_output
from turnspan.capture.context import Session, current_draft, current_session
from turnspan.capture.conversation import Conversation
from turnspan.capture.drafts import Draft, Fields, StepDraft, TurnDraft, trace_of
from turnspan.capture.endings import drop_contents, leave_elsewhere, put_rest, restore, with_context
from turnspan.capture.extras import put_extras, put_last_extras
from turnspan.capture.failures import error_of, status_of
from turnspan.capture.guarded import guarded
from turnspan.capture.labels import put_labels
from turnspan.capture.lines import LINE, SHORT_CHARS, Nowhere, careful_line, line_of, shortened
from turnspan.capture.options import Options
from turnspan.capture.redaction import Redaction
from turnspan.capture.span_notes import bounded_notes
from turnspan.capture.values import Limits, to_json
from turnspan.capture.weight import bounded_steps, weigh_error
from turnspan.interrupts import is_anothers
from turnspan.notices import say
from turnspan.ports import Activation, Clock, Ids, SpanSource, TurnLog

__all__ = ["LONG_TURN_NS", "Recorder"]

LONG_TURN_NS: Final = 1_000_000_000
SCHEMA_VERSION: Final = 1
_NOTHING: Final[Mapping[str, Any]] = {}


class Recorder:
    """Opens and closes turns and steps. Thread-safe; a turn may end in another thread.

    The long methods are long on purpose: a function more is a function more in every call
    of the caller's.
    """

    def __init__(
        self, log: TurnLog, spans: SpanSource, clock: Clock, ids: Ids, options: Options
    ) -> None:
        log, spans, redaction = guarded(options.policy, log, spans)
        self.redaction: Redaction | None = redaction
        self._log = log
        self._on_first = options.on_first
        self._append: Callable[[bytes], None] = (
            log.append if options.on_first is None else self._append_first
        )
        self._baggage = options.baggage
        self._spans = spans
        self._start_span = spans.start
        self._end_span = spans.end
        self.clock: Clock = clock
        self._now_ns = clock.now_ns
        self._monotonic_ns = clock.monotonic_ns
        self._turn_id = ids.turn_id
        self._resource = orjson.Fragment(orjson.dumps(options.resource))
        self.max_turn_bytes: int = options.max_turn_bytes
        self.content: bool = options.policy.records_content
        self._plain = self.redaction is None
        self.limits: Limits = options.limits
        self.max_bytes: int = options.limits.max_bytes
        self.short_chars: int = self.max_bytes // 4  # fits whatever its characters are
        self.orphans: bool = options.orphans
        self.directory: Path | None = options.directory
        self.opened: int = 0
        self.recorded: int = 0
        self.lost: int = 0
        self.failures: int = 0
        self.late_steps: int = 0
        self.sampled_out: int = 0
        self.noted: int = 0

    def enter(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Draft | None:
        """Open what a call of ``call`` is: a turn, a step, or nothing. Never raises."""
        draft: Draft | None = None
        parent = current_draft.get()
        try:
            if parent is not None and not parent.turn.ended:
                draft = self.open_step(parent, call.kind, call.name, call.known)
                put_input(self, draft, call, args, kwargs)
            elif call.kind == "agent" or self.orphans:
                draft = turn = self.open_turn(call.agent)
                if (
                    len(args) == call.parameters.one
                    and type(text := args[-1]) is str
                    and len(text) <= self.short_chars
                    and text.isascii()
                    and not kwargs
                    and self._plain
                ):
                    turn.fields["input"] = {"type": "text", "content": text}
                else:
                    put_input(self, turn, call, args, kwargs)
                if call.extras:
                    put_extras(self, turn, call)
                self.announce(turn)
        except BaseException as exc:  # noqa: BLE001  # border: nothing of ours reaches the caller
            self.undo(draft or current_draft.get(), parent)
            self.contain("a call could not be recorded", exc)
            return None
        return draft

    def leave(self, draft: Draft, call: Call, result: object) -> None:
        """Close ``draft`` with what its call returned. Never raises."""
        try:
            fields = draft.fields
            if (
                type(result) is str
                and len(result) <= self.short_chars
                and result.isascii()
                and self.content
                and "output" not in fields  # the code inside may have said what it is
            ):
                fields["output"] = {"type": call.output_type, "content": result}
                draft.turn.size += len(result)
            else:
                put_output(self, draft, call, result)
            if call.extras:
                put_last_extras(self, draft, call, result)
            self.close(draft)
        except BaseException as exc:  # noqa: BLE001  # border: nothing of ours reaches the caller
            self._close_without_output(draft)
            self.contain("a result could not be recorded", exc)

    def open_turn(
        self, agent: Mapping[str, Any], *, activate: bool = True, session: Session | None = None
    ) -> TurnDraft:
        """Begin a turn of ``agent``; call `announce` once its input is set."""
        session = session or current_session.get()
        self.opened += 1
        turn = TurnDraft()
        turn.turn = turn
        turn.ended = False
        turn.source = self
        turn.agent = name = agent["name"]
        turn.started_at = started_at = self._now_ns()
        turn.started_mono = self._monotonic_ns()
        turn.steps = []
        turn.open_steps = {}
        turn.session_id = turn.user_id = None
        fields: Fields = {"record": "open", "id": self._turn_id()}
        turn.fields = fields
        if session is not None:
            self._join(turn, session)
        fields["agent"] = agent
        fields["started_at"] = started_at
        if self._baggage is not None and (entries := self._baggage()):
            turn.merge("metadata", entries)
        turn.span = span = self._start_span(
            "turn", name, started_at, None, turn.session_id, turn.user_id, name, activate
        )
        fields["trace"] = trace_of(span)
        if activate:
            turn.token = current_draft.set(turn)
        return turn

    def announce(self, turn: TurnDraft) -> None:
        """Write the record that makes a turn known, should its process die."""
        fields = turn.fields
        if "input" in fields and len(fields["input"]["content"]) > SHORT_CHARS:
            fields = shortened(fields, words=not self._plain)
        try:
            line = orjson.dumps(fields, None, LINE)
        except TypeError:
            line = careful_line(fields)
        self._append(line)

    def open_step(
        self,
        parent: Draft,
        kind: str,
        name: str,
        known: Mapping[str, Any] = _NOTHING,
        *,
        activate: bool = True,
    ) -> StepDraft:
        """Begin a step under ``parent``, a turn or a step; ``known`` are fields it has."""
        step = StepDraft()
        step.turn = turn = parent.turn
        step.kind = kind
        started_at = turn.started_at + self._monotonic_ns() - turn.started_mono
        step.span = span = self._start_span(
            kind,
            name,
            started_at,
            parent.span,
            turn.session_id,
            turn.user_id,
            turn.agent,
            activate,
            known,
        )
        step_id = span.span_id.to_bytes(8, "big").hex()
        fields: Fields = {
            "id": step_id,
            "kind": kind,
            "name": name,
            "started_at": started_at,
            **known,
        }
        step.fields = fields
        if parent is not turn:
            fields["parent_id"] = parent.fields["id"]
        turn.open_steps[step_id] = step
        if activate:
            step.token = current_draft.set(step)
        return step

    def close(self, draft: Draft, status: str = "ok") -> None:
        """End ``draft``, whose output and error are set; a second time does nothing."""
        if draft.ended:
            return
        draft.ended = True
        if (token := draft.token) is not None:
            try:
                current_draft.reset(token)
            except ValueError:
                leave_elsewhere(draft)
            draft.token = None
        turn, fields = draft.turn, draft.fields
        fields["status"] = status
        fields["ended_at"] = ended_at = turn.started_at + self._monotonic_ns() - turn.started_mono
        if draft is turn:
            del turn.turn
            self._close_turn(turn, fields)
            return
        turn.open_steps.pop(fields["id"], None)
        shown = fields if draft.span.mode == "own" else with_context(turn, fields)
        if (notes := self._end_span(draft.span, shown)) is not None:
            fields["span"] = bounded_notes(self, draft, notes)
        if turn.ended:
            self.late_steps += not draft.told
            return
        if turn.size > self.max_turn_bytes:
            drop_contents(turn, fields, self.max_turn_bytes)
        turn.steps.append(fields)
        if "usage" in fields and draft.kind == "model":
            turn.add_usage(fields["usage"])
        if ended_at - turn.started_at > LONG_TURN_NS:
            self._journal_steps(turn)

    def fail(self, draft: Draft, error: BaseException) -> None:
        """End ``draft`` because ``error`` came out of it. Never raises."""
        try:
            status = status_of(error)
            if status != "abandoned":
                self.note_error(draft, error)
            self.close(draft, status)
        except BaseException as exc:  # noqa: BLE001  # border: nothing of ours reaches the caller
            self.abandon(draft)
            self.contain("a failure could not be recorded", exc)

    def note_error(self, draft: Draft, error: BaseException) -> None:
        """Put ``error`` on ``draft``, as far as the policy lets it be told."""
        draft.fields["error"] = weigh_error(self, draft, error_of(error, self.limits))

    def abandon(self, draft: Draft) -> None:
        """Leave the context of a draft whose record was lost."""
        draft.ended = True
        draft.turn.open_steps.pop(draft.id, None)
        if draft is draft.turn:
            self.lost += 1
        try:
            if (token := draft.token) is not None:
                restore(draft, token)
                draft.token = None
            self._end_span(draft.span, {"ended_at": self.now(draft.turn)})
        except Exception as exc:  # noqa: BLE001  # border: nothing of ours reaches the caller
            self.failed("a span could not be ended", exc)

    def undo(self, draft: Draft | None, parent: Draft | None) -> None:
        """Leave what was opened when its beginning was interrupted."""
        if draft is not None and draft is not parent:
            self.abandon(draft)
            if current_draft.get() is draft:  # interrupted before it had its token
                current_draft.set(parent)

    def contain(self, what: str, error: BaseException) -> None:
        """Keep a failure of our own from the caller; whatever is not ours goes on to it."""
        if not isinstance(error, Exception) or is_anothers(error):
            raise error
        self.failed(what, error)

    def activation(self) -> Activation:
        """What makes the spans of a stream current while its code runs."""
        return self._spans.activation()

    @property
    def is_busy(self) -> bool:
        """Whether a turn is open."""
        return self.opened > self.recorded + self.lost

    def failed(self, what: str, error: BaseException) -> None:
        """Count and say a failure of our own. Never raises."""
        self.failures += 1
        try:
            told = "turnspan: %s; your program is not affected"
            say(f"capture: {what}", told, what, error=error)
        except RecursionError:
            return  # the stack is used up: it is counted, and the next one is said

    def now(self, turn: TurnDraft) -> int:
        """Now, on the turn's own time line: its start plus what a monotonic clock measured."""
        return turn.started_at + self._monotonic_ns() - turn.started_mono

    def conversation(self, turn: TurnDraft) -> Conversation:
        """The turn's messages, made on first use."""
        if turn.conversation is None:
            turn.conversation = Conversation(self.limits)
            turn.has_more = True
        return turn.conversation

    def json(self, value: object) -> orjson.Fragment:
        """``value`` as JSON that can be put on the wire as it is."""
        return orjson.Fragment(to_json(value, self.limits).text)

    def note(self, said: Fields) -> None:
        """Journal feedback. Never raises."""
        try:
            drawn = self._turn_id().replace("turn", "feedback", 1)
            fields: Fields = {"record": "feedback", "id": drawn, "at": self._now_ns(), **said}
            fields["mode"] = self._spans.note_feedback(fields)
            fields |= {"resource": self._resource, "schema_version": SCHEMA_VERSION}
            self._append(line_of(fields))
            self.noted += 1
        except Exception as exc:  # noqa: BLE001  # border: nothing of ours reaches the caller
            self.failed("feedback was lost", exc)

    def detach(self) -> None:
        """Stop recording for good: what is still open ends without a record."""
        self._log = Nowhere()
        self._append = self._log.append

    def _append_first(self, line: bytes) -> None:
        """Start what waits for the first record, and get out of the way."""
        self._append = self._log.append
        if self._on_first is not None:
            self._on_first()
            self._append = self._log.append  # which may be another one now
        self._append(line)

    def _join(self, turn: TurnDraft, session: Session) -> None:
        fields = turn.fields
        if session.id is not None:
            turn.session_id = fields["session_id"] = session.id
            fields["number"] = self._log.next_number(session.id)
        if session.user_id is not None:
            turn.user_id = fields["user_id"] = session.user_id
        if session.metadata or session.tags:
            put_labels(self, turn, session)

    def _close_without_output(self, draft: Draft) -> None:
        try:
            draft.turn.cut("output", "could not be recorded")
            self.close(draft)
        except Exception as exc:  # noqa: BLE001  # border: nothing of ours reaches the caller
            self.failed("a turn was lost", exc)
            self.abandon(draft)

    def _journal_steps(self, turn: TurnDraft) -> None:
        """Write what a long turn has done so far, should it be cut off."""
        for record in turn.new_step_records():
            self._append(line_of(record))
        bounded_steps(self, turn)

    def _close_turn(self, turn: TurnDraft, fields: Fields) -> None:
        if turn.steps:
            fields["steps"] = bounded_steps(self, turn)
        if turn.has_more or turn.open_steps:
            put_rest(self, turn)
        if (notes := self._end_span(turn.span, fields)) is not None:
            fields["span"] = bounded_notes(self, turn, notes)
        fields["record"] = "turn"
        fields["resource"] = self._resource
        fields["schema_version"] = SCHEMA_VERSION
        try:
            line = orjson.dumps(fields, None, LINE)
        except TypeError:
            line = careful_line(fields)
        self._append(line)
        self.recorded += 1
