"""Records from OpenTelemetry spans kept in memory, which is what most peers make."""

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from turnspan.testing.decorator_rules import Record


class Spans:
    """Every span that ended, as records; ``input`` and ``output`` name the attributes."""

    def __init__(self, *, input="", output="", name=lambda span: span.name.rpartition(".")[2]):
        self.exporter = InMemorySpanExporter()
        self.processor = SimpleSpanProcessor(self.exporter)
        self.input, self.output, self.name = input, output, name

    def collect(self):
        return [self.record(span) for span in self.exporter.get_finished_spans()]

    def record(self, span):
        return Record(
            id=f"{span.context.span_id:x}",
            name=self.name(span),
            parent_id=span.parent and f"{span.parent.span_id:x}",
            status="error" if span.status.status_code.name == "ERROR" else "ok",
            input=self.text(span, self.input),
            output=self.text(span, self.output),
        )

    def text(self, span, key):
        found = (span.attributes or {}).get(key)
        return found if found is None else str(found)
