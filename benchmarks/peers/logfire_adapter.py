import json

import logfire
from spans import Spans

from turnspan.testing.decorator_rules import Adapter

PACKAGES = ["logfire"]


class Arguments(Spans):
    """Arguments are attributes of their own, by name."""

    def text(self, span, key):
        if key == "return":
            return super().text(span, key)
        given = {
            name: value
            for name, value in span.attributes.items()
            if not name.startswith(("code.", "logfire.")) and name != "return"
        }
        return json.dumps(given)


def make():
    spans = Arguments(
        output="return",
        name=lambda span: span.attributes.get("code.function", span.name).rpartition(".")[2],
    )
    logfire.configure(
        send_to_logfire=False,
        console=False,
        metrics=False,
        inspect_arguments=False,
        additional_span_processors=[spans.processor],
    )
    return Adapter(
        decorate=lambda _, target: logfire.instrument(record_return=True)(target),
        collect=spans.collect,
        kinds=("agent",),
    )
