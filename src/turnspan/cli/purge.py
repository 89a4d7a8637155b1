"""Erase the turns of a session, or those that ended before a time.

They go from the journal and the dead letters, delivered or not, with the feedback on them; what a
destination has already is its own. Asks first, unless --yes is given. T is a date or time
(2026-11-22, 2026-11-22T10:00, local unless it says otherwise) or an age (90s, 15min, 12h, 30d).

With --json: one object, {"erased"}, the number of turns.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from turnspan.cli._arguments import add_dir, add_json, directory_of
from turnspan.errors import SettingsError

if TYPE_CHECKING:
    from turnspan.journal import Directory

__all__ = ["arguments", "run"]

_UNITS_S: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--session", metavar="ID", help="the turns of this session")
    which.add_argument("--before", metavar="T", help="the turns that ended before T")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_dir(parser)
    add_json(parser, "one object")


def run(args: argparse.Namespace) -> int:
    """Erase them, if that is what is wanted.

    Raises:
        SettingsError: the time cannot be read, or nobody is there to be asked.
    """
    from turnspan.cli._output import counted, note, print_json, show_line
    from turnspan.journal.purge import purge

    directory = directory_of(args)
    before_ns = None if args.before is None else _time(args.before)
    if not (args.yes or _is_wanted(args, directory, before_ns)):
        note("nothing was erased")
        return 0
    erased = purge(directory, session_id=args.session, before_ns=before_ns)
    if args.json:
        print_json({"erased": erased})
    else:
        show_line(f"{counted(erased, 'turn')} erased")
    return 0


def _is_wanted(args: argparse.Namespace, directory: Directory, before_ns: int | None) -> bool:
    from turnspan.cli._output import shown_time, write

    which = f"of session {args.session!r}"
    if before_ns is not None:
        which = f"that ended before {shown_time(before_ns)}"
    if not sys.stdin.isatty():
        raise SettingsError(
            "purge asks before it erases, and nobody is there to answer", fix="give --yes"
        )
    write(f"Erase the turns {which} from {directory.path}, delivered or not? [y/N] ", sys.stderr)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _time(text: str) -> int:
    """``text`` in nanoseconds since the epoch."""
    import re
    import time
    from datetime import datetime

    age = re.fullmatch(r"(\d+)\s*(s|min|h|d)", text.strip())
    if age:
        return time.time_ns() - int(age[1]) * _UNITS_S[age[2]] * 1_000_000_000
    try:
        return int(datetime.fromisoformat(text.strip()).astimezone().timestamp() * 1e9)
    except (ValueError, OverflowError):
        raise SettingsError(
            f"--before {text!r} is no time",
            fix="write a date or time such as 2026-11-22T10:00, or an age such as 30d",
        ) from None
