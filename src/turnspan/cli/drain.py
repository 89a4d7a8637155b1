"""Deliver what processes that ended left unsent.

Goes to the exporters named by --to, else to those of TURNSPAN_EXPORTERS. What a running process
still has to deliver is left to it. An exporter gets what was recorded while it was configured;
--from-start sends it everything there is. Feedback counts among the turns, for an exporter that
takes it. Without --follow it ends when nothing is left, or when nothing could be delivered for
--timeout seconds; a SIGINT or SIGTERM ends it cleanly. The exit status is 0 when nothing is left,
3 when something is, even with a process that still runs; with --follow only what could not be
delivered counts.

With --follow --from-start an application without exporters can leave delivery to a process of
its own: what it records goes out every other second.

With --json: one object, {"exporters": {NAME: {"delivered", "refused", "unsent", "error"}},
"adopted", "held"}; adopted counts the processes whose turns were taken over, once for each
exporter. held is a list of what this run could not take, {"exporter", "owner", "state", "turns"},
where the state of the process is live, dead, foreign, ended or unknown.
After --forget: {"forgotten"}, the number of segments.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from turnspan.cli._arguments import add_dir, add_json, directory_of, settings_of
from turnspan.errors import ExporterError, SettingsError

if TYPE_CHECKING:
    from turnspan.delivery.health import ExporterHealth
    from turnspan.journal import Directory, Held
    from turnspan.settings import Settings

__all__ = ["arguments", "run"]

UNSENT: Final = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--to", metavar="URL", action="append", default=[], help="deliver to this one (repeatable)"
    )
    parser.add_argument(
        "--all-hosts",
        action="store_true",
        help="take over from processes of other hosts too: only where none of them runs",
    )
    parser.add_argument(
        "--from-start",
        action="store_true",
        help="also what was recorded without the exporter, by running processes too",
    )
    parser.add_argument(
        "--forget", metavar="NAME", help="take all there is for this exporter as delivered, and end"
    )
    parser.add_argument(
        "--follow", action="store_true", help="go on with what processes leave from now on"
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=seconds,
        default=30.0,
        help="give up after S seconds in which nothing could be delivered (30)",
    )
    add_dir(parser)
    add_json(parser, "one object")


def run(args: argparse.Namespace) -> int:
    """Deliver, and say what became of it.

    Raises:
        ExporterError: there is nowhere to deliver to.
        SettingsError: an exporter to forget is unknown.
    """
    settings, directory = settings_of(args), directory_of(args)
    if args.forget is not None:
        return _forget(args, settings, directory)
    from turnspan.cli._destinations import destinations
    from turnspan.cli._drainage import Drainage

    exporters = destinations(args.to, settings)
    if not exporters:
        raise _nowhere(directory)
    drainage = Drainage(
        directory,
        exporters,
        settings=settings,
        all_hosts=args.all_hosts,
        from_start=args.from_start,
    )
    try:
        drainage.run(follow=args.follow, patience_s=args.timeout, show=not args.json)
    finally:
        health = drainage.close(timeout_s=settings.exit_s)
    held = _held(directory, health)
    _tell(args, directory, health, held, drainage.adopted)
    is_left = any(each.unsent for each in health.values()) or (held and not args.follow)
    return UNSENT if is_left else 0


def _forget(args: argparse.Namespace, settings: Settings, directory: Directory) -> int:
    from turnspan.cli._output import counted, print_json, show_line
    from turnspan.clock import SystemClock
    from turnspan.journal import Journal

    known = _owed(directory)
    if args.forget not in known:
        there = ", ".join(sorted(known)) or "none"
        raise SettingsError(
            f"nothing is owed to an exporter {args.forget!r}", fix=f"name one of these: {there}"
        )
    journal = Journal.attach(directory, settings=settings, clock=SystemClock())
    forgotten = journal.forget(args.forget)
    journal.close()
    if args.json:
        print_json({"forgotten": forgotten})
    else:
        show_line(f"forgot what {args.forget} was owed in {counted(forgotten, 'segment')}")
    return 0


def _nowhere(directory: Directory) -> ExporterError:
    owed = sorted(name for name, size_bytes in _owed(directory).items() if size_bytes)
    example = owed[0] if owed else "https://turns.example.com"
    return ExporterError(
        "there is no exporter to deliver to"
        + (f"; turns are waiting for {', '.join(owed)}" if owed else ""),
        fix=f"name one, as in --to {example}, or set TURNSPAN_EXPORTERS",
    )


def _owed(directory: Directory) -> dict[str, int]:
    from turnspan.journal import History

    return {each.exporter: each.size_bytes for each in History(directory).owed()}


def _held(directory: Directory, health: dict[str, ExporterHealth]) -> list[Held]:
    """What is owed to these exporters by processes that this run could not take over from."""
    from turnspan.journal import History

    found = History(directory).held(health)
    return [each for each in found if each.state != "dead" or not health[each.exporter].unsent]


def _tell(
    args: argparse.Namespace,
    directory: Directory,
    health: dict[str, ExporterHealth],
    held: Sequence[Held],
    adopted: int,
) -> None:
    from turnspan.cli._output import note, print_json, write

    if args.json:
        exporters = {name: _fields(each) for name, each in health.items()}
        print_json({"exporters": exporters, "adopted": adopted, "held": list(map(asdict, held))})
        return
    import sys

    write("".join(f"{line}\n" for line in map(_line, health.items())), sys.stdout)
    for each in held:
        note(_holding(each))
    for hint in _hints(args, directory, list(health)):
        note(hint)


def _fields(health: ExporterHealth) -> dict[str, Any]:
    return {
        "delivered": health.delivered,
        "refused": health.refused,
        "unsent": health.unsent,
        "error": health.last_error if health.failing else None,
    }


def _line(entry: tuple[str, ExporterHealth]) -> str:
    from turnspan.cli._output import counted

    name, health = entry
    said = f"{name}: {counted(health.delivered, 'turn')} delivered"
    if health.refused:
        said += f", {health.refused:,} refused (see `turnspan dead list`)"
    if health.unsent:
        said += f", {health.unsent:,} left unsent"
        said += f": {health.last_error}" if health.last_error else ""
    return said


def _holding(held: Held) -> str:
    from turnspan.cli._output import counted
    from turnspan.journal.owner import Owner

    owner = Owner.parse(held.owner)
    who = f"process {owner.pid}" if owner else held.owner
    if owner and held.state == "foreign":
        who += f" of host {owner.host}"
    why = _WHY[held.state]
    return f"{held.exporter}: {counted(held.turns, 'turn')} left with {who}, {why}"


_WHY: Final = {
    "live": "which runs and delivers them itself",
    "dead": "from which another process delivers them, or which ended just now: drain again",
    "foreign": "which may run: if it does not, --all-hosts takes them",
    "ended": "which has ended without a lock file: --all-hosts takes them",
    "unknown": "which has no lock file: if it has ended, --all-hosts takes them",
}


def _hints(args: argparse.Namespace, directory: Directory, named: list[str]) -> Iterator[str]:
    """What is left in the journal that this command was not asked to deliver."""
    from turnspan.journal import History

    history = History(directory)
    owed = {each.exporter: each for each in history.owed()}
    for name in named:
        if name not in owed and not args.from_start:
            yield f"nothing here was recorded for {name}: --from-start would send it everything"
    for name, each in owed.items():
        if each.size_bytes and name not in named and not each.is_served:
            yield f"turns are waiting for {name} too: add --to {name}, or --forget {name}"
    foreign = sum(each.state == "foreign" for each in history.owners())
    if foreign and not args.all_hosts:
        yield f"{foreign} journals of other hosts were left alone: --all-hosts takes them too"


def seconds(text: str) -> float:
    """A number of seconds above 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return number
