"""Run an example as it is, and have its spans seen.

watched.py PROGRAM own URL     turnspan makes the spans and posts them to URL
watched.py PROGRAM live FILE   the application's SDK makes them; they end up in FILE
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import turnspan


def main() -> None:
    program, mode, target = sys.argv[1:]
    if mode == "own":
        _see_own(program, target)
    else:
        _see_live(program, target)


def _see_own(program: str, url: str) -> None:
    """Each `configure` of the program is given one exporter more."""
    configure = turnspan.configure

    def with_one_more(*, exporters: tuple[object, ...] = (), **options: object) -> object:
        return configure(exporters=[*exporters, f"otlp+{url}"], **options)

    turnspan.configure = with_one_more
    runpy.run_path(program, run_name="__main__")
    turnspan.close(20)


def _see_live(program: str, path: str) -> None:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    runpy.run_path(program, run_name="__main__")
    turnspan.close(20)
    Path(path).write_bytes(encode_spans(exporter.get_finished_spans()).SerializeToString())


main()
