import json
import os

os.environ.update(
    OPIK_SENTRY_ENABLE="false",
    OPIK_ANALYTICS_ENABLE="false",
    OPIK_WORKSPACE="default",
    OPIK_PROJECT_NAME="rules",
    OPIK_ENABLE_LITELLM_MODELS_MONITORING="false",
)

import accepting
import opik

from turnspan.testing.decorator_rules import Adapter, Record

PACKAGES = ["opik"]
KINDS = {"agent": "general", "tool": "tool", "model": "llm", "step": "general"}


def make():
    os.environ["OPIK_URL_OVERRIDE"] = f"http://127.0.0.1:{accepting.port()}/api/"
    recording = opik.record_traces_locally()
    handle = recording.__enter__()

    def collect(_kept=recording):  # a context manager that is dropped is left
        return [record for trace in handle.trace_trees for record in spans(trace.spans, None)]

    return Adapter(
        decorate=lambda kind, target: opik.track(type=KINDS[kind])(target),
        collect=collect,
        kinds=tuple(KINDS),
    )


def spans(found, parent_id):
    """Spans come as trees."""
    for span in found:
        yield Record(
            id=span.id,
            name=span.name or "unnamed",
            parent_id=parent_id,
            status="error" if span.error_info else "ok",
            input=json.dumps(span.input, default=str),
            output=json.dumps(span.output, default=str),
            ended=span.end_time is not None,
        )
        yield from spans(span.spans, span.id)
