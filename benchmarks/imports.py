"""What a program waits for before its first turn: the import, and the first recorded call.

    python benchmarks/imports.py [--quick]

`import turnspan` and decorating a function, beside `import opentelemetry.trace`, which
whoever writes spans by hand imports; each in a fresh process, by turns.
"""

from statistics import median

import child
from sink import Sink
from table import Table

OURS = """
import time
start = time.perf_counter()
import turnspan
@turnspan.agent
def answer(question):
    return question
imported = time.perf_counter()
answer("a first question")
called = time.perf_counter()
print([(imported - start) * 1000, (called - imported) * 1000])
"""
THEIRS = """
import time
start = time.perf_counter()
import opentelemetry.trace
print((time.perf_counter() - start) * 1000)
"""
IMPORT_RATIO = 1.6
FIRST_CALL_MS = 250


def main() -> None:
    repeats = 3 if child.is_quick() else 11
    measure(1)  # writes the byte code
    pairs = measure(repeats)
    table = Table(f"Import, in ms; median of {repeats} processes each", "ours", "api")
    ours, theirs = (median(column) for column in zip(*pairs, strict=True))
    ratios = [mine / other for mine, other in pairs]
    table.line("turnspan, one function decorated", ratios, IMPORT_RATIO, ours=ours, beside=theirs)
    table = Table(f"First recorded call, median of {repeats} processes", "", "", "ms")
    with Sink() as sink:
        for name, exporters in destinations(sink.url).items():
            called_ms = [first_call(exporters) for _ in range(repeats)]
            table.line(name, called_ms, FIRST_CALL_MS)


def measure(repeats: int) -> list[tuple[float, float]]:
    """Milliseconds of our import and of theirs, in pairs."""
    return [(child.answered("-c", OURS)[0], child.answered("-c", THEIRS)) for _ in range(repeats)]


def destinations(url: str) -> dict[str, str]:
    return {
        "journal alone": "",
        "with the HTTP exporter": url,
        "with the OTLP exporter": f"otlp+{url}",
    }


def first_call(exporters: str) -> float:
    """Milliseconds, in a process that its environment configures."""
    return child.answered("-c", OURS, TURNSPAN_EXPORTERS=exporters)[1]


if __name__ == "__main__":
    main()
