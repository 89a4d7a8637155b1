"""Have a short conversation with an agent, and see it recorded as turns.

Three turns in one session, with two tools that really compute; one turn fails on purpose. No
network and no key is needed. It records where TURNSPAN_DIR and TURNSPAN_EXPORTERS say.

A package may offer a demo of its own by an entry point of the group `turnspan.demos`: a function
without arguments that holds a conversation, with turnspan configured already, and swallows its
own failures. The first one by name is run, unless NAME says another; `decorators` is built in.
With --json: the turns as they were journalled, one object a line (docs/turn.schema.json).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from turnspan.cli._arguments import add_dir, add_json, settings_of
from turnspan.errors import SettingsError, TurnspanError

if TYPE_CHECKING:
    from turnspan.exporters.memory import MemoryExporter
    from turnspan.settings import Settings

__all__ = ["arguments", "run"]

GROUP: Final = "turnspan.demos"
BUILT_IN: Final = "decorators"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="which demo, where there are several"
    )
    add_dir(parser)
    add_json(parser, "the journalled lines of the turns")


def run(args: argparse.Namespace) -> int:
    """Hold the conversation and print its turns.

    Raises:
        SettingsError: recording is switched off, or there is no such demo.
    """
    settings = settings_of(args)
    if settings.disabled:
        raise SettingsError(
            "TURNSPAN_DISABLED switches recording off: there would be nothing to see",
            fix="unset TURNSPAN_DISABLED",
        )
    name, hold = _conversation(args.name)
    seen, unsent = _recorded(hold, settings)
    if args.json:
        _print_lines(seen)
    else:
        _print_trees(seen)
        _print_next(name, seen, settings, unsent)
    return 0


def _conversation(wanted: str | None) -> tuple[str, Callable[[], object]]:
    from turnspan.cli._conversation import hold

    found = dict(_installed())
    name = wanted or min(found, default=BUILT_IN)
    if name == BUILT_IN:
        return BUILT_IN, hold
    if name not in found:
        there = ", ".join([BUILT_IN, *sorted(found)])
        raise SettingsError(f"there is no demo {name!r}", fix=f"one of: {there}")
    try:
        return name, found[name].load()
    except Exception as error:  # a border: foreign code is imported
        if wanted:
            raise SettingsError(
                f"the demo {name!r} cannot be loaded: {type(error).__name__}: {error}",
                fix="update the package that brings it, or run `turnspan demo decorators`",
            ) from error
        _note(f"turnspan: the demo {name!r} cannot be loaded ({error}); this is the built-in one")
        return BUILT_IN, hold


def _installed() -> Iterator[tuple[str, Any]]:
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        yield point.name, point


def _recorded(hold: Callable[[], object], settings: Settings) -> tuple[MemoryExporter, int]:
    """The turns of the conversation, and how many could not be delivered yet."""
    import turnspan
    from turnspan.exporters.memory import MemoryExporter

    seen = MemoryExporter(name="turnspan demo")
    directory = settings.directory and os.path.abspath(settings.directory)
    turnspan.configure(
        exporters=[*settings.exporters, seen],
        directory=directory,
        service_name=settings.service_name or "turnspan-demo",
    )
    try:
        hold()
    except Exception as error:
        raise TurnspanError(
            f"the demo broke off: {type(error).__name__}: {error}",
            fix="run `turnspan demo decorators`, and tell whoever wrote this one",
        ) from error
    finally:
        report = turnspan.close(timeout_s=settings.exit_s)
    return seen, report.unsent


def _print_lines(seen: MemoryExporter) -> None:
    from turnspan.cli._output import print_bytes

    for line in seen.raw:
        print_bytes(line)


def _print_trees(seen: MemoryExporter) -> None:
    from turnspan.cli._output import show
    from turnspan.exporters.tree import turn_tree

    for turn in seen.turns:
        show(turn_tree(turn), "")


def _print_next(name: str, seen: MemoryExporter, settings: Settings, unsent: int) -> None:
    """Where the turns are now, and what to do with them."""
    from turnspan.cli._output import counted, write

    said = [f"{counted(len(seen.raw), 'turn')} recorded; where one failed, it was meant to."]
    if settings.directory:
        said += ["", f"The journal is {_short(settings.directory)}. Look again:"]
        where = "" if _is_default(settings) else f" --dir {_short(settings.directory)}"
        last = seen.turns[-1].id if seen.raw else "last"
        said += [f"  turnspan {words}{where}" for words in ("tail", f"show {last}", "sessions")]
    else:
        said += ["", "TURNSPAN_DIR=none: nothing was written to disk."]
    if settings.exporters:
        said += ["", _fate(settings, unsent)]
    else:
        said += ["", "See the trace, in Phoenix or in MLflow:", *_backends()]
    if name == BUILT_IN:
        said += ["", "Install turnspan-langchain to see the same of a LangChain agent."]
    import sys

    write("\n".join(said) + "\n", sys.stdout)


def _fate(settings: Settings, unsent: int) -> str:
    from turnspan.cli._output import counted

    if unsent:
        return f"{counted(unsent, 'turn')} could not be delivered yet: `turnspan drain` does it."
    return f"They were delivered to {counted(len(settings.exporters), 'exporter')}."


def _backends() -> list[str]:
    return [
        "  TURNSPAN_EXPORTERS=otlp+http://127.0.0.1:6006 turnspan demo",
        "  TURNSPAN_EXPORTERS=otlp+http://127.0.0.1:5000 \\",
        "    OTEL_EXPORTER_OTLP_TRACES_HEADERS=x-mlflow-experiment-id=0 turnspan demo",
    ]


def _is_default(settings: Settings) -> bool:
    """Would the other commands find the directory without being told?"""
    found = os.environ.get("TURNSPAN_DIR", "").strip() or ".turnspan"
    return os.path.abspath(found) == os.path.abspath(str(settings.directory))


def _short(directory: str) -> str:
    path, here = Path(os.path.abspath(directory)), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _note(text: str) -> None:
    from turnspan.cli._output import note

    note(text)
