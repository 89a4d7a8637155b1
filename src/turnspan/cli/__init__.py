"""The command line: `turnspan COMMAND`.

A command is a module of this package whose name has no underscore. Its docstring is its help,
`arguments(parser)` declares what it takes, and `run(args)` does it and answers the exit status:

    0  done                                1  `doctor` found something broken
    2  a mistake in what was given         3  something is left unsent
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import NoReturn

__all__ = ["commands", "main", "program"]

MISTAKE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141  # what a shell reports of a program that died of one


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``argv``, or what the process was given; answers the exit status.

    Raises:
        SystemExit: the arguments cannot be read, or help was asked for.
    """
    words = _as_commands(sys.argv[1:] if argv is None else list(argv))
    names = commands()
    if not words:
        program(names).print_help(sys.stderr)
        return MISTAKE
    args = _read(words, names)
    from turnspan.cli._output import logged

    with logged():
        return _contained(args)


def commands() -> tuple[str, ...]:
    """The names of the commands there are."""
    names = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in names if not name.startswith("_")))


class _Parser(argparse.ArgumentParser):
    """Tells a mistake as the rest of the house does: what, and the fix."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISTAKE, f"{self.prog}: {message}\n  fix: see `{self.prog} --help`\n")


class Program(_Parser):
    """The parser of the whole, which knows those of its commands by name."""

    commands: Mapping[str, argparse.ArgumentParser]


def program(wanted: Iterable[str]) -> Program:
    """The parser of the commands ``wanted``, which alone are imported."""
    parser = Program(prog="turnspan", description="Look after the turns your agents recorded.")
    places = parser.add_subparsers(
        metavar="COMMAND", required=True, title="commands", parser_class=_Parser
    )
    parser.commands = places.choices
    for name in wanted:
        module = import_module(f"{__name__}.{name}")
        said = str(module.__doc__).strip()
        command = places.add_parser(
            name,
            help=said.partition("\n")[0].rstrip("."),
            description=said,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _as_commands(words: list[str]) -> list[str]:
    """`--version` and `help COMMAND` as what they mean."""
    if words[:1] == ["--version"]:
        return ["version", *words[1:]]
    return [*words[1:2], "--help"] if words[:1] == ["help"] else words


def _read(words: Sequence[str], names: Sequence[str]) -> argparse.Namespace:
    name = words[0]
    if name in names:
        parser = program([name])
        args, unread = parser.parse_known_args(words)
        if unread:
            parser.commands[name].error(f"unrecognized arguments: {' '.join(unread)}")
        return args
    if not name.startswith("-"):
        from difflib import get_close_matches  # here: few are misspelt

        close = get_close_matches(name, names, 1)
        fix = f"did you mean `turnspan {close[0]}`?" if close else f"one of: {', '.join(names)}"
        raise SystemExit(_told(f"there is no command {name!r}\n  fix: {fix}"))
    return program(names).parse_args(words)


def _contained(args: argparse.Namespace) -> int:
    """The border to the shell: mistakes and interruptions are told without a traceback."""
    from turnspan.errors import TurnspanError

    try:
        status = int(args.run(args))
        sys.stdout.flush()
    except TurnspanError as mistake:
        return _told(str(mistake))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is buffered goes nowhere, quietly
        return BROKEN_PIPE
    except OSError as error:
        other = "another --dir" if hasattr(args, "dir") else "another"
        return _told(f"{error}\n  fix: see that you may read and write it, or name {other}")
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _told(mistake: str) -> int:
    print(f"turnspan: {mistake}", file=sys.stderr)
    return MISTAKE
