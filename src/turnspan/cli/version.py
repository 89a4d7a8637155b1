"""Say which turnspan this is.

With --json: {"turnspan", "python", "platform"}.
"""

from __future__ import annotations

import argparse
import sys

from turnspan import __version__
from turnspan.cli._arguments import add_json

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_json(parser, "one object")


def run(args: argparse.Namespace) -> int:
    """Print the version."""
    python = ".".join(map(str, sys.version_info[:3]))
    if args.json:
        from turnspan.cli._output import print_json

        print_json({"turnspan": __version__, "python": python, "platform": sys.platform})
    else:
        print(f"turnspan {__version__} (Python {python}, {sys.platform})")
    return 0
