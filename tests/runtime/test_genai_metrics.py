"""The metrics of the conventions, on the application's meter provider or over OTLP."""

import json
from textwrap import dedent

import pytest

PROGRAM = """
    import json, os, sys, time
    from pathlib import Path
    import turnspan
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    @turnspan.tool
    def look_up(word):
        return word

    @turnspan.agent
    def clerk(question):
        return look_up(question)

    reader, finished = InMemoryMetricReader(), InMemorySpanExporter()

    def provide_meters():
        metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))

    def provide_tracers():
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(finished))
        trace.set_tracer_provider(provider)

    def collected():
        data = reader.get_metrics_data()
        return {
            metric.name: [
                [dict(p.attributes), p.count, p.sum, [(e.trace_id, e.span_id) for e in p.exemplars]]
                for p in metric.data.data_points
            ]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name.startswith("gen_ai.")
        }
"""
AGENT, TOOL = "gen_ai.invoke_agent.duration", "gen_ai.execute_tool.duration"
IN_ANY_ORDER = {
    "the provider first": "provide_meters(); turnspan.configure(directory=None)",
    "the provider last": "turnspan.configure(directory=None); provide_meters()",
}
OVER_OTLP = "turnspan.configure(exporters=sys.argv[1:], directory=None, exit_s=30)"


def told(run, program, *args, **env):
    env = {"TURNSPAN_EXIT_S": "60"} | env  # the destination answers, late on a busy machine
    done = run(dedent(PROGRAM) + dedent(program), *args, **env)
    assert done.stderr == ""
    return json.loads(done.stdout or "null")


def test_on_the_applications_provider_a_metric_is_as_long_as_its_span(run):
    """Values are equal to the last digit, and exemplars name the span."""
    program = """
        provide_meters(); provide_tracers(); turnspan.configure(directory=None)
        clerk("a"); turnspan.flush(30)
        spans = [[(s.end_time - s.start_time) / 1e9, s.context.trace_id, s.context.span_id]
                 for s in finished.get_finished_spans()]
        print(json.dumps([collected(), spans]))
    """
    metrics, spans = told(run, program)
    (tool_s, trace_id, tool_id), (agent_s, _, agent_id) = spans
    agent = {"gen_ai.agent.name": "clerk"}
    tool = {"gen_ai.tool.name": "look_up", "gen_ai.tool.type": "function", **agent}

    assert metrics == {
        AGENT: [[agent, 1, agent_s, [[trace_id, agent_id]]]],
        "gen_ai.invoke_agent.inference_calls": [[agent, 1, 0, [[trace_id, agent_id]]]],
        "gen_ai.invoke_agent.tool_calls": [[agent, 1, 1, [[trace_id, agent_id]]]],
        TOOL: [[tool, 1, tool_s, [[trace_id, tool_id]]]],
    }


@pytest.mark.parametrize("order", IN_ANY_ORDER)
def test_metrics_come_without_a_flush_whoever_comes_first(run, order):
    """A thread beside the caller takes them within a second or so."""
    program = f"""
        {IN_ANY_ORDER[order]}
        clerk("a")
        seen, until = {{}}, time.monotonic() + 20
        while not seen and time.monotonic() < until:
            time.sleep(0.05)
            seen = collected()
        print(json.dumps(sorted(seen)))
    """

    assert AGENT in told(run, program)


@pytest.mark.parametrize("off", ["OTEL_SDK_DISABLED", "TURNSPAN_DISABLED"])
def test_switched_off_nothing_is_measured(run, off):
    """Neither without OpenTelemetry nor without turnspan."""
    program = """
        provide_meters(); turnspan.configure(directory=None)
        clerk("a"); turnspan.flush(30)
        print(json.dumps(collected()))
    """

    assert told(run, program, **{off: "true"}) == {}


def test_a_meter_provider_that_fails_loses_no_turn(run):
    """Whose instruments can't be made, has no metrics; the first turn is recorded all the same."""
    program = """
        class Broken(MeterProvider):
            def get_meter(self, *args, **kwargs):
                raise RuntimeError("no meters today")

        metrics.set_meter_provider(Broken())
        turnspan.configure(exporters=["file:out"], directory="turns")
        clerk("a"); turnspan.flush(30)
        print(Path("out").read_text().count('"record":"turn"'))
    """
    done = run(dedent(PROGRAM) + dedent(program), TURNSPAN_EXIT_S="60")

    assert done.stdout == "1\n"
    assert "turns are not measured: no meters today" in done.stderr


def test_a_recovered_turn_is_not_measured(run):
    """It ended in another process, which measured it or is dead."""
    program = """
        provide_meters(); turnspan.configure(exporters=["file:out"], directory="shared")
        turnspan.flush(30); clerk("b"); turnspan.flush(30)
        print(json.dumps([collected(), Path("out").read_text().count('"record":"turn"')]))
    """
    told(
        run,
        """
        turnspan.configure(exporters=["file:out"], directory="shared", batch_delay_s=60)
        clerk("a"); os._exit(0)
        """,
    )
    metrics, delivered = told(run, program)

    assert (metrics[AGENT][0][1], delivered) == (1, 2)


def test_what_the_policy_hides_is_not_measured_either(run):
    """A secret in an agent's name stays out of attributes, as it stays out of spans."""
    program = """
        provide_meters(); turnspan.configure(directory=None, redact=["email"])
        turnspan.agent(name="for ada@example.com")(look_up)("a")
        turnspan.flush(30)
        print(json.dumps(collected()))
    """
    metrics = told(run, program)

    assert AGENT in metrics
    assert "ada@example.com" not in json.dumps(metrics)


@pytest.mark.parametrize("exporter", [None, "otlp", "none", "prometheus"])
def test_without_a_provider_metrics_go_where_the_spans_go(run, otlp, exporter):
    """Unless OpenTelemetry's variable sends them elsewhere, or nowhere."""
    env = {} if exporter is None else {"OTEL_METRICS_EXPORTER": exporter}
    told(run, f"{OVER_OTLP}; clerk('a'); turnspan.close(30)", otlp.url, **env)

    assert len(otlp.spans) == 2
    assert (AGENT in otlp.metrics) is (exporter in {None, "otlp"})


def test_over_otlp_too_a_metric_is_as_long_as_its_span(run, otlp):
    """And its exemplar names it."""
    told(run, f"{OVER_OTLP}; clerk('a')", otlp.url)
    spans = {s.name: (s.end_time_unix_nano - s.start_time_unix_nano) / 1e9 for s in otlp.spans}
    ids = {s.name: (s.trace_id, s.span_id) for s in otlp.spans}
    [agent], [tool] = otlp.metrics[AGENT], otlp.metrics[TOOL]

    assert {"invoke_agent clerk": agent.sum, "execute_tool look_up": tool.sum} == spans
    assert {
        "invoke_agent clerk": (agent.exemplars[0].trace_id, agent.exemplars[0].span_id),
        "execute_tool look_up": (tool.exemplars[0].trace_id, tool.exemplars[0].span_id),
    } == ids


def test_the_applications_provider_goes_before_our_own_way(run, otlp):
    """Whoever has one has said where metrics go: they are not counted twice."""
    program = f"""
        provide_meters(); {OVER_OTLP}
        clerk("a"); turnspan.flush(30)
        print(json.dumps(collected()))
    """
    metrics = told(run, program, otlp.url)

    assert (AGENT in metrics, otlp.metrics) == (True, {})


def test_a_child_of_a_fork_measures_its_own_turns(run, otlp):
    """And those of the parent are not told twice."""
    program = """
        turnspan.configure(exporters=sys.argv[1:], directory="journal")
        clerk("a")
        pid = os.fork()
        clerk("b"); turnspan.close(30)
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
    """
    told(run, program, otlp.url)

    assert sorted(point.count for point in otlp.metrics[AGENT]) == [1, 2]


def test_metrics_are_sent_at_their_interval(run, otlp):
    """As OpenTelemetry's variable says, without a flush."""
    program = f"""
        {OVER_OTLP}
        clerk("a"); time.sleep(2.5); os._exit(0)
    """
    told(run, program, otlp.url, OTEL_METRIC_EXPORT_INTERVAL="300")

    assert AGENT in otlp.metrics
