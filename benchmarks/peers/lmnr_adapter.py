import accepting
from lmnr import Laminar, observe
from lmnr.opentelemetry_lib import tracing
from spans import Spans

from turnspan.testing.decorator_rules import Adapter

PACKAGES = ["lmnr"]
KINDS = {"agent": "DEFAULT", "tool": "TOOL", "model": "LLM"}


def make():
    spans = Spans(input="lmnr.span.input", output="lmnr.span.output")
    Laminar.initialize(
        project_api_key="x",
        base_url="http://127.0.0.1",
        http_port=accepting.port(),
        force_http=True,
        instruments=set(),
    )
    tracing._tracer_provider.add_span_processor(spans.processor)
    return Adapter(
        decorate=lambda kind, target: observe(span_type=KINDS[kind])(target),
        collect=spans.collect,
        kinds=tuple(KINDS),
        carry=lambda call: call,  # it patches threads and executors
    )
