"""Show one turn whole: its tree, messages, metadata, state, feedback and errors.

ID may be the beginning of an id, with or without `turn_`, or `last`. With --json: the turn as it
was journalled, one object (docs/turn.schema.json).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from turnspan.cli._arguments import add_dir, add_json, directory_of
from turnspan.errors import JournalError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from turnspan.journal import History
    from turnspan.ports import JournalledTurn
    from turnspan.schema import Feedback, Message, MessagePart, Turn

__all__ = ["arguments", "run"]

_PREFIX = "turn_"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("id", metavar="ID", help="the turn's id, its beginning, or `last`")
    add_dir(parser)
    add_json(parser, "the journalled line of the turn")


def run(args: argparse.Namespace) -> int:
    """Print the turn.

    Raises:
        JournalError: there is none, or more than one.
    """
    from turnspan.cli._output import print_bytes, show
    from turnspan.journal import History

    history = History(directory_of(args))
    found = _find(history, args.id)
    if args.json:
        print_bytes(found.raw)
    else:
        show(*_sections(found.turn, history.feedback({found.turn.id})))
    return 0


def _find(history: History, wanted: str) -> JournalledTurn:
    turn_id = _whole_id(history, wanted)
    found = history.find(turn_id)
    if found is None:
        raise JournalError(f"{turn_id} is gone", fix="`turnspan tail` shows what is there")
    return found


def _whole_id(history: History, wanted: str) -> str:
    from turnspan.exporters.identity import turn_id

    ids = [found for turn in history.turns() if (found := turn_id(turn.raw))]
    if wanted == "last" and ids:
        return ids[-1]
    begins = wanted if wanted.startswith(_PREFIX) else _PREFIX + wanted
    fits = sorted({found for found in ids if found.startswith((begins, wanted))})
    if wanted in fits or len(fits) == 1:
        return wanted if wanted in fits else fits[0]
    if fits:
        some = ", ".join(fits[:5]) + (", …" if len(fits) > 5 else "")
        raise JournalError(
            f"{len(fits)} turns begin with {wanted!r}: {some}", fix="give more of it"
        )
    raise JournalError(
        f"{history.directory.path} holds no turn {wanted!r}",
        fix="`turnspan tail --once` shows the last ones; another journal is named with --dir",
    )


def _sections(turn: Turn, feedback: list[Feedback]) -> Iterator[RenderableType]:
    from turnspan.cli._output import shown_time
    from turnspan.exporters.tree import judgement, turn_tree

    yield turn_tree(turn)
    yield from _headed("messages", "\n".join(map(_message, turn.messages)))
    for heading, value in _values(turn):
        yield from _headed(heading, _dumped(value, indent=2) if value else "")
    yield from _headed("feedback", "\n".join(map(judgement, feedback)))
    yield from _headed("stack trace", (turn.error and turn.error.stacktrace) or "")
    recorded = f"{shown_time(turn.started_at)}, trace {turn.trace.trace_id}"
    yield from _headed("recorded", recorded)


def _values(turn: Turn) -> Iterator[tuple[str, Any]]:
    yield "metadata", turn.metadata
    yield "state before", turn.state_before
    yield "state change (RFC 6902)", turn.state_diff()
    for step in turn.steps:
        yield f"metadata of {step.kind} {step.name}", step.metadata


def _headed(heading: str, below: str) -> Iterator[RenderableType]:
    """A section, indented; nothing where there is nothing ``below``."""
    from textwrap import indent

    from rich.text import Text

    from turnspan.exporters.tree import safe_text

    if below:
        yield Text(f"\n{safe_text(heading)}", "bold")
        yield Text(indent(safe_text(below.rstrip()), "  "))


def _message(message: Message) -> str:
    name = f" {message.name}" if message.name else ""
    return "\n".join([f"{message.role}{name}", *map(_part, message.parts)])


def _part(part: MessagePart) -> str:
    from textwrap import indent

    fields = part.fields
    said = fields.get("content")
    if part.type not in {"text", "reasoning"} or not isinstance(said, str):
        said = _dumped(fields)
    return indent(said if part.type == "text" else f"{part.type}: {said}", "  ")


def _dumped(value: Any, indent: int | None = None) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, indent=indent)
