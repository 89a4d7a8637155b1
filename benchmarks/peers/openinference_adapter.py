from openinference.instrumentation import OITracer, TraceConfig
from opentelemetry.sdk.trace import TracerProvider
from spans import Spans

from turnspan.testing.decorator_rules import Adapter

PACKAGES = ["openinference-instrumentation", "opentelemetry-sdk"]


def make():
    spans = Spans(input="input.value", output="output.value")
    provider = TracerProvider()
    provider.add_span_processor(spans.processor)
    tracer = OITracer(provider.get_tracer("rules"), config=TraceConfig())
    kinds = {"agent": tracer.agent, "tool": tracer.tool, "step": tracer.chain}
    return Adapter(
        decorate=lambda kind, target: kinds[kind](target),
        collect=spans.collect,
        kinds=tuple(kinds),
    )
