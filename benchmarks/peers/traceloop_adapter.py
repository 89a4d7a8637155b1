import os

os.environ.update(TRACELOOP_TELEMETRY="false", TRACELOOP_METRICS_ENABLED="false")

from spans import Spans
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import agent, task, tool

from turnspan.testing.decorator_rules import Adapter

PACKAGES = ["traceloop-sdk", "httpx"]


def make():
    spans = Spans(
        input="traceloop.entity.input",
        output="traceloop.entity.output",
        name=lambda span: span.attributes.get("traceloop.entity.name", span.name),
    )
    Traceloop.init(
        app_name="rules",
        exporter=spans.exporter,
        disable_batch=True,
        telemetry_enabled=False,
        instruments=set(),
    )
    kinds = {"agent": agent, "tool": tool, "step": task}
    return Adapter(
        decorate=lambda kind, target: kinds[kind](name=named(target))(target),
        collect=spans.collect,
        kinds=tuple(kinds),
        carry=lambda call: call,  # it patches threads and executors
    )


def named(target):
    target = getattr(target, "func", target)
    return getattr(target, "__name__", type(target).__name__)
