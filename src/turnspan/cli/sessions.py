"""List the sessions in the journal, the one last active last.

With --json: one object a line, {"session_id", "turns", "first_at", "last_at", "agents",
"statuses"}; session_id is null for turns without a session, times are nanoseconds since the
epoch, statuses maps each status to a count.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Literal

from turnspan.cli._arguments import add_dir, add_json, directory_of
from turnspan.cli._output import note, print_json, show, shown_time

if TYPE_CHECKING:
    from rich.table import Table

    from turnspan.journal import SessionSummary

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_dir(parser)
    add_json(parser, "one object a line")


def run(args: argparse.Namespace) -> int:
    """Print the sessions."""
    from turnspan.journal import History

    directory = directory_of(args)
    found = History(directory).sessions()
    if args.json:
        for each in found:
            print_json(_fields(each))
    elif found:
        show(_table(found))
    else:
        note(f"no turn has been recorded in {directory.path}")
    return 0


def _fields(each: SessionSummary) -> dict[str, Any]:
    return {
        "session_id": each.id,
        "turns": each.turns,
        "first_at": each.first_at,
        "last_at": each.last_at,
        "agents": sorted(each.agents),
        "statuses": dict(sorted(each.statuses.items())),
    }


def _table(sessions: list[SessionSummary]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from turnspan.exporters.tree import one_line

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("session", "turns", "first", "last", "agents", "status"):
        is_fixed = heading not in {"session", "agents"}
        justify: Literal["left", "right"] = "right" if heading == "turns" else "left"
        table.add_column(heading, justify=justify, no_wrap=is_fixed, overflow="fold")
    for each in sessions:
        statuses = sorted(each.statuses.items())
        table.add_row(
            Text(one_line(each.id) if each.id else "(none)", "" if each.id else "dim"),
            f"{each.turns:,}",
            shown_time(each.first_at)[:-3],
            shown_time(each.last_at)[:-3],
            Text(", ".join(map(one_line, sorted(each.agents)))),
            ", ".join(f"{count} {status}" for status, count in statuses),
        )
    return table
