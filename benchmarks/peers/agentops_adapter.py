import accepting
import agentops
from agentops.sdk.core import tracer
from agentops.sdk.decorators import operation, tool
from spans import Spans

from turnspan.testing.decorator_rules import Adapter

PACKAGES = ["agentops"]


class ByKind(Spans):
    """What an attribute is called depends on what the span is of."""

    def text(self, span, key):
        found = [value for name, value in span.attributes.items() if name.endswith(key)]
        return str(found[0]) if found else None


def make():
    url = f"http://127.0.0.1:{accepting.port()}"
    spans = ByKind(
        input=".input",
        output=".output",
        name=lambda span: span.name.partition(".")[0],
    )
    agentops.init(
        api_key="11111111-1111-1111-1111-111111111111",
        endpoint=url,
        exporter_endpoint=f"{url}/v1/traces",
        instrument_llm_calls=False,
        auto_start_session=False,
        env_data_opt_out=True,
        log_session_replay_url=False,
        log_level="ERROR",
        fail_safe=True,
    )
    tracer.provider.add_span_processor(spans.processor)
    kinds = {"agent": operation, "tool": tool, "step": operation}
    return Adapter(
        decorate=lambda kind, target: kinds[kind](target),
        collect=spans.collect,
        kinds=tuple(kinds),
    )
