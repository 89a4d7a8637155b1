"""Every way to do the work does the same work, of the sizes that the targets are for."""

import asyncio
import json

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def test_a_question_has_200_characters_and_its_answer_400(program):
    """And what the tool is given and gives back is some 140 and 210 bytes of JSON."""
    workload = program("workload")
    text = workload.question(7)
    order = workload.order_of(text)

    answer = workload.bare().ask(text)

    assert (len(text), len(answer)) == (200, 400)
    assert 130 <= len(json.dumps(order)) <= 150
    assert 200 <= len(json.dumps(workload.track(order))) <= 220


def test_by_hand_there_are_two_spans_of_three_attributes(program):
    """A call and an awaited one answer what the bare work answers, and record alike."""
    workload = program("workload")
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    agent, text = workload.by_hand(provider), workload.question(7)

    answers = [agent.ask(text), asyncio.run(agent.ask_async(text))]

    assert answers == [workload.bare().ask(text)] * 2
    assert [(span.name, len(span.attributes)) for span in spans.get_finished_spans()] == [
        ("execute_tool track", 3),
        ("invoke_agent ask", 3),
    ] * 2
