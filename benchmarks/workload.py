"""The work that is recorded: a question of 200 characters, one tool, an answer of 400.

It comes bare, recorded by turnspan, and recorded by two spans written by hand: three
attributes each, through a batch processor and OTLP over HTTP.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

QUESTION = (
    " is the number of my order, and the parcel was to be here on Tuesday; where is it now, will "
    "it come before the weekend, and can the courier leave it with the neighbours at number nine, "
    "who are at home all day?"
)
ANSWER = (
    "Your parcel left the depot this morning and is in the van. The courier expects to reach your "
    "street between two and four in the afternoon, so it comes well before the weekend. I have "
    "added a note that the neighbours at number nine may take it and sign for it. Should nobody be "
    "there, it goes back to the depot, where it waits for seven days; you can also have it brought "
    "again on any working day you choose, at no cost to you."
)
STOPS = [
    {"place": f"depot-{number}", "hours": 7.25 + number, "kind": "scan"} for number in range(3)
]


@dataclass(frozen=True, slots=True)
class Agent:
    """One way to do the work: a call, the same awaited, and how what it recorded is sent."""

    ask: Callable[[str], str]
    ask_async: Callable[[str], Awaitable[str]]
    flush: Callable[[], Any] = lambda: None


def question(number: int) -> str:
    """200 characters that no other ``number`` has, and that `sink` knows by their beginning."""
    return f"Q{number:08}{QUESTION}"[:200]


def order_of(text: str) -> dict[str, Any]:
    """What the tool is asked."""
    where = {"country": "nl", "year": 2026}
    return {"order": text[:9], "reason": text[9:58], "stops": 3, "where": where}


def track(order: dict[str, Any]) -> dict[str, Any]:
    """What the tool answers."""
    return {"order": order["order"][1:], "route": STOPS, "late": False}


def reply_to(text: str, tracked: dict[str, Any]) -> str:
    """400 characters."""
    return f"{tracked['order']}: {ANSWER}"[:400]


def bare() -> Agent:
    """The work alone."""
    return _decorated(lambda fn: fn, lambda fn: fn)


def recorded(*exporters: str, **settings: Any) -> Agent:
    """The work with turnspan's decorators; this process is configured with the rest."""
    import turnspan

    turnspan.configure(exporters=exporters, directory="turns", service_name="bench", **settings)
    agent = _decorated(turnspan.agent, turnspan.tool)
    return Agent(agent.ask, agent.ask_async, lambda: turnspan.flush(timeout_s=60))


def batching_provider(endpoint: str) -> Any:
    """A provider of the OpenTelemetry SDK as its documentation sets it up."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def by_hand(provider: Any) -> Agent:
    """The work inside two spans of ``provider``, written by hand."""
    tracer = provider.get_tracer("bench")

    def tracked(order: dict[str, Any]) -> dict[str, Any]:
        with tracer.start_as_current_span("execute_tool track") as span:
            span.set_attribute("gen_ai.tool.name", "track")
            span.set_attribute("gen_ai.tool.call.arguments", json.dumps(order))
            result = track(order)
            span.set_attribute("gen_ai.tool.call.result", json.dumps(result))
            return result

    async def tracked_async(order: dict[str, Any]) -> dict[str, Any]:
        return tracked(order)

    def ask(text: str) -> str:
        with tracer.start_as_current_span("invoke_agent ask") as span:
            span.set_attribute("gen_ai.operation.name", "invoke_agent")
            span.set_attribute("gen_ai.input.messages", text)
            answer = reply_to(text, tracked(order_of(text)))
            span.set_attribute("gen_ai.output.messages", answer)
            return answer

    async def ask_async(text: str) -> str:
        with tracer.start_as_current_span("invoke_agent ask") as span:
            span.set_attribute("gen_ai.operation.name", "invoke_agent")
            span.set_attribute("gen_ai.input.messages", text)
            answer = reply_to(text, await tracked_async(order_of(text)))
            span.set_attribute("gen_ai.output.messages", answer)
            return answer

    return Agent(ask, ask_async, provider.force_flush)


def _decorated(agent: Callable[[Any], Any], tool: Callable[[Any], Any]) -> Agent:
    tracked = tool(track)

    @tool
    async def tracked_async(order: dict[str, Any]) -> dict[str, Any]:
        return track(order)

    @agent
    def ask(text: str) -> str:
        return reply_to(text, tracked(order_of(text)))

    @agent
    async def ask_async(text: str) -> str:
        return reply_to(text, await tracked_async(order_of(text)))

    return Agent(ask, ask_async)
