"""Say how turnspan is set up, what works, what does not, and how to mend it.

Looks with the settings of this environment, which may not be those of the application: run it
where that runs. It connects to the exporters and hangs up; it sends nothing. The exit status is
1 when something is broken.

With --json: one object, {"turnspan", "directory", "settings": [{"name", "env", "value",
"source"}], "opentelemetry": {NAME: VALUE}, "findings": [{"check", "state", "said", "fix"}],
"owners": [{"name", "state", "service", "started_at", "segments", "size_bytes"}], "owed":
[{"exporter", "size_bytes", "segments", "is_served", "oldest_at"}], "dropped": {REASON:
turns}}; state is ok, warning or broken, source argument, environment or default; times are
nanoseconds since the epoch.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from turnspan.cli._arguments import add_dir, add_json
from turnspan.cli._output import print_json, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from turnspan.cli._checkup import Checkup, SettingRow
    from turnspan.cli._finding import Finding

__all__ = ["arguments", "run"]

BROKEN: Final = 1
_MARKS: Final = {
    "ok": ("ok", "green"),
    "warning": ("warning", "yellow"),
    "broken": ("BROKEN", "red"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--all", action="store_true", help="show options left at their default too")
    add_dir(parser)
    add_json(parser, "one object")


def run(args: argparse.Namespace) -> int:
    """Print the settings and what was found."""
    from turnspan.cli._checkup import Checkup

    checkup = Checkup(os.environ, args.dir)
    if args.json:
        findings = list(checkup.findings())
        print_json(_fields(checkup, findings))
    else:
        show(*_settings(checkup, with_defaults=args.all))
        findings = []
        for each in checkup.findings():  # one by one: a connection may take its time
            findings.append(each)
            show(*_finding(each))
    return BROKEN if any(each.state == "broken" for each in findings) else 0


def _fields(checkup: Checkup, findings: list[Finding]) -> dict[str, Any]:
    from turnspan import __version__
    from turnspan.journal import History, Losses

    history = History(checkup.directory) if checkup.directory else None
    return {
        "turnspan": __version__,
        "directory": str(checkup.directory.path) if checkup.directory else None,
        "settings": [asdict(row) for row in checkup.rows()],
        "opentelemetry": checkup.opentelemetry(),
        "findings": [asdict(each) for each in findings],
        "owners": [asdict(each) for each in history.owners()] if history else [],
        "owed": [asdict(each) for each in history.owed()] if history else [],
        "dropped": Losses(history.directory).read().counts if history else {},
    }


def _settings(checkup: Checkup, *, with_defaults: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    rows = [row for row in checkup.rows() if with_defaults or row.source != "default"]
    yield Text("settings", "bold")
    for row in rows:
        yield Text(f"  {_setting(row)}")
    if not with_defaults:
        yield Text("  all others at their default (--all shows them)", "dim")
    for name, value in checkup.opentelemetry().items():
        yield Text(f"  {name} = {value}")
    yield Text("\nfindings", "bold")


def _setting(row: SettingRow) -> str:
    value = " ".join(row.value) if isinstance(row.value, list) else row.value
    where = row.env if row.source == "environment" else row.source
    return f"{row.name} = {value}  ({where})"


def _finding(each: Finding) -> Iterator[RenderableType]:
    from rich.text import Text

    from turnspan.exporters.tree import one_line

    word, style = _MARKS[each.state]
    yield Text.assemble("  ", (f"{word:<8}", style), f" {each.check}: {one_line(each.said)}")
    if each.fix:
        yield Text(f"           fix: {one_line(each.fix)}", "dim")
