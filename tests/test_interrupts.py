"""What a signal handler raises while our code runs belongs to the caller."""

from __future__ import annotations

import signal

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from turnspan.exporters.observed import ObservedLog
from turnspan.schema.ids import RandomIds
from turnspan.telemetry.own import OwnSpans


class TimeIsUp(Exception):
    pass


@pytest.fixture(autouse=True)
def limit():
    """A time limit, as programs set it with a signal."""

    def handle(number, frame):
        raise TimeIsUp

    before = signal.signal(signal.SIGUSR1, handle)
    yield
    signal.signal(signal.SIGUSR1, before)


class Late(NonRecordingSpan):
    def get_span_context(self):
        signal.raise_signal(signal.SIGUSR1)
        return super().get_span_context()


def test_a_time_limit_holds_while_the_current_span_is_read():
    """Whoever set it is told."""
    spans = OwnSpans(RandomIds())
    late = Late(SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1)))

    with use_span(late), pytest.raises(TimeIsUp):
        spans.start("turn", "name", 1, None, None, None, "support", True)


def test_a_time_limit_holds_while_an_exporter_of_this_process_looks_on():
    """The record was kept before."""
    kept = []

    class Log:
        append = kept.append

    class Slow:
        def observe(self, turn):
            signal.raise_signal(signal.SIGUSR1)

    line = b'{"record":"turn","id":"turn_1"}'
    with pytest.raises(TimeIsUp):
        ObservedLog(Log(), [Slow()]).append(line)

    assert kept == [line]
