"""Show the last turns in the journal, and new ones as they end, with the feedback on them.

With --json: the turns as they were journalled, one object a line (docs/turn.schema.json).
"""

from __future__ import annotations

import argparse
from collections import deque
from typing import TYPE_CHECKING, Final

from turnspan.cli._arguments import add_dir, add_json, directory_of

if TYPE_CHECKING:
    from turnspan.journal import History
    from turnspan.schema import Turn

__all__ = ["arguments", "run"]

MOST: Final = 10**9


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "-n", "--last", metavar="N", type=count, default=10, help="begin with the last N turns (10)"
    )
    parser.add_argument(
        "--once", "--no-follow", action="store_true", help="end there, without waiting for more"
    )
    parser.add_argument("--short", action="store_true", help="one line a turn instead of a tree")
    parser.add_argument(
        "--session", metavar="ID", help="only turns of this session, and feedback given in it"
    )
    add_dir(parser)
    add_json(parser, "the journalled lines of the turns")


def run(args: argparse.Namespace) -> int:
    """Print the last turns, and go on until interrupted."""
    from turnspan.journal import History
    from turnspan.schema.wire import FEEDBACK, TURN

    history = History(directory_of(args))
    new = history.follow()  # before looking at what is there: nothing falls in between
    seen = _last(history, args)
    for line in seen:
        _print(line, args)
    if not args.json:
        _print_known_feedback(history, seen)
        if not seen:
            _tell_empty(history, args)
    if args.once:
        return 0
    known = set(seen)
    for line in new:
        if line in known:
            known.discard(line)
        elif line.startswith(TURN) and _is_wanted(line, args):
            _print(line, args)
        elif line.startswith(FEEDBACK) and not args.json and _is_wanted(line, args):
            _print_feedback(line)
    return 0


def _tell_empty(history: History, args: argparse.Namespace) -> None:
    from turnspan.cli._output import note

    of = "" if args.session is None else f" of the session {args.session!r}"
    if args.last:
        note(f"no turn{of} has been recorded in {history.directory.path}")


def _last(history: History, args: argparse.Namespace) -> list[bytes]:
    lines = (turn.raw for turn in history.turns())
    return list(deque((line for line in lines if _is_wanted(line, args)), maxlen=args.last))


def _is_wanted(line: bytes, args: argparse.Namespace) -> bool:
    if args.session is None:
        return True
    from turnspan.errors import WireError
    from turnspan.schema.wire import decode_record

    try:
        return bool(decode_record(line).get("session_id") == args.session)
    except WireError:
        return False


def _print(line: bytes, args: argparse.Namespace) -> None:
    from turnspan.cli._output import note, print_bytes, show, show_line
    from turnspan.errors import WireError

    if args.json:
        print_bytes(line)
        return
    from turnspan.exporters.tree import turn_tree
    from turnspan.schema.wire import decode_turn

    try:
        turn = decode_turn(line)
    except WireError as error:
        note(f"turnspan: {error.what}")
        return
    if args.short:
        show_line(_line(turn))
    else:
        show(turn_tree(turn), "")


def _print_known_feedback(history: History, turns: list[bytes]) -> None:
    from turnspan.cli._output import show_line
    from turnspan.exporters.identity import turn_id
    from turnspan.exporters.tree import feedback_line

    for each in history.feedback({found for line in turns if (found := turn_id(line))}):
        show_line(feedback_line(each))


def _print_feedback(line: bytes) -> None:
    from turnspan.cli._output import note, show_line
    from turnspan.errors import WireError
    from turnspan.exporters.tree import feedback_line
    from turnspan.schema.wire import decode_feedback

    try:
        show_line(feedback_line(decode_feedback(line)))
    except WireError as error:
        note(f"turnspan: {error.what}")


def _line(turn: Turn) -> str:
    from turnspan.cli._output import shown_time
    from turnspan.exporters.tree import one_line

    facts = [
        shown_time(turn.ended_at),
        turn.id,
        one_line(turn.session_id or "-"),
        turn.status,
        f"{turn.duration_ms:.0f} ms",
        one_line(turn.agent.name),
        one_line(turn.input.content[:400] if turn.input else ""),
    ]
    return "  ".join(facts)


def count(text: str) -> int:
    """A whole number from 0 to `MOST`.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (
        text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and int(text) <= MOST
    ):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number from 0 to {MOST:,}")
    return int(text)
