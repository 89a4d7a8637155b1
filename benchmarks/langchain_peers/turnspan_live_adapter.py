"""turnspan where the application has a provider of its own: the spans are the SDK's, too."""

import os

from handlers import Handled, dropping
from opentelemetry import trace

import turnspan
from turnspan_langchain import TurnspanHandler

PACKAGES = ["turnspan", "turnspan-langchain", "opentelemetry-sdk"]


def make():
    provider, exporter = dropping()
    trace.set_tracer_provider(provider)
    turnspan.configure(directory=os.path.abspath("turns"), spans="live", span_content=True)
    return Handled(
        seen=lambda: exporter.count,
        callbacks=[TurnspanHandler()],
        flush=lambda: turnspan.flush(timeout_s=60),
    )
