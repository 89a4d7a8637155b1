"""Handles of what is open: how the code inside a turn adds to it."""

from __future__ import annotations

from typing import Any

from turnspan.capture.contents import add_reasoning, set_input, set_output
from turnspan.capture.context import current_draft
from turnspan.capture.drafts import USAGE_KEYS, Draft, StepDraft, TurnDraft
from turnspan.capture.labels import put_metadata, put_tags
from turnspan.capture.texts import plain_text, short
from turnspan.notices import say

__all__ = ["OpenStep", "OpenTurn", "current_step", "current_turn"]


class OpenStep:
    """A step that is still running. False outside a step, where every call does nothing.

    What you add is kept as it is at that moment. Nothing here raises because of a value; a
    handle used after its step has ended does nothing.
    """

    __slots__ = ("_draft",)

    def __init__(self, draft: Draft | None = None) -> None:
        self._draft = None if draft is None or draft.turn.left_out else draft

    def __bool__(self) -> bool:
        return self._draft is not None and not self._draft.ended

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id or 'of nothing'}>"

    @property
    def id(self) -> str:
        """The step's id, 16 hex characters; empty outside a step."""
        return self._draft.id if isinstance(self._draft, StepDraft) else ""

    @property
    def trace_id(self) -> str:
        """The trace it belongs to, 32 hex characters; empty outside a turn."""
        return "" if self._draft is None else f"{self._draft.turn.span.trace_id:032x}"

    def set_input(self, value: object) -> None:
        """Replace what went in: text, a list of messages, or anything else as JSON."""
        if self and (draft := self._draft):
            self._try("input", set_input, draft.recorder, draft, value)

    def set_output(self, value: object) -> None:
        """Set what came out; it wins over what the function returns."""
        if self and (draft := self._draft):
            self._try("output", set_output, draft.recorder, draft, value)

    def add_reasoning(self, text: str) -> None:
        """Add to why it was done."""
        if self and (draft := self._draft) and draft.recorder.content:
            self._try("reasoning", _add_reasoning, draft, text)

    def set_metadata(self, **entries: Any) -> None:
        """Add entries of your own; a later one of the same name wins."""
        if self and (draft := self._draft):
            self._try("metadata", put_metadata, draft.recorder, draft, entries)

    def add_tags(self, *tags: str) -> None:
        """Tag the turn."""
        if self and (draft := self._draft):
            self._try("tags", put_tags, draft.recorder, draft.turn, tags)

    def set_usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Say what it used. On a turn this wins over the sum of its model steps."""
        if not self or self._draft is None:
            return
        given = (
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_tokens,
            reasoning_tokens,
            cost_usd,
        )
        known = {k: v for k, v in zip(USAGE_KEYS, given, strict=True) if _counts(k, v)}
        self._draft.merge("usage", known)

    def set_model(self, *, provider: str | None = None, name: str | None = None) -> None:
        """Say which model was asked. A turn has none of its own: it is left out there, and said."""
        if not self or self._draft is None:
            return
        if not isinstance(self._draft, StepDraft):
            say("model", "a turn has no model of its own: use current_step() under turnspan.model")
            return
        known = {"provider": plain_text(provider), "request_model": plain_text(name)}
        given = {key: short(value) for key, value in known.items() if value is not None}
        self._draft.merge("model", given)

    def _try(self, what: str, do: Any, *args: Any) -> None:
        try:
            do(*args)
        except Exception as exc:  # noqa: BLE001  # border: our failures are not the caller's
            if self._draft is not None:
                self._draft.recorder.contain(f"the {what} of a turn or step could not be set", exc)


class OpenTurn(OpenStep):
    """A turn that is still running. False outside a turn, where every call does nothing."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """The turn's id; empty outside a turn."""
        return self._draft.id if isinstance(self._draft, TurnDraft) else ""


def current_turn() -> OpenTurn:
    """The turn that is open here; never None, but false where there is none."""
    draft = current_draft.get()
    return OpenTurn(None if draft is None or draft.turn.ended else draft.turn)


def current_step() -> OpenStep:
    """The innermost step that is open here; never None, but false where there is none."""
    draft = current_draft.get()
    return OpenStep(draft if isinstance(draft, StepDraft) else None)


def _add_reasoning(draft: Draft, text: object) -> None:
    if not issubclass(type(text), str):  # `isinstance` would ask the object for its class
        say("reasoning", "reasoning is a string, not %s: left out", type(text).__name__)
        return
    add_reasoning(draft.recorder, draft, text)  # type: ignore[arg-type]  # as was just seen


def _counts(key: str, amount: object) -> bool:
    """Whether ``amount`` is a number of tokens, or a price."""
    if type(amount) is int or (type(amount) is float and key == "cost_usd"):
        if 0 <= amount < 2**63:
            return True
        say("usage", "%s is %r, which is no amount: left out", key, amount)
        return False
    if amount is not None:
        say("usage", "%s is a number, not %s: left out", key, type(amount).__name__)
    return False
