"""Do spans and metrics conform to the GenAI conventions? Each rule is read from `genai.json`.

`violations` answers for one span, `trace_violations` for the spans of one trace together,
`metric_violations` for one metric. Each violation is a text that begins with its rule.
"""

from conventions.metrics import SeenMetric, SeenPoint, metric_violations
from conventions.reading import spans_of_request, spans_of_sdk
from conventions.seen import SeenSpan
from conventions.spans import violations
from conventions.traces import trace_violations

__all__ = [
    "SeenMetric",
    "SeenPoint",
    "SeenSpan",
    "metric_violations",
    "spans_of_request",
    "spans_of_sdk",
    "trace_violations",
    "violations",
]
