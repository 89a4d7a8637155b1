"""List, retry or drop the turns and feedback that a destination refused.

`retry` offers them to the exporter that refused them, or to the one that --to names, and drops
those that were taken. `retry` and `drop` want to be told which: --id, --exporter or --all. The
exit status of `retry` is 3 when some are still here.

With --json, `list`: one object a line, {"id", "session_id", "exporter", "reason", "at", "turn",
"feedback"}, one of the last two being null; at is when it was refused, in nanoseconds since the
epoch. `retry`: one object, {"delivered", "refused", "unsent"}. `drop`: {"dropped"}.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from turnspan.cli._arguments import add_dir, add_json, directory_of, settings_of
from turnspan.cli._output import counted, note, print_json, show, show_line, shown_time
from turnspan.errors import ExporterError, SettingsError

if TYPE_CHECKING:
    from turnspan.delivery.dead import DeadLetter, DeadLetters
    from turnspan.ports import Exporter
    from turnspan.settings import Settings

__all__ = ["arguments", "run"]

UNSENT: Final = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "what",
        choices=("list", "retry", "drop"),
        nargs="?",
        default="list",
        help="list unless given",
    )
    parser.add_argument("names", nargs="*", help=argparse.SUPPRESS)  # a mistake, met in `run`
    parser.add_argument("--exporter", metavar="NAME", help="only those this exporter refused")
    parser.add_argument(
        "--id", metavar="ID", action="append", default=[], help="only this one (repeatable)"
    )
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--to", metavar="URL", help="retry with this exporter")
    add_dir(parser)
    add_json(parser, "one object, or one a line")


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Raises:
        SettingsError: which ones was not said.
    """
    from turnspan.delivery.dead import DeadLetters

    if args.names:
        raise SettingsError(
            f"{args.what} takes no names: {args.names[0]!r}",
            fix=f"say {args.what} --exporter NAME or {args.what} --id ID",
        )
    letters = DeadLetters(directory_of(args).path)
    if args.what == "list":
        return _list(args, _chosen(args, letters))
    if not (args.id or args.exporter or args.all):
        raise SettingsError(f"{args.what} which ones?", fix="say --id ID, --exporter NAME or --all")
    _tell_missing(args, _chosen(args, letters))
    return _drop(args, letters) if args.what == "drop" else _retry(args, letters)


def _chosen(args: argparse.Namespace, letters: DeadLetters) -> list[DeadLetter]:
    return [each for each in letters.list(args.exporter) if not args.id or each.id in args.id]


def _list(args: argparse.Namespace, chosen: Sequence[DeadLetter]) -> int:
    if args.json:
        for each in chosen:
            print_json(_fields(each))
        return 0
    if not chosen:
        note("nothing was refused")
        return 0
    from rich.text import Text

    from turnspan.exporters.tree import one_line

    for each in chosen:
        head = f"{shown_time(each.at)}  {each.id or '(no id)'}  {each.exporter}"
        show(Text(one_line(head)), Text(f"    {one_line(each.reason)}", "red"))
    return 0


def _fields(letter: DeadLetter) -> dict[str, Any]:
    from turnspan.errors import WireError
    from turnspan.schema.wire import decode_record

    try:
        record: dict[str, Any] | None = decode_record(letter.raw)
    except WireError:
        record = None  # it was refused for being none
    return {
        "id": letter.id,
        "session_id": letter.session_id,
        "exporter": letter.exporter,
        "reason": letter.reason,
        "at": letter.at,
        "turn": None if letter.is_feedback else record,
        "feedback": record if letter.is_feedback else None,
    }


def _tell_missing(args: argparse.Namespace, chosen: Sequence[DeadLetter]) -> None:
    """Say it where ids were named that are not there: a mistyped one would be nothing done."""
    for missing in sorted(set(args.id).difference(each.id for each in chosen)):
        note(f"turnspan: no dead letter here is called {missing!r}")
    if args.exporter and not chosen and not args.id:
        note(f"turnspan: there is no dead letter of an exporter {args.exporter!r}")


def _drop(args: argparse.Namespace, letters: DeadLetters) -> int:
    dropped = letters.drop(args.exporter, args.id or None)
    if args.json:
        print_json({"dropped": dropped})
    else:
        show_line(f"{counted(dropped, 'dead letter')} dropped")
    return 0


def _retry(args: argparse.Namespace, letters: DeadLetters) -> int:
    settings = settings_of(args)
    counts = {"delivered": 0, "refused": 0, "unsent": 0}
    chosen = _chosen(args, letters)
    for name in dict.fromkeys(each.exporter for each in chosen):
        exporter = _exporter(args.to, name, settings)
        mine = [each for each in chosen if each.exporter == name]
        try:
            _offer(mine, exporter, letters, settings, counts)
        finally:
            exporter.close(timeout_s=settings.exit_s)
    if args.json:
        print_json(counts)
    else:
        show_line(", ".join(f"{count:,} {what}" for what, count in counts.items()))
    return UNSENT if counts["refused"] or counts["unsent"] else 0


def _exporter(to: str | None, name: str, settings: Settings) -> Exporter:
    """The exporter to offer to: named, configured, or made from its name, which is a URL."""
    from turnspan.exporters.registry import build, build_all

    if to is not None:
        return build(to, settings=settings)
    for each in build_all(settings.exporters, settings=settings):
        if each.name == name:
            return each
    try:
        return build(name, settings=settings)
    except ExporterError as error:
        raise ExporterError(
            f"the exporter {name!r} is not configured here", fix="name one with --to URL"
        ) from error


def _offer(
    letters: Sequence[DeadLetter],
    exporter: Exporter,
    kept: DeadLetters,
    settings: Settings,
    counts: dict[str, int],
) -> None:
    """Offer one at a time, for one that is refused must not take others with it."""
    from turnspan.ports import takes_feedback

    taken = []
    try:
        for place, letter in enumerate(letters):
            if letter.is_feedback and not takes_feedback(exporter):
                counts["unsent"] += 1
                note(f"turnspan: {exporter.name} takes no feedback: {letter.id or ''} stays")
                continue
            batch: Any = [letter.refused]  # feedback only for those that take it
            outcome = exporter.export(batch, timeout_s=settings.timeout_s)
            reason = outcome.refused.get(0) or outcome.refused_whole
            if outcome.unsent:
                counts["unsent"] += len(letters) - place
                note(f"turnspan: {exporter.name} takes nothing now: {outcome.cause}")
                return
            if reason:
                counts["refused"] += 1
                note(f"turnspan: {letter.id or 'a turn'} is refused again: {reason}")
            else:
                counts["delivered"] += 1
                taken.append(letter)
    finally:
        if ids := [each.id for each in taken if each.id]:
            kept.drop(taken[0].exporter, ids)
