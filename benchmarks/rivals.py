"""The same turns given to other tools over OTLP/HTTP, from the environments they are installed in.

Those that `make test-tools` made are found; `--beside NAME=PYTHON` names another.
"""

import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
from posting import posted

from turnspan.schema import Turn, encode_turn
from turnspan.telemetry.otlp import RequestWriter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "tools"))
from backends import backends, python_of
from backends.server import eventually

BATCH = 200
STORED_S = 600.0


def installed() -> dict[str, Path | None]:
    """The Python of each tool, None where it is not here; takes `--beside` from the arguments."""
    found = {name: python_of(name) for name in backends()}
    while "--beside" in sys.argv:
        at = sys.argv.index("--beside")
        name, _, python = sys.argv[at + 1].partition("=")
        if name not in found or not Path(python).exists():
            sys.exit(f"--beside {sys.argv[at + 1]}: want NAME=PYTHON, NAME of {', '.join(found)}")
        found[name] = Path(python).absolute()
        del sys.argv[at : at + 2]
    return found


def measured(
    pythons: dict[str, Path | None], turns: Sequence[Turn]
) -> Iterator[tuple[str, float | None]]:
    """Seconds a turn of each tool; None where it is not here."""
    for name, python in pythons.items():
        yield name, taken(name, python, turns) if python else None


def taken(name: str, python: Path, turns: Sequence[Turn]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        tool = backends()[name](python, Path(folder))
        try:
            tool.server.wait()
            return stored(tool, turns)
        finally:
            tool.server.stop()


def stored(tool: Any, turns: Sequence[Turn]) -> float:
    """Seconds a turn, from the first request until the last turn can be found.

    The first batch is not counted: it warms the tool up.
    """
    bodies = [request(turns[start : start + BATCH]) for start in range(0, len(turns), BATCH)]
    before, headers = tool.count(), {**tool.headers, "content-type": "application/x-protobuf"}
    posted(tool.server.port, "/v1/traces", bodies[:1], headers)
    seen(tool, before + len(turns[:BATCH]))
    began = time.perf_counter()
    posted(tool.server.port, "/v1/traces", bodies[1:], headers)
    return (seen(tool, before + len(turns)) - began) / (len(turns) - BATCH)


def seen(tool: Any, count: int) -> float:
    """When there were ``count`` traces; counting them is not counted."""

    def asked() -> float | None:
        now = time.perf_counter()
        return now if tool.count() >= count else None

    found = eventually(asked, within_s=STORED_S)
    assert found, f"{tool.name}: {tool.count()} of {count} turns can be found"
    return found


def request(turns: Sequence[Turn]) -> bytes:
    writer = RequestWriter(content=True)
    for turn in turns:
        writer.add(orjson.loads(encode_turn(turn)))
    return zlib.compress(writer.take(), 1, wbits=31)
