"""A fresh process for each measurement: `measured` calls a function there and returns its answer.

The child runs in a scratch directory of its own, without the environment variables that
would change what is measured. It is this very file, which imports the program that has the
function and prints the answer as JSON.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOREIGN = ("OTEL_", "TURNSPAN_", "PYTHON")
LONGEST_S = 600


def measured(measure: Callable[..., Any], **given: Any) -> Any:
    """What ``measure(**given)`` answers in a fresh process; all of it must be JSON."""
    program = Path(measure.__code__.co_filename).stem
    return answered(__file__, program, measure.__name__, json.dumps(given))


def answered(*arguments: str, **environment: str) -> Any:
    """What a fresh interpreter prints last, read as JSON.

    Raises:
        RuntimeError: it failed; the message has what it said.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with tempfile.TemporaryDirectory(prefix="turnspan-bench-") as scratch:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=scratch,
            env=kept | {"HOME": scratch, "NO_PROXY": "*"} | environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{arguments} left {done.returncode}:\n{done.stderr}")
    print(done.stderr, end="", file=sys.stderr)  # whoever complains was not measured at its work
    return json.loads(done.stdout.splitlines()[-1])


def is_quick() -> bool:
    """Whether the person asked for a short look instead of firm figures.

    Raises:
        SystemExit: they asked for something else.
    """
    asked = sys.argv[1:]
    if set(asked) - {"--quick"}:
        sys.exit(f"usage: python {sys.argv[0]} [--quick]")
    return bool(asked)


if __name__ == "__main__":
    module, function, arguments = sys.argv[1:]
    print(json.dumps(getattr(importlib.import_module(module), function)(**json.loads(arguments))))
