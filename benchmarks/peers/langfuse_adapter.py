from langfuse import Langfuse, observe
from spans import Spans

from turnspan.testing.decorator_rules import Adapter

PACKAGES = ["langfuse"]
KINDS = {"agent": "agent", "tool": "tool", "model": "generation", "retrieval": "retriever",
         "step": "span"}  # fmt: skip


def make():
    spans = Spans(input="langfuse.observation.input", output="langfuse.observation.output")
    client = Langfuse(
        public_key="pk-lf-x",
        secret_key="sk-lf-x",
        base_url="http://127.0.0.1:9",
        span_exporter=spans.exporter,
    )

    def collect():
        client.flush()
        return spans.collect()

    return Adapter(
        decorate=lambda kind, target: observe(as_type=KINDS[kind])(target), collect=collect
    )
