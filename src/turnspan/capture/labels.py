"""What turns and steps are labelled with, as far as it fits: metadata and tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from turnspan.capture.context import Session
from turnspan.capture.drafts import Draft, TurnDraft
from turnspan.capture.texts import plain_text, short
from turnspan.capture.values import encodable, to_json
from turnspan.capture.weight import weigh
from turnspan.notices import say

if TYPE_CHECKING:
    from turnspan.capture.recorder import Recorder

__all__ = ["put_labels", "put_metadata", "put_tags"]


def put_labels(recorder: Recorder, turn: TurnDraft, session: Session) -> None:
    """Label ``turn`` as its ``session`` says."""
    put_metadata(recorder, turn, session.metadata)
    if session.tags:
        put_tags(recorder, turn, session.tags)


def put_metadata(recorder: Recorder, draft: Draft, entries: Mapping[str, Any]) -> None:
    """Add ``entries`` to the metadata of ``draft``."""
    kept: dict[str, Any] = {}
    for said, item in entries.items():
        name = short(said)
        written = to_json(item, recorder.limits)
        where = draft.path(f"metadata/{name}")
        if written.cut is not None:
            draft.turn.cut(where, written.cut, written.size_bytes)
        if weigh(recorder, draft.turn, where, len(name) + len(written.text)):
            kept[name] = orjson.Fragment(written.text)
    draft.merge("metadata", kept)


def put_tags(recorder: Recorder, turn: TurnDraft, tags: Iterable[object]) -> None:
    """Add ``tags`` to those of ``turn`` that it has not got yet."""
    known = dict.fromkeys(turn.fields.get("tags", ()))
    for tag in tags:
        text = plain_text(tag)
        if text is None:
            say("tags", "a tag is a string, not %s: left out", type(tag).__name__)
        elif (word := encodable(short(text))) not in known and weigh(
            recorder, turn, "tags", len(word)
        ):
            known[word] = None
    turn.fields["tags"] = list(known)
